"""Names that templates use for what Qlik calls otherwise."""

import re
from collections.abc import Sequence

RESERVED_COLUMNS = frozenset({"rows", "count", "totals"})
"""Names that mean something else after the name of a table."""
_NO_NAME = re.compile(r"\W+")


def column_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the name of each column of a Qlik object: its label in letters, digits and '_', once each."""
    taken = set(RESERVED_COLUMNS)
    names: list[str] = []
    for label in labels:
        base = _NO_NAME.sub("_", label).strip("_") or "column"
        if base[0].isdigit():
            base = f"column_{base}"
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names.append(name)
    return tuple(names)
