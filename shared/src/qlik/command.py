"""`broadsheet qlik check SITE.json`: does this connection work, and if not, what is to be done."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import structlog
from pydantic import ValidationError

from qlik.check import Step, Wishes, check
from qlik.client import QlikClient
from qlik.errors import ConfigurationError
from qlik.site import QlikSite
from qlik.unsettled import Answer, ask

_SIGNS = {"ok": "ok     ", "failed": "FAILED ", "skipped": "skipped"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns 0 if no step failed, 1 if one failed, 2 if the site file is not right.
    """
    given = _parser().parse_args(arguments)
    # the steps say it all; the log of retries between them would hide them
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    site = _site(given.site)
    if site is None:
        return 2
    wishes = Wishes(given.app, given.object, given.callback)
    return asyncio.run(_check(site, wishes, as_json=given.json, questions=not given.no_questions))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="broadsheet", description="Broadsheet from the command line.")
    areas = parser.add_subparsers(dest="area", required=True)
    commands = areas.add_parser("qlik", help="Qlik connections").add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="walk through a connection step by step")
    checking.add_argument(
        "site", type=Path, help="JSON file with the site: kind, engine_url, auth, ...; - for stdin"
    )
    checking.add_argument("--app", default="", help="id of the app to open; else the first visible one")
    checking.add_argument("--object", default="", help="id of the object to read; else the first with data")
    checking.add_argument(
        "--callback", default="", metavar="URL", help="where the site can reach us, to try its events with"
    )
    checking.add_argument(
        "--no-questions", action="store_true", help="only the steps, not what is open about Qlik"
    )
    checking.add_argument("--json", action="store_true", help="one JSON document in place of lines")
    return parser


def _site(path: Path) -> QlikSite | None:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _say(f"cannot read {path}: {getattr(error, 'strerror', None) or 'no text'}", sys.stderr)
        return None
    try:
        return QlikSite.model_validate_json(text)
    except ValidationError as error:
        # the library's own text would show the values, and some of them are secrets
        for fault in error.errors(include_input=False, include_url=False, include_context=False):
            place = ".".join(str(part) for part in fault["loc"]) or "the file"
            _say(f"{place}: {fault['msg']}", sys.stderr)
        return None


async def _check(site: QlikSite, wishes: Wishes, *, as_json: bool, questions: bool) -> int:
    steps: list[Step] = []
    answers: list[Answer] = []
    try:
        client = QlikClient(site)
    except ConfigurationError as error:  # certificates are read at once
        steps.append(Step("certificates", "failed", error.message, error.remedy))
        _tell(steps[-1], quiet=as_json)
    else:
        async with client:
            async for step in check(client, wishes):
                steps.append(step)
                _tell(step, quiet=as_json)
            if questions and _signed_in(steps):
                if not as_json:
                    _say("\nwhat is open about Qlik, asked of this site:")
                async for answer in ask(client, await _app(client, wishes, steps)):
                    answers.append(answer)
                    _tell_answer(answer, quiet=as_json)
    failed = any(step.outcome == "failed" for step in steps)
    if as_json:
        found = {"steps": [asdict(step) for step in steps], "answers": [asdict(each) for each in answers]}
        _say(json.dumps({"site": site.name, "ok": not failed, **found}, indent=2))
    return 1 if failed else 0


def _signed_in(steps: Sequence[Step]) -> bool:
    return any(step.name == "session" and step.outcome == "ok" for step in steps)


async def _app(client: QlikClient, wishes: Wishes, steps: Sequence[Step]) -> str:
    if not any(step.name == "open an app" and step.outcome == "ok" for step in steps):
        return ""
    return wishes.app_id or next((app.id for app in await client.apps()), "")


def _tell(step: Step, *, quiet: bool) -> None:
    if not quiet:
        _say(f"{_SIGNS[step.outcome]} {step.name}: {step.detail}")
        if step.remedy:
            _say(f"        -> {step.remedy}")


def _tell_answer(answer: Answer, *, quiet: bool) -> None:
    if not quiet:
        told = answer.text if answer.settled else f"not asked: {answer.text}"
        _say(f"   ?    {answer.question}: {told}")


def _say(text: str, stream: TextIO | None = None) -> None:
    # At once, because a step may take a minute and somebody watches.
    out = stream or sys.stdout
    out.write(text + "\n")
    out.flush()
