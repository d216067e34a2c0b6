"""The names that tags can show about a report itself, in templates, names of files, mails and passwords.

Every name has one owner, this module: what it means, where it can stand, and how it may be written. The table
of the documentation, the check of what people save, and the errors are made from it.

There are two ways to write a name, and both work everywhere: with ``meta.`` in front and without. What is
asked for most has a short form: ``meta.report`` is ``report.name``. In a template a data item of the report
hides a name of the same spelling without ``meta.``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from typing import TypeAlias

from rendering.model import Meta

ROOT = "meta"
Path: TypeAlias = tuple[str, ...]
Facts: TypeAlias = Mapping[str, "str | date | time | Facts"]
"""What names mean for one text; a name is a path through it, such as ``recipient``, ``name``."""


class Place(StrEnum):
    """Where a tag can stand."""

    TEMPLATE = "template"
    FILE_NAME = "file name"
    FOLDER = "storage path"
    SUBJECT = "mail subject"
    BODY = "mail body"
    PASSWORD = "password"  # noqa: S105 - the name of a place


_FILES = (Place.TEMPLATE, Place.FILE_NAME, Place.FOLDER)
_MAILS = (Place.SUBJECT, Place.BODY)
_EVERYWHERE = (*_FILES, *_MAILS)
_PEOPLE = (Place.TEMPLATE, Place.FILE_NAME, *_MAILS, Place.PASSWORD)


@dataclass(frozen=True, slots=True)
class Name:
    """One name. A path that ends in ``*`` stands for every name of an attribute or a secret."""

    path: Path
    type: str
    meaning: str
    places: tuple[Place, ...]
    example: str

    @property
    def spelled(self) -> str:
        """How it is written without ``meta.``."""
        return ".".join(self.path).replace("*", "<name>")


NAMES: tuple[Name, ...] = (
    Name(("report", "name"), "text", "the name of the report", _FILES, "Sales by region"),
    Name(("report", "format"), "text", "the format of the file", _FILES, "xlsx"),
    Name(("task", "name"), "text", "the name of the task", _EVERYWHERE, "Weekly sales"),
    Name(("task", "id"), "text", "the id of the task", _EVERYWHERE, "weekly-sales"),
    Name(("execution", "id"), "text", "the id of the execution", _EVERYWHERE, "0b8ff3a2c1d94e5f"),
    Name(
        ("iteration", "value"),
        "text",
        "the value this file is made for; empty without iteration",
        (*_FILES, Place.PASSWORD),
        "North",
    ),
    Name(("iteration", "field"), "text", "the field of the iteration; empty without", _FILES, "region"),
    Name(
        ("filters",), "text", "the selected values other than the iteration's, joined by '-'", _FILES, "2026"
    ),
    Name(
        ("now",),
        "date and time",
        "when the run was due, in the time zone of its trigger; a late run keeps its date",
        _EVERYWHERE,
        "2026-11-22 07:30",
    ),
    Name(("date",), "date", "the date of `now`", _EVERYWHERE, "2026-11-22"),
    Name(("time",), "time", "the hours and minutes of `now`", _EVERYWHERE, "07:30"),
    Name(("recipient", "name"), "text", "the person the file or mail is for", _PEOPLE, "Ada Lovelace"),
    Name(("recipient", "email"), "text", "their address", _PEOPLE, "ada@example.org"),
    Name(("recipient", "attributes", "*"), "text", "one of their attributes", _PEOPLE, "North"),
    Name(("recipient", "secrets", "*"), "text", "one of their secrets", (Place.PASSWORD,), ""),
)
SHORT: Mapping[str, str] = {
    "report": "name",
    "task": "name",
    "execution": "id",
    "iteration": "value",
    "recipient": "name",
}
"""What a name alone stands for: ``meta.report`` is ``meta.report.name``."""

_BY_PATH = {name.path: name for name in NAMES}
_PARTS = {place: {name.path[:2] for name in NAMES if place in name.places} for place in Place}
_ANY = "*"


def canonical(path: Path) -> Path:
    """Return a path without ``meta`` in front and with the part that a short form leaves out."""
    parts = path[1:] if path[:1] == (ROOT,) else path
    return (*parts, SHORT[parts[0]]) if len(parts) == 1 and parts[0] in SHORT else parts


def find(path: Path, place: Place) -> Name | None:
    """Return what a path names at a place; None when there is no such name there."""
    parts = canonical(path)
    name = _BY_PATH.get(parts) or _BY_PATH.get((*parts[:-1], _ANY))
    return name if name is not None and place in name.places else None


def known(place: Place) -> str:
    """Return the names there are at a place, for an error."""
    return ", ".join(name.spelled for name in NAMES if place in name.places)


def begins_a_name(path: Path) -> bool:
    """Whether a path of a template is a name, or the beginning of one such as ``recipient.attributes``."""
    parts = canonical(path)
    named = (name.path for name in NAMES if Place.TEMPLATE in name.places)
    return find(path, Place.TEMPLATE) is not None or any(each[: len(parts)] == parts for each in named)


def facts(meta: Meta, place: Place = Place.TEMPLATE) -> Facts:
    """Return what the names mean at a place. Without a recipient a template shows empty texts for one."""
    everything: dict[str, str | date | time | Facts] = {
        "report": {"name": meta.report, "format": meta.format},
        "task": {"name": meta.task, "id": meta.task_id},
        "execution": {"id": meta.execution_id},
        "iteration": {"value": meta.iteration, "field": meta.iteration_field},
        "filters": meta.filters,
        "now": meta.now,
        "date": meta.now.date(),
        "time": meta.now.time(),
    }
    if meta.recipient or place is Place.TEMPLATE:
        everything["recipient"] = {
            "name": meta.recipient,
            "email": meta.email,
            "attributes": meta.attributes,
        }
    known_there = _PARTS[place]
    found: dict[str, str | date | time | Facts] = {}
    for key, value in everything.items():
        if not isinstance(value, Mapping):
            if (key,) in known_there:
                found[key] = value
        elif parts := {part: each for part, each in value.items() if (key, part) in known_there}:
            found[key] = parts
    return found


def look_up(path: Path, known_facts: Facts) -> str | date | time | None:
    """Return what a path means; None when nothing of that name is there."""
    found: str | date | time | Facts = known_facts
    for part in path[1:] if path[:1] == (ROOT,) else path:
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    if isinstance(found, Mapping):
        rest = found.get(SHORT.get(path[-1], ""))
        return None if rest is None or isinstance(rest, Mapping) else rest
    return found


def names_in(known_facts: Facts, prefix: str = "") -> Iterable[str]:
    """Yield the names that have a meaning, as they are written."""
    for key, value in known_facts.items():
        if isinstance(value, Mapping):
            yield from names_in(value, f"{prefix}{key}.")
        else:
            yield prefix + key
