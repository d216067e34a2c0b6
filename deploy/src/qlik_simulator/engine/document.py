"""An app as one session sees it.

The data of the moment it was opened, selections, variables, session objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qlik_simulator.apps.app import App, GenericObject, Variable
from qlik_simulator.domain.compiler import Context
from qlik_simulator.domain.model import DataModel
from qlik_simulator.domain.selections import NOTHING, Selection, Selections

Json = dict[str, Any]


@dataclass
class Document:
    """The state of an open app in one session. Every socket of the session shares it."""

    app: App
    model: DataModel
    last_reload_time: str
    no_data: bool = False
    is_session_app: bool = False
    states: dict[str, Selections] = field(default_factory=lambda: {"$": NOTHING})
    variables: dict[str, Variable] = field(default_factory=dict)
    session_objects: dict[str, GenericObject] = field(default_factory=dict)
    temporary_bookmarks: dict[str, Json] = field(default_factory=dict)
    back: list[Selections] = field(default_factory=list)
    forward: list[Selections] = field(default_factory=list)
    modal: frozenset[tuple[str, str]] = frozenset()  # (object id, path) in selection mode
    before_modal: dict[str, Selections] | None = None
    searches: dict[tuple[str, str], str] = field(default_factory=dict)  # (object id, path) -> search text
    expanded: dict[tuple[str, str], frozenset[tuple[int, ...]]] = field(default_factory=dict)

    def object(self, object_id: str) -> GenericObject | None:
        """A session object or an object of the app."""
        return self.session_objects.get(object_id) or self.app.objects.get(object_id)

    def objects(self) -> dict[str, GenericObject]:
        """All objects by id."""
        return {**self.app.objects, **self.session_objects}

    def variable(self, name: str) -> Variable | None:
        """The variable of that name."""
        return next((found for found in self.variables.values() if found.name == name), None)

    def context(self, now: float, state: str = "$") -> Context:
        """What expressions are evaluated against, as a snapshot that later selections do not change."""
        return Context(
            model=self.model,
            states=dict(self.states),
            state=state,
            variables={found.name: found.definition for found in self.variables.values()},
            now=now,
        )

    def library(self, kind: str, item_id: str) -> Mapping[str, Any] | None:
        """The definition inside a master dimension or measure."""
        item = (self.app.dimensions if kind == "dimension" else self.app.measures).get(item_id)
        if item is None:
            return None
        found: Mapping[str, Any] = item["qDim" if kind == "dimension" else "qMeasure"]
        return found

    def with_always_one(self, selections: Selections, before: Selections = NOTHING) -> Selections:
        """The same with one value in every field that always has one: the one before, else the first."""
        for name in sorted(self.app.always_one):
            of, chosen = self.model.field(name), selections.get(name)
            if of is None or of.size == 0 or (chosen is not None and len(chosen.elements) == 1):
                continue
            earlier = before.get(name)
            element = min(chosen.elements if chosen else earlier.elements if earlier else {0})
            kept = Selection(frozenset({element}), locked=chosen is not None and chosen.locked)
            selections = selections.put(name, kept)
        return selections

    def select(self, state: str, after: Selections) -> bool:
        """Put a new selection state in place; the answer says whether anything changed."""
        after = self.with_always_one(after, before=self.states[state])
        if self.states[state] == after:
            return False
        if state == "$":
            self.back.append(self.states["$"])
            self.forward.clear()
        self.states[state] = after
        return True
