"""Which files of the Hub a person sees."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in the Hub, with what is needed to show and to fetch it."""

    id: str
    series: str
    report_name: str
    task_name: str
    iteration_value: str | None
    published_at: datetime
    keep: int
    visible_to: tuple[str, ...]
    file_name: str
    size: int
    artifact: Mapping[str, Any]


def shown(files: Iterable[HubFile], recipient_id: str) -> list[list[HubFile]]:
    """Return the files a recipient sees: a list per series, newest version first, newest series first.

    Only files made for the recipient count, so that somebody else's version never pushes one's own out.
    How many are kept is what the newest version says; 0 keeps all.
    """
    series: dict[str, list[HubFile]] = defaultdict(list)
    for file in files:
        if recipient_id in file.visible_to:
            series[file.series].append(file)
    kept = []
    for versions in series.values():
        versions.sort(key=lambda file: (file.published_at, file.id), reverse=True)
        kept.append(versions[: versions[0].keep] if versions[0].keep else versions)
    return sorted(kept, key=lambda versions: (versions[0].published_at, versions[0].id), reverse=True)
