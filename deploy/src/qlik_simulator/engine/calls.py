"""What a method gets and how it is described: receivers, parameters, results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from qlik_simulator.apps.app import GenericObject
from qlik_simulator.domain.errors import Code, QixError
from qlik_simulator.domain.formats import to_serial
from qlik_simulator.engine.document import Document
from qlik_simulator.engine.layout import Layouts
from qlik_simulator.engine.session import EngineSession
from qlik_simulator.site import Site

Json = dict[str, Any]
Kind = Literal["Global", "Doc", "Field", "GenericObject", "GenericVariable", "GenericBookmark"]
LibraryKind = Literal["GenericDimension", "GenericMeasure"]
NO_OBJECT: Json = {"qType": None, "qHandle": None}  # what the engine answers for something that is not there


@dataclass(frozen=True)
class Target:
    """What a handle stands for."""

    kind: Kind | LibraryKind
    id: str = ""
    state: str = "$"
    type: str = ""


class Handles(Protocol):
    """The handles of one socket."""

    def give(self, target: Target) -> Json:
        """The ``ObjectInterface`` of a target, with the same handle every time."""

    def release(self, object_ids: set[str]) -> None:
        """Objects are gone; their handles are reported as closed."""


@dataclass(frozen=True)
class Call:
    """One request: who calls, on what, with which parameters (by name)."""

    site: Site
    session: EngineSession
    handles: Handles
    target: Target
    params: Mapping[str, Any]
    changed: Callable[[], None]

    @property
    def document(self) -> Document:
        """The open app; error 1007 when there is none."""
        if self.session.document is None:
            raise QixError(Code.APP_INVALID, "No active document")
        return self.session.document

    @property
    def object(self) -> GenericObject:
        """The object the handle stands for; error 2 when it is gone."""
        found = self.document.object(self.target.id)
        if found is None:
            raise QixError(Code.NOT_FOUND, self.target.id)
        return found

    @property
    def now(self) -> float:
        """The moment of the call as a serial number."""
        return to_serial(self.site.now())

    def layouts(self) -> Layouts:
        """A snapshot of the document to make layouts of."""
        return Layouts(self.document, self.now)

    def text(self, name: str, default: str = "") -> str:
        """A text parameter."""
        value = self.params.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise QixError(Code.INVALID_PARAMS, f"{name} has to be a text")
        return value

    def flag(self, name: str) -> bool:
        """A boolean parameter; missing is false."""
        return bool(self.params.get(name))

    def number(self, name: str, default: float = 0.0) -> float:
        """A number parameter."""
        value = self.params.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise QixError(Code.INVALID_PARAMS, f"{name} has to be a number")
        return value

    def items(self, name: str) -> list[Any]:
        """A list parameter."""
        value = self.params.get(name) or []
        if not isinstance(value, list):
            raise QixError(Code.INVALID_PARAMS, f"{name} has to be a list")
        return value

    def structure(self, name: str) -> Json:
        """An object parameter."""
        value = self.params.get(name)
        if not isinstance(value, dict):
            raise QixError(Code.INVALID_PARAMS, f"{name} has to be an object")
        return value

    def integers(self, name: str) -> list[int]:
        """A list of integers."""
        values = self.items(name)
        if not all(isinstance(value, int) for value in values):
            raise QixError(Code.INVALID_PARAMS, f"{name} has to be a list of integers")
        return values

    def pages(self) -> list[Mapping[str, Any]]:
        """The ``qPages`` parameter."""
        pages = self.items("qPages")
        if not all(isinstance(page, dict) for page in pages):
            raise QixError(Code.INVALID_PARAMS, "qPages has to be a list of pages")
        return pages


Work = Callable[[], Json]
Run = Callable[[Call], Json | Work]


@dataclass(frozen=True)
class Method:
    """A method: its parameters in order (``name?`` is optional) and what it does.

    ``run`` answers at once, or gives the work to be done on a snapshot in another thread; such work is
    aborted (error 15) when the session changes meanwhile.
    """

    run: Run
    parameters: tuple[str, ...] = ()

    def arguments(self, given: Any) -> dict[str, Any]:
        """Parameters by name, from a list or an object. Raises error -32602."""
        names = [name.removesuffix("?") for name in self.parameters]
        if isinstance(given, dict):
            found = dict(given)
        elif isinstance(given, list):
            if len(given) > len(names):
                raise QixError(Code.INVALID_PARAMS, f"{len(given)} parameters given, {len(names)} known")
            found = dict(zip(names, given, strict=False))
        else:
            raise QixError(Code.INVALID_PARAMS, "params has to be a list or an object")
        missing = [name for name in self.parameters if not name.endswith("?") and name not in found]
        if missing:
            raise QixError(Code.INVALID_PARAMS, f"Missing Parameter(s): {', '.join(missing)}")
        return found


def method(run: Run, *parameters: str) -> Method:
    """Describe a method."""
    return Method(run, parameters)
