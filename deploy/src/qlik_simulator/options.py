"""The command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_KEY: Final = ("sim-api-key", "CLOUD\\sim-user")
_CLIENT: Final = ("sim-client", "sim-secret")


@dataclass(frozen=True)
class Options:
    """How the simulator is started. Port 0 means any free port."""

    host: str = "127.0.0.1"
    port: int = 4848
    http_port: int = 4849
    data: tuple[str, ...] = ("flights",)
    api_keys: tuple[tuple[str, str], ...] = (_KEY,)  # (key, user)
    clients: tuple[tuple[str, str], ...] = (_CLIENT,)  # (OAuth client id, secret)
    jwt_key: str = ""  # file with the public key, PEM
    trust_user_header: bool = True
    session_idle: float = 1800.0
    record: str = ""  # folder for recordings of all frames; else what QLIK_SIMULATOR_RECORD names


def read_options(arguments: Sequence[str]) -> Options:
    """Read the command line; a wrong one ends the process with a message, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="python -m qlik_simulator", description="A stand-in for Qlik Sense, for tests and the demo."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4848, help="engine WebSocket port; 0 for any")
    parser.add_argument("--http-port", type=int, default=4849, help="port of everything else; 0 for any")
    parser.add_argument("--data", action="append", help="'flights' or a folder with tables; may be repeated")
    parser.add_argument(
        "--api-key", action="append", metavar="KEY=USER", help="a bearer token and whose it is"
    )
    parser.add_argument(
        "--oauth-client", action="append", metavar="ID=SECRET", help="an OAuth client of the tenant"
    )
    parser.add_argument(
        "--jwt-key", default="", metavar="FILE", help="public key that signs JWTs for the proxy"
    )
    parser.add_argument(
        "--no-user-header", action="store_true", help="do not trust X-Qlik-User (no certificate mode)"
    )
    parser.add_argument(
        "--session-idle", type=float, default=1800.0, help="seconds a session without ttl lingers"
    )
    parser.add_argument(
        "--record", default="", metavar="FOLDER", help="write every frame to a file in this folder"
    )
    given = parser.parse_args(arguments)
    return Options(
        host=given.host,
        port=given.port,
        http_port=given.http_port,
        data=tuple(given.data or ["flights"]),
        api_keys=_pairs(parser, "--api-key", given.api_key) or (_KEY,),
        clients=_pairs(parser, "--oauth-client", given.oauth_client) or (_CLIENT,),
        jwt_key=given.jwt_key,
        trust_user_header=not given.no_user_header,
        session_idle=given.session_idle,
        record=given.record,
    )


def _pairs(
    parser: argparse.ArgumentParser, name: str, given: Sequence[str] | None
) -> tuple[tuple[str, str], ...]:
    found = []
    for pair in given or []:
        left, _, right = pair.partition("=")
        if not (left and right):
            parser.error(f"{name} {pair}: two parts joined by '=' expected")
        found.append((left, right))
    return tuple(found)
