"""What the settings of a Qlik site have to be, according to the client that will use them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, SecretStr

from config_api.domain.errors import Problem
from config_api.domain.wording import words_of
from contracts.configuration import ConnectionKind
from qlik.site import QlikSite
from runtime.sites import SiteFault, read_site


def check_site(kind: ConnectionKind, settings: Mapping[str, Any], secrets: Sequence[str]) -> list[Problem]:
    """Return what is wrong with the settings of a site; `secrets` are the dotted paths that are set."""
    whole = _copy(settings)
    for path in secrets:
        if not _place(whole, path.split(".")):
            return [
                Problem(
                    f"secrets.{path}",
                    "This is not a place in the settings.",
                    "Name the secret by its path in the settings, with dots, such as auth.key_pem.",
                )
            ]
    site = read_site(kind, whole)
    if not isinstance(site, QlikSite):
        return [_problem(fault, secrets) for fault in site]
    return [
        Problem(
            f"settings.{path}",
            "This is a secret, and settings are shown to every developer.",
            f"Send it in 'secrets' as {path!r}.",
        )
        for path in _secret_paths(site, "")
        if path not in secrets
    ]


def _problem(fault: SiteFault, secrets: Sequence[str]) -> Problem:
    where = "secrets" if fault.path in secrets else "settings"
    message, remedy = words_of(fault.type, fault.context)
    if fault.missing:
        remedy = "Add it to 'settings', or to 'secrets' if it is secret."
    return Problem(f"{where}.{fault.path}" if fault.path else where, message, remedy)


def _place(whole: dict[str, Any], steps: Sequence[str]) -> bool:
    *parents, last = steps
    for step in parents:
        child = whole.setdefault(step, {})
        if not isinstance(child, dict):
            return False
        whole = child
    if isinstance(whole.get(last), dict):
        return False
    whole[last] = "set"
    return True


def _copy(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in settings.items()}


def _secret_paths(model: BaseModel, path: str) -> Iterator[str]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        place = f"{path}.{name}" if path else name
        if isinstance(value, SecretStr):
            yield place
        elif isinstance(value, BaseModel):
            yield from _secret_paths(value, place)
