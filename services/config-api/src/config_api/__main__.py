"""`python -m config_api` serves; its commands make the first administrator, verify, query and rebuild."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from config_api.app import NAME, Parts, assemble, build, prepare
from config_api.domain.errors import InvalidError, RefusedError
from config_api.domain.rights import Actor, Role
from config_api.handlers.problems import problem_body
from config_api.handlers.rest_admin import audit_record, head_of, verdict_body
from config_api.ports import AuditQuery
from config_api.reference import markdown
from config_api.settings import ConfigApiSettings
from config_api.use_cases.identity import COMMAND
from runtime.errors import Permanent, Transient
from runtime.logs import configure_logging
from runtime.objects import open_objects
from runtime.service import Service
from runtime.store import open_store

MOST_RECORDS = 10**15


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; exit status 0 when it did what was asked, 1 when not, 2 when it was asked wrongly."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "reference":
            print(markdown(), end="")
            return 0
        settings = ConfigApiSettings()
        if options.command is None:
            asyncio.run(Service(NAME, settings).run(build(settings)))
            return 0
        return asyncio.run(_command(settings, options))
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = ".".join(str(part) for part in fault["loc"]).upper()
            print(f"BROADSHEET_{name}: {fault['msg']}" if name else fault["msg"], file=sys.stderr)
        return 2
    except InvalidError as refusal:
        for problem in refusal.problems:
            print(f"{problem.field}: {problem.message}; {problem.remedy}", file=sys.stderr)
    except RefusedError as refusal:
        print(f"{refusal.message} {refusal.remedy}", file=sys.stderr)
    except (Transient, Permanent, ValueError) as error:
        print(error, file=sys.stderr)
    return 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(prog="python -m config_api", description=__doc__)
    commands = whole.add_subparsers(dest="command", metavar="command")

    admin = commands.add_parser("create-admin", help="make an account; the password comes on standard input")
    admin.add_argument("--email", required=True)
    admin.add_argument("--password-stdin", action="store_true", required=True)
    admin.add_argument("--role", choices=[role.value for role in Role], default=Role.ADMIN.value)
    admin.add_argument("--recipient", help="id of the recipient whose Hub files the account sees")

    key = commands.add_parser("create-api-key", help="make an API key of an account; prints it, once")
    key.add_argument("--email", required=True, help="the account the key acts for")
    key.add_argument("--name", required=True)
    key.add_argument("--role", choices=[role.value for role in Role], default=Role.DEVELOPER.value)
    key.add_argument("--days", type=int, default=90)

    audit = commands.add_parser("audit", help="verify or query the audit trail")
    tasks = audit.add_subparsers(dest="audit_command", required=True, metavar="verify|query")
    verify = tasks.add_parser("verify", help="compute the chain again; names the first broken record")
    verify.add_argument("--expect", metavar="SEQ:HASH", help="a head noted earlier, kept elsewhere")
    query = tasks.add_parser("query", help="print records as JSON lines")
    for name in ("execution", "task", "recipient", "type", "event"):
        query.add_argument(f"--{name}")
    query.add_argument("--since", type=datetime.fromisoformat, help="RFC 3339")
    query.add_argument("--until", type=datetime.fromisoformat, help="RFC 3339")
    query.add_argument("--after", type=int, default=0, metavar="SEQ")
    query.add_argument("--limit", type=int, default=1000)

    commands.add_parser(
        "reseal", help="encrypt every stored secret with the newest key; prints counts, and can be run again"
    )
    commands.add_parser("reference", help="print the REST reference as Markdown")
    commands.add_parser("rebuild", help="delete every view and build it anew from the audit trail")
    return whole


async def _command(settings: ConfigApiSettings, options: argparse.Namespace) -> int:
    # To standard error, so that standard output holds the answer and nothing else.
    configure_logging(NAME, level="warning", json=settings.log_format == "json")
    async with _parts(settings) as parts:
        match options.command:
            case "create-admin":
                return await _create_admin(parts, options)
            case "create-api-key":
                return await _create_key(parts, options)
            case "reseal":
                return await _reseal(parts)
            case "audit" if options.audit_command == "verify":
                return await _verify(parts, options)
            case "audit":
                return await _query(parts, options)
            case _:
                print(f"rebuilt up to record {await parts.projector.rebuild()}")
                return 0


@asynccontextmanager
async def _parts(settings: ConfigApiSettings) -> AsyncIterator[Parts]:
    uri = settings.mongo_uri.get_secret_value()
    async with (
        open_store(uri, settings.mongo_database, driver=settings.store_driver) as store,
        open_objects(settings) as objects,
    ):
        await prepare(store)
        yield assemble(settings, store, objects)


async def _create_admin(parts: Parts, options: argparse.Namespace) -> int:
    password = (await asyncio.to_thread(sys.stdin.readline)).rstrip("\n")
    account = await parts.identity.create_account(
        options.email, password, Role(options.role), options.recipient, COMMAND
    )
    print(f"created {account.role.value} {account.email} ({account.id})")
    return 0


async def _create_key(parts: Parts, options: argparse.Namespace) -> int:
    wanted = options.email.strip().lower()
    for account in await parts.identity.accounts(COMMAND):
        if account.email == wanted:
            actor = Actor(account.id, account.email, account.role, account.recipient_id, COMMAND.via)
            _, text = await parts.identity.create_key(options.name, Role(options.role), options.days, actor)
            print(text)
            return 0
    print(f"There is no account {wanted!r}; make it with create-admin.", file=sys.stderr)
    return 1


async def _reseal(parts: Parts) -> int:
    done = await parts.resealing.run(COMMAND)
    answer = {
        "newest_key": done.key_id,
        "complete": done.complete,
        "collections": done.counts,
        "unreadable": [problem_body(each) for each in done.unreadable],
        "older_keys_can_go": f"{done.older_keys_until:%Y-%m-%dT%H:%M:%SZ}" if done.complete else None,
    }
    print(json.dumps(answer))
    return 0 if done.complete else 1


async def _verify(parts: Parts, options: argparse.Namespace) -> int:
    verdict = await parts.audit.verify(COMMAND, head_of(options.expect))
    print(json.dumps(verdict_body(verdict)))
    return 0 if verdict.intact else 1


async def _query(parts: Parts, options: argparse.Namespace) -> int:
    query = AuditQuery(
        execution_id=options.execution,
        task_id=options.task,
        recipient_id=options.recipient,
        type=options.type,
        event_id=options.event,
        since=_aware(options.since),
        until=_aware(options.until),
        # The store keeps 64 bits.
        after=min(max(options.after, 0), MOST_RECORDS),
        limit=min(max(options.limit, 1), MOST_RECORDS),
    )
    async for record in parts.audit.find(query, COMMAND):
        line: dict[str, Any] = audit_record(record)
        try:
            print(json.dumps(line, default=datetime.isoformat))
        except BrokenPipeError:
            # Whoever reads has seen enough, as `| head` does; nothing is left to be flushed.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            break
    return 0


def _aware(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise ValueError(
            f"{moment.isoformat()} has no offset; write it as RFC 3339 asks, ending in Z for UTC"
        )
    return moment


if __name__ == "__main__":
    raise SystemExit(main())
