"""`python -m standalone.inbox`: the inbox as a process of its own."""

import argparse
import asyncio
import logging
import os
import secrets
import ssl
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from standalone.inbox.faults import Faults
from standalone.inbox.smtp import Handler, SmtpOptions, SmtpServer
from standalone.inbox.store import Inbox
from standalone.inbox.web import build_web
from standalone.ports import HOST

PASSWORD = "BROADSHEET_INBOX_PASSWORD"  # noqa: S105 - the name of the variable, not a password
_MAX_BYTES = 50 * 1024 * 1024  # twice what the usual mail provider takes


async def serve(arguments: argparse.Namespace) -> None:
    """Run both sides until SIGTERM or Ctrl-C."""
    inbox = Inbox(arguments.folder, clock=lambda: datetime.now(tz=UTC), suffix=lambda: secrets.token_hex(3))
    faults = Faults()
    tls = None
    if arguments.tls_certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(arguments.tls_certificate, arguments.tls_key)
    options = SmtpOptions(
        host=HOST,
        port=arguments.smtp_port,
        max_bytes=arguments.max_bytes,
        user=arguments.user,
        password=os.environ.get(PASSWORD) if arguments.user else None,
        tls=tls,
    )
    smtp = SmtpServer(Handler(inbox, faults), options)
    await smtp.listen()
    print(f"inbox: smtp://{HOST}:{arguments.smtp_port} http://{HOST}:{arguments.http_port}", flush=True)
    web = uvicorn.Config(
        build_web(inbox, faults, smtp),
        host=HOST,
        port=arguments.http_port,
        log_level="warning",
        lifespan="off",
    )
    try:
        await uvicorn.Server(web).serve()
    finally:
        smtp.close()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m standalone.inbox", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where messages are kept")
    parser.add_argument("--smtp-port", type=int, default=2525)
    parser.add_argument("--http-port", type=int, default=8025)
    parser.add_argument("--max-bytes", type=int, default=_MAX_BYTES, help="largest message taken")
    parser.add_argument("--user", help=f"ask for AUTH with this user and the password in {PASSWORD}")
    parser.add_argument("--tls-certificate", type=Path, help="PEM file; offers STARTTLS and insists on it")
    parser.add_argument(
        "--tls-key", type=Path, help="PEM file, when the key is not in the certificate's file"
    )
    arguments = parser.parse_args()
    if arguments.user and not os.environ.get(PASSWORD):
        parser.error(f"--user needs the password in the environment variable {PASSWORD}")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd writes a line for each command
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
