"""`python -m standalone demo`: the main job, on real servers, from nothing to a table of what arrived."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from standalone.choose import Preference, choose_broker
from standalone.demo.checks import Inbox, Report, check_all
from standalone.demo.configuration import APP_ID, TASK_ID, Places, demo
from standalone.demo.seed import Account, Rest, accounts, seed
from standalone.errors import StandaloneError
from standalone.output import Echo
from standalone.platform import ADMIN_EMAIL, Platform, Ports

ARCHIVE = "report-archive"
DEMO_PORTS = Ports(console=18080, inbox=18025, smtp=12525, collector=14318)
_EXECUTION_S = 600.0
_LISTENING_S = 120.0


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo is run."""

    data: Path
    broker: Preference = "embedded"
    ports: Ports = DEMO_PORTS
    generators: int = 1
    once: bool = False
    verbose: bool = False


async def run(options: Options, echo: Echo) -> int:
    """Run the demo; return 0 when everything arrived exactly once.

    Raises StandaloneError when something could not be started.
    """
    shutil.rmtree(options.data, ignore_errors=True)
    choice = choose_broker(options.data / "broker", prefer=options.broker, message_max_bytes=10 * 1024 * 1024)
    echo(f"broker: {choice}")
    platform = Platform(
        data=options.data,
        broker=choice.server,
        ports=options.ports,
        generators=options.generators,
        buckets=(ARCHIVE,),
        restart="on-failure",
        echo=echo,
        follow_logs=options.verbose,
    )
    async with platform:
        rest = await rest_of(platform)
        people = accounts()
        echo("configuring the task through the REST interface")
        await configure(platform, rest, people)
        execution = await reload_and_wait(platform, rest, echo)
        report = await check_all(
            rest, Inbox(platform.inbox.api_url), platform.objects, people, execution["id"]
        )
        _show(report, execution, echo)
        _show_addresses(platform, people, echo)
        write_client_environment(platform, rest)
        echo(
            f"  tutorial  set -a; . {client_environment(platform)}; set +a   (docs/tutorial/first-report.md)"
        )
        if not options.once:
            await _until_interrupted(echo)
    return 0 if report.passed else 1


async def rest_of(platform: Platform) -> Rest:
    """Return the REST interface as its first administrator; the API key is made on the command line."""
    key = await asyncio.to_thread(
        console_command,
        platform,
        ["create-api-key", "--email", ADMIN_EMAIL, "--name", "demo", "--role", "admin"],
    )
    return Rest(platform.console_url, key.split()[-1])


def console_command(platform: Platform, arguments: list[str]) -> str:
    """Run `python -m config_api ...` against the platform; return what it prints.

    Raises StandaloneError with its words when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "config_api", *arguments],
        env={**os.environ, **platform.environment()},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise StandaloneError(f"python -m config_api {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


async def configure(platform: Platform, rest: Rest, people: list[Account]) -> None:
    """Create everything the demo needs."""
    places = Places(
        engine_url=platform.qlik.engine_url,
        qrs_url=platform.qlik.http_url,
        s3_endpoint=platform.objects.endpoint,
        s3_access_key=platform.objects.access_key,
        s3_secret_key=platform.objects.secret_key,
        archive_bucket=ARCHIVE,
    )
    await seed(rest, demo(places, started=datetime.now(tz=UTC)), people)


async def reload_and_wait(platform: Platform, rest: Rest, echo: Echo) -> dict[str, Any]:
    """Let the simulator reload the app once the listener listens; return the execution when it is over.

    Raises StandaloneError when the listener does not listen or the execution does not end in time.
    """
    listener = platform.processes["qlik-listener"]

    async def listens() -> bool:
        return 'broadsheet_reload_polls_total{connection="qlik",result="ok"}' in await listener.metrics()

    await _until(listens, _LISTENING_S, "the Qlik listener to watch the site")
    echo("the Qlik app is reloaded; the listener has to hear it")
    await platform.qlik.reload(APP_ID)

    seen: dict[str, Any] = {}

    async def over() -> bool:
        found = await rest.call("GET", "/api/v1/executions", params={"task_id": TASK_ID})
        for execution in found["items"]:
            if _progress(execution) != _progress(seen):
                echo(_progress(execution))
            seen.update(execution)
        return seen.get("state") == "completed" and await _mailed(platform, seen)

    await _until(over, _EXECUTION_S, "the execution to complete and its outcome mail to arrive")
    return seen


async def _mailed(platform: Platform, execution: dict[str, Any]) -> bool:
    subject = execution["task_name"]
    return any(
        "bi-team@example.com" in each["rcpt_to"] and subject in each["subject"]
        for each in await Inbox(platform.inbox.api_url).messages()
    )


def _progress(execution: dict[str, Any]) -> str:
    if not execution:
        return ""
    units, deliveries = execution["units"], execution["deliveries"]
    return (
        f"execution {execution['id']}: {execution['state']}, "
        f"reports {units['generated']}+{units['skipped']} of {units['planned']}, "
        f"deliveries {deliveries['succeeded']}+{deliveries['skipped']} of {deliveries['planned']}"
    )


async def _until(condition: Any, seconds: float, what: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(0.5)
    except TimeoutError as error:
        raise StandaloneError(f"waited {seconds:.0f} s in vain for {what}") from error


def _show(report: Report, execution: dict[str, Any], echo: Echo) -> None:
    echo("")
    echo(f"What arrived (execution {execution['id']}, which is also its trace id)")
    width = max(len(check.what) for check in report.checks)
    for check in report.checks:
        mark = "ok  " if check.passed else "FAIL"
        found = check.found if len(check.found) <= 60 else f"{check.found[:57]}..."  # noqa: PLR2004 - a line
        echo(f"  {mark} {check.what.ljust(width)}  {found}")
        if not check.passed:
            echo(f"       expected {check.expected}")
            echo(f"       found    {check.found}")
    echo("everything arrived exactly once" if report.passed else "NOT everything arrived as it should")


def _show_addresses(platform: Platform, people: list[Account], echo: Echo) -> None:
    manager = people[-1]
    url = platform.console_url
    echo("")
    echo(f"  console   {url}/status      sign in as {ADMIN_EMAIL} / {platform.admin_password}")
    echo(f"  Hub       {url}/hub         sign in as {manager.email} / {manager.password}")
    echo(f"                                    or as {people[1].email} / {people[1].password}")
    echo(f"  API       {url}/api/docs")
    echo(f"  inbox     {platform.inbox.api_url}")
    echo(f"  traces    {platform.collector.url}")
    echo(f"  logs      {platform.data}")


def client_environment(platform: Platform) -> Path:
    """Return where the addresses and the API key for a person's first steps are written."""
    return platform.data / "client.env"


def write_client_environment(platform: Platform, rest: Rest) -> None:
    """Write what a shell needs to talk to the demo; readable by its owner only, as it holds a key."""
    lines = {
        "BROADSHEET_URL": platform.console_url,
        "BROADSHEET_API_KEY": rest.key,
        "BROADSHEET_INBOX": platform.inbox.api_url,
    }
    path = client_environment(platform)
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()), encoding="utf-8")


async def _until_interrupted(echo: Echo) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    echo("\nrunning until Ctrl-C")
    with contextlib.suppress(asyncio.CancelledError):
        await over.wait()


def show(text: str) -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


def main(options: Options) -> int:
    """Run the demo from the command line; return the exit status."""
    try:
        return asyncio.run(run(options, show))
    except StandaloneError as error:
        show(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
