"""A stored connection as the Qlik client takes it: secrets opened, faults told without what was entered.

The one module here that knows the Qlik client; whoever imports it needs the extra `qlik`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from contracts.configuration import Connection, ConnectionKind
from qlik.errors import ConfigurationError
from qlik.errors import Transient as SiteAway
from qlik.reach import Reach
from qlik.site import QlikSite
from runtime.egress import Egress, EgressRefused
from runtime.errors import Permanent, Transient
from runtime.secrets import Sealer, placed

_FAULTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class SiteFault:
    """One thing wrong with the settings of a site; `path` is dotted, empty for the settings as a whole."""

    path: str
    message: str
    missing: bool = False
    type: str = field(default="", compare=False)
    """As pydantic calls the fault."""
    context: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """As pydantic gives it for the type."""


def read_site(kind: ConnectionKind, settings: Mapping[str, Any]) -> QlikSite | tuple[SiteFault, ...]:
    """Return the site that settings describe, or what is wrong with them; never with a value in it."""
    try:
        return QlikSite.model_validate({**settings, "kind": kind.value})
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        return tuple(
            SiteFault(
                _path(fault["loc"]),
                fault["msg"],
                missing=fault["type"] == "missing",
                type=fault["type"],
                context=fault.get("ctx", {}),
            )
            for fault in faults
        )


def site_of(connection: Connection, sealer: Sealer | None) -> QlikSite:
    """Return the site of a connection, its secrets opened in memory; `sealer` is None if there is no key.

    Raises Permanent: `secret-unreadable`, `secret-elsewhere` or `secret-misplaced` for its secrets,
    `connection-invalid` when the settings do not fit.
    """
    if connection.sealed and sealer is None:
        raise Permanent(
            "secret-unreadable",
            f"the connection {connection.name!r} has secrets, but this service has no key to open them",
            "set BROADSHEET_SECRET_KEY to the key of the console",
        )
    secrets = sealer.secrets_of(connection, connection.sealed) if sealer else {}
    site = read_site(connection.kind, placed(connection.settings, secrets))
    if isinstance(site, QlikSite):
        return site
    told = "; ".join(f"{fault.path}: {fault.message}".removeprefix(": ") for fault in site[:_FAULTS_SHOWN])
    raise Permanent(
        "connection-invalid",
        f"the settings of the connection {connection.name!r} do not fit: {told}",
        "correct the connection in the console; a secret that was cleared has to be entered again",
    )


def reach_of(egress: Egress) -> Reach:
    """Return which addresses clients of Qlik sites may connect to, with refusals in the client's words."""

    async def reach(host: str, port: int) -> Sequence[str]:
        try:
            return await egress.addresses(host, port)
        except EgressRefused as refusal:
            raise ConfigurationError(refusal.message, code=refusal.code, remedy=refusal.remedy) from None
        except Transient as error:
            raise SiteAway(str(error), code="unreachable") from None

    return reach


def _path(steps: tuple[int | str, ...]) -> str:
    # The union's tag stands in the path of pydantic's errors, and not in what was entered.
    return ".".join(str(step) for index, step in enumerate(steps) if not (index == 1 and steps[0] == "auth"))
