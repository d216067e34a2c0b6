"""What the settings of a Qlik site have to be, according to the client that will use them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from config_api.domain.errors import Problem
from contracts.configuration import ConnectionKind
from qlik.site import QlikSite


def check_site(kind: ConnectionKind, settings: Mapping[str, Any], secrets: Sequence[str]) -> list[Problem]:
    """Return what is wrong with the settings of a site; `secrets` are the dotted paths that are set."""
    whole: dict[str, Any] = {**_copy(settings), "kind": kind.value}
    for path in secrets:
        if not _place(whole, path.split(".")):
            return [
                Problem(f"secrets.{path}", "leads nowhere in the settings", "name a place in them, by dots")
            ]
    try:
        site = QlikSite.model_validate(whole)
    except ValidationError as error:
        return [_problem(fault, secrets) for fault in error.errors(include_input=False, include_url=False)]
    return [
        Problem(
            f"settings.{path}",
            "is a secret, and settings are shown to every developer",
            f"send it in 'secrets' as {path!r}",
        )
        for path in _secret_paths(site, "")
        if path not in secrets
    ]


def _problem(fault: Any, secrets: Sequence[str]) -> Problem:
    # The union's tag stands in the path of pydantic's errors, and not in what was sent.
    steps = [str(step) for step in fault["loc"]]
    path = ".".join(step for index, step in enumerate(steps) if not (index == 1 and steps[0] == "auth"))
    where = "secrets" if path in secrets else "settings"
    remedy = "add it; what is secret goes into 'secrets'" if fault["type"] == "missing" else ""
    return Problem(f"{where}.{path}" if path else where, str(fault["msg"]), remedy)


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
