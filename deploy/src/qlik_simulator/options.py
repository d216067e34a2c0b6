"""The command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How the simulator is started. Port 0 means any free port."""

    host: str = "127.0.0.1"
    port: int = 4848
    http_port: int = 4849
    data: tuple[str, ...] = ("flights",)
    api_keys: tuple[tuple[str, str], ...] = (("sim-api-key", "CLOUD\\sim-user"),)  # (key, user)
    trust_user_header: bool = True
    session_idle: float = 1800.0


def read_options(arguments: Sequence[str]) -> Options:
    """Read the command line; a wrong one ends the process with a message, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="python -m qlik_simulator", description="A stand-in for Qlik Sense, for tests and the demo."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4848, help="engine WebSocket port; 0 for any")
    parser.add_argument("--http-port", type=int, default=4849, help="repository and control port; 0 for any")
    parser.add_argument("--data", action="append", help="'flights' or a folder with tables; may be repeated")
    parser.add_argument(
        "--api-key", action="append", metavar="KEY=USER", help="a bearer token and whose it is"
    )
    parser.add_argument(
        "--no-user-header", action="store_true", help="do not trust X-Qlik-User (no certificate mode)"
    )
    parser.add_argument(
        "--session-idle", type=float, default=1800.0, help="seconds a session without ttl lingers"
    )
    given = parser.parse_args(arguments)
    keys = []
    for pair in given.api_key or ["sim-api-key=CLOUD\\sim-user"]:
        key, equals, user = pair.partition("=")
        if not (key and equals and user):
            parser.error(f"--api-key {pair}: KEY=USER expected")
        keys.append((key, user))
    return Options(
        host=given.host,
        port=given.port,
        http_port=given.http_port,
        data=tuple(given.data or ["flights"]),
        api_keys=tuple(keys),
        trust_user_header=not given.no_user_header,
        session_idle=given.session_idle,
    )
