"""`python -m qlik check SITE.json`: does this connection work, and if not, what is to be done."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
from pydantic import ValidationError

from qlik.check import check
from qlik.client import QlikClient
from qlik.site import QlikSite

_SIGNS = {"ok": "ok     ", "failed": "FAILED ", "skipped": "skipped"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns 0 if every step worked, 1 if one failed, 2 if the site file is not right.
    """
    parser = argparse.ArgumentParser(prog="python -m qlik", description="Qlik connections of Broadsheet.")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="walk through a connection step by step")
    checking.add_argument(
        "site", type=Path, help="JSON file with the site: kind, engine_url, auth, ...; - for stdin"
    )
    checking.add_argument("--app", help="id of the app to open; otherwise the first visible one")
    given = parser.parse_args(arguments)
    # the steps say it all; the log of retries between them would hide them
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    site = _site(given.site)
    return 2 if site is None else asyncio.run(_check(site, given.app))


def _site(path: Path) -> QlikSite | None:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        print(f"cannot read {path}: {error.strerror}", file=sys.stderr)
        return None
    try:
        return QlikSite.model_validate_json(text)
    except ValidationError as error:
        # the library's own text would show the values, and some of them are secrets
        for fault in error.errors(include_input=False, include_url=False, include_context=False):
            place = ".".join(str(part) for part in fault["loc"]) or "the file"
            print(f"{place}: {fault['msg']}", file=sys.stderr)
        return None


async def _check(site: QlikSite, app_id: str | None) -> int:
    failed = False
    async with QlikClient(site) as client:
        async for step in check(client, app_id=app_id):
            failed = failed or step.outcome == "failed"
            print(f"{_SIGNS[step.outcome]} {step.name}: {step.detail}")
            if step.outcome != "ok" and step.remedy:
                print(f"        -> {step.remedy}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
