"""`python -m standalone servers`: the servers Broadsheet needs; `... demo`: the main job, on all of them."""

import argparse
import asyncio
import sys
from pathlib import Path

from standalone.choose import PREFERENCES, Choice, choose_broker
from standalone.collector_server import Collector
from standalone.demo.run import DEMO_PORTS, Options
from standalone.demo.run import main as demo_main
from standalone.errors import StandaloneError
from standalone.mail import MailInbox
from standalone.mongo import Mongo
from standalone.platform import Ports
from standalone.s3 import SeaweedFS
from standalone.supervisor import Managed, Supervisor, terminal_colour

BUCKET = "broadsheet"


def main() -> None:
    """Read the arguments and run; a failure to start is one readable text and exit code 1."""
    arguments = _parser().parse_args()
    if arguments.command == "demo":
        sys.exit(demo_main(_demo_options(arguments)))
    try:
        asyncio.run(_servers(arguments))
    except StandaloneError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m standalone", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    servers = commands.add_parser("servers", help="start broker, store, object store, inbox and collector")
    servers.add_argument("--data", type=Path, default=Path(".run/servers"), help="folder for data and logs")
    servers.add_argument("--broker", choices=PREFERENCES, default="auto")
    for name, port in {
        "kafka": 9092,
        "mongo": 27017,
        "s3": 8333,
        "smtp": 2525,
        "inbox": 8025,
        "collector": 4318,
    }.items():
        servers.add_argument(f"--{name}-port", type=int, default=port, help=f"{port}; 0 for any free one")
    servers.add_argument("--verbose", action="store_true", help="show the servers' own logs, too")
    _demo_arguments(commands.add_parser("demo", help="run the main job on real data, and check what arrived"))
    return parser


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    ports = DEMO_PORTS
    parser.add_argument("--data", type=Path, default=Path(".run/demo"), help="emptied at the start")
    parser.add_argument("--broker", choices=PREFERENCES, default="embedded")
    parser.add_argument("--console-port", type=int, default=ports.console)
    parser.add_argument("--inbox-port", type=int, default=ports.inbox)
    parser.add_argument("--smtp-port", type=int, default=ports.smtp)
    parser.add_argument("--collector-port", type=int, default=ports.collector)
    parser.add_argument("--generators", type=int, default=1)
    parser.add_argument("--once", action="store_true", help="end when everything was checked")
    parser.add_argument("--verbose", action="store_true", help="show the logs of servers and services")


def _demo_options(arguments: argparse.Namespace) -> Options:
    return Options(
        data=arguments.data,
        broker=arguments.broker,
        ports=Ports(
            console=arguments.console_port,
            inbox=arguments.inbox_port,
            smtp=arguments.smtp_port,
            collector=arguments.collector_port,
        ),
        generators=arguments.generators,
        once=arguments.once,
        verbose=arguments.verbose,
    )


async def _servers(arguments: argparse.Namespace) -> None:
    data: Path = arguments.data
    broker = choose_broker(data / "kafka", prefer=arguments.broker, port=arguments.kafka_port)
    mongo = Mongo(data / "mongo", port=arguments.mongo_port)
    objects = SeaweedFS(data / "s3", port=arguments.s3_port, buckets=[BUCKET])
    inbox = MailInbox(data / "inbox", port=arguments.smtp_port, http_port=arguments.inbox_port)
    collector = Collector(data / "collector", port=arguments.collector_port)
    print(f"broker: {broker}")
    servers = [Managed(each) for each in (broker.server, mongo, objects, inbox, collector)]
    supervisor = Supervisor(
        data, servers, echo=print, colour=terminal_colour(), follow_logs=arguments.verbose
    )
    settings = _settings(broker, mongo, objects, inbox, collector)
    print(f"settings for the services: {_write_settings(data / 'servers.env', settings)}")
    await supervisor.run()


def _settings(
    broker: Choice, mongo: Mongo, objects: SeaweedFS, inbox: MailInbox, collector: Collector
) -> dict[str, str]:
    return {
        "BROADSHEET_KAFKA_BOOTSTRAP": broker.server.bootstrap_servers,
        "BROADSHEET_KAFKA_IDEMPOTENT": str(broker.server.capabilities.idempotent_producer).lower(),
        "BROADSHEET_MONGO_URI": mongo.uri,
        "BROADSHEET_S3_ENDPOINT": objects.endpoint,
        "BROADSHEET_S3_REGION": objects.region,
        "BROADSHEET_S3_ACCESS_KEY": objects.access_key,
        "BROADSHEET_S3_SECRET_KEY": objects.secret_key,
        "BROADSHEET_S3_BUCKET": BUCKET,
        "BROADSHEET_SMTP_HOST": inbox.host,
        "BROADSHEET_SMTP_PORT": str(inbox.port),
        "BROADSHEET_SMTP_TLS": "none",
        "BROADSHEET_OTLP_ENDPOINT": collector.url,
    }


def _write_settings(path: Path, settings: dict[str, str]) -> Path:
    """For `set -a; . servers.env`; readable by its owner only, there is a key in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    lines = [f"{name}='{value}'\n" for name, value in settings.items()]
    path.write_text("".join(lines), encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
