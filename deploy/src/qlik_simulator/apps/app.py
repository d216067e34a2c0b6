"""An app of the simulated site: its data, its objects and master items, and when it was loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from qlik_simulator.apps.access import Reduction, reduced
from qlik_simulator.domain.model import DataModel

Json = dict[str, Any]


@dataclass
class GenericObject:
    """A generic object: its properties, and the ids of its children."""

    properties: Json
    children: list[str] = field(default_factory=list)
    parent: str | None = None
    is_session: bool = False
    soft_patched: Json | None = None  # the properties with soft patches applied

    @property
    def id(self) -> str:
        """The id of the object."""
        return str(self.properties["qInfo"]["qId"])

    @property
    def type(self) -> str:
        """The type of the object, such as ``sheet`` or ``barchart``."""
        return str(self.properties["qInfo"].get("qType", ""))

    @property
    def effective(self) -> Json:
        """The properties that the layout is made of."""
        return self.properties if self.soft_patched is None else self.soft_patched


@dataclass
class Variable:
    """A variable of the script or of the app."""

    id: str
    name: str
    definition: str
    comment: str = ""
    is_script_created: bool = True


@dataclass
class App:
    """An app of the site. A reload replaces ``model`` and ``last_reload_time``; the rest stays."""

    id: str
    name: str
    model: DataModel
    last_reload_time: datetime
    owner: str = "INTERNAL\\sa_repository"
    description: str = ""
    stream: str = "Everyone"
    objects: dict[str, GenericObject] = field(default_factory=dict)
    dimensions: dict[str, Json] = field(default_factory=dict)
    measures: dict[str, Json] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    bookmarks: dict[str, Json] = field(default_factory=dict)
    access: Mapping[str, Reduction] | None = None  # who may open it and what of it; None means everybody, all
    without_data: frozenset[str] = frozenset()  # who may open it and sees no row of it
    always_one: frozenset[str] = frozenset()  # fields in which one value is always selected
    numbers_by_text: bool = True  # whether SelectValues finds a number or a date by its text
    says_true: bool = False  # whether SelectValues answers true though nothing was found

    def seen_by(self, user: str) -> DataModel | None:
        """The data as a user may see it; None when the user may not open the app."""
        if user in self.without_data:
            return self.model.without_rows()
        if self.access is None:
            return self.model
        reduction = self.access.get(user)
        return None if reduction is None else reduced(self.model, reduction)

    @property
    def has_section_access(self) -> bool:
        """Whether somebody sees less than everything."""
        return self.access is not None and any(self.access.values())


def add_tree(objects: dict[str, GenericObject], tree: Json, parent: str | None = None) -> None:
    """Add an object and its children, given as ``{"qProperty": .., "qChildren": [..]}``."""
    made = GenericObject(tree["qProperty"], parent=parent)
    objects[made.id] = made
    for child in tree.get("qChildren", []):
        made.children.append(str(child["qProperty"]["qInfo"]["qId"]))
        add_tree(objects, child, parent=made.id)
