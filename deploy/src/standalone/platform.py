"""The whole platform as child processes: embedded servers, services, listener, simulator."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.fernet import Fernet

from runtime import topics
from runtime.settings import RuntimeSettings
from standalone.broker import BrokerServer
from standalone.collector_server import Collector
from standalone.mail import MailInbox
from standalone.mongo import Mongo
from standalone.output import Echo
from standalone.ports import HOST, free_port
from standalone.s3 import SeaweedFS
from standalone.services import ServiceProcess, Simulator
from standalone.supervisor import Managed, Restart, Supervisor

ADMIN_EMAIL = "admin@example.com"
INTERNAL_BUCKET = "broadsheet"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports people use; 0 is any free one."""

    console: int = 0
    inbox: int = 0
    smtp: int = 0
    collector: int = 0


@dataclass(slots=True)
class Platform:
    """Servers and services under one data folder; `start` returns when everything is ready.

    `generators` is the number of generator processes and `replicas` that of each other service; the second
    process of a service is named `scheduler-2`. `apps` is what the simulator serves; `variables` are added to
    every service's environment; `restart` says whether services that die are started again, as an
    orchestrator would.
    """

    data: Path
    broker: BrokerServer
    ports: Ports = Ports()
    generators: int = 1
    replicas: int = 1
    buckets: Sequence[str] = ()
    apps: Sequence[str] = ("flights",)
    variables: Mapping[str, str] = field(default_factory=dict)
    restart: Restart = "never"
    echo: Echo | None = None
    follow_logs: bool = False
    mongo: Mongo = field(init=False)
    objects: SeaweedFS = field(init=False)
    inbox: MailInbox = field(init=False)
    collector: Collector = field(init=False)
    qlik: Simulator = field(init=False)
    processes: dict[str, ServiceProcess] = field(init=False, default_factory=dict)
    servers: Supervisor = field(init=False)
    services: Supervisor = field(init=False)
    admin_password: str = field(init=False, repr=False)
    console_port: int = field(init=False)

    def __post_init__(self) -> None:
        """Choose ports and secrets; start nothing."""
        self.data = self.data.absolute()
        self.mongo = Mongo(self.data / "mongo")
        self.objects = SeaweedFS(self.data / "s3", buckets=(INTERNAL_BUCKET, *self.buckets))
        self.inbox = MailInbox(self.data / "inbox", port=self.ports.smtp, http_port=self.ports.inbox)
        self.collector = Collector(self.data / "collector", port=self.ports.collector)
        self.qlik = Simulator(self.data / "qlik", apps=self.apps)
        self.admin_password = secrets.token_urlsafe(12)
        self.console_port = self.ports.console or free_port()
        for number in range(1, self.generators + 1):
            self._add(f"generator-{number}", ["generator"])
        for number in range(1, self.replicas + 1):
            self._add_replica("" if number == 1 else f"-{number}")
        self.servers = Supervisor(
            self.data / "servers",
            [
                Managed(each)
                for each in (
                    self.broker,
                    self.mongo,
                    self.objects,
                    self.inbox,
                    self.collector,
                    self.qlik,
                )
            ],
            echo=self.echo,
            follow_logs=self.follow_logs,
        )
        self.services = Supervisor(
            self.data / "services",
            [Managed(each, restart=self.restart) for each in self.processes.values()],
            echo=self.echo,
            follow_logs=self.follow_logs,
            first_pause_s=0.2,
        )

    def _add_replica(self, suffix: str) -> None:
        """Add one process of each service except the generator; each has ports of its own."""
        listener_port = free_port()
        console_port = free_port() if suffix else self.console_port
        self._add(f"scheduler{suffix}", ["scheduler"])
        self._add(
            f"qlik-listener{suffix}",
            ["scheduler", "listener"],
            {
                "BROADSHEET_LISTENER_PORT": str(listener_port),
                "BROADSHEET_LISTENER_PUBLIC_URL": f"http://{HOST}:{listener_port}",
            },
        )
        self._add(f"distributor{suffix}", ["distributor"])
        self._add(f"notifier{suffix}", ["notifier"])
        self._add(f"config-api{suffix}", ["config_api"], self._console_environment(console_port))

    def _add(self, name: str, module: Sequence[str], own: Mapping[str, str] | None = None) -> None:
        self.processes[name] = ServiceProcess(
            self.data / name,
            name=name,
            module=module,
            environment=lambda: {**self.environment(), **(own or {})},
        )

    @property
    def console_url(self) -> str:
        """Root of console, Hub and REST."""
        return f"http://{HOST}:{self.console_port}"

    def environment(self) -> dict[str, str]:
        """Return what every service is told."""
        key = self.data / "secret.key"
        if not key.exists():
            self.data.mkdir(parents=True, exist_ok=True)
            key.touch(mode=0o600)
            key.write_bytes(Fernet.generate_key())
        return {
            "BROADSHEET_KAFKA_BOOTSTRAP": self.broker.bootstrap_servers,
            "BROADSHEET_KAFKA_IDEMPOTENT": str(self.broker.capabilities.idempotent_producer),
            "BROADSHEET_MONGO_URI": self.mongo.uri,
            "BROADSHEET_S3_ENDPOINT": self.objects.endpoint,
            "BROADSHEET_S3_REGION": self.objects.region,
            "BROADSHEET_S3_ACCESS_KEY": self.objects.access_key,
            "BROADSHEET_S3_SECRET_KEY": self.objects.secret_key,
            "BROADSHEET_S3_BUCKET": INTERNAL_BUCKET,
            "BROADSHEET_OTLP_ENDPOINT": self.collector.url,
            "BROADSHEET_SECRET_KEY": key.read_text(encoding="ascii"),
            "BROADSHEET_SMTP_HOST": self.inbox.host,
            "BROADSHEET_SMTP_PORT": str(self.inbox.port),
            "BROADSHEET_SMTP_TLS": "none",
            # Qlik simulator and object store stand on this machine.
            "BROADSHEET_EGRESS_HOSTS": HOST,
            # One interpreter per service on a small machine: native thread pools would only get in the way.
            "OMP_NUM_THREADS": "1",
            **self.variables,
        }

    def _console_environment(self, port: int) -> dict[str, str]:
        return {
            "BROADSHEET_HTTP_HOST": HOST,
            "BROADSHEET_HTTP_PORT": str(port),
            "BROADSHEET_COOKIE_SECURE": "false",
            "BROADSHEET_BOOTSTRAP_ADMIN_EMAIL": ADMIN_EMAIL,
            "BROADSHEET_BOOTSTRAP_ADMIN_PASSWORD": self.admin_password,
        }

    def settings(self) -> RuntimeSettings:
        """Return the runtime's settings as the services read them."""
        prefix = "BROADSHEET_"
        values = {
            name.removeprefix(prefix).lower(): value
            for name, value in self.environment().items()
            if name.startswith(prefix)
        }
        return RuntimeSettings.model_validate(values)

    async def start(self) -> None:
        """Start servers, create topics, start services; return when all are ready.

        Raises StandaloneError that says which one did not come up and where its log is.
        """
        await self.servers.start()
        await topics.apply(self.settings(), replication=1, change_config=False)
        await self.services.start()

    async def stop(self) -> None:
        """Stop services, then servers."""
        await self.services.stop()
        await self.servers.stop()

    async def __aenter__(self) -> Self:
        """Start; stop again when starting fails."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()
