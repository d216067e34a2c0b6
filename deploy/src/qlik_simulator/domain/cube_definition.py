"""Reading a ``HyperCubeDef``: what a client asked for, checked and with master items put in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from qlik_simulator.domain.errors import Code, ExpressionError, UnsupportedError
from qlik_simulator.domain.formats import NumberFormat

Library = Callable[[str, str], Mapping[str, Any] | None]  # (kind, id) -> qDim or qMeasure of the master item
MODES: Final = {
    "S": "S",
    "DATA_MODE_STRAIGHT": "S",
    "P": "P",
    "DATA_MODE_PIVOT": "P",
    "K": "K",
    "DATA_MODE_PIVOT_STACK": "K",
    "T": "T",
    "DATA_MODE_TREE": "T",
    "D": "D",
    "DATA_MODE_DYNAMIC": "D",
}


class CubeError(Exception):
    """A cube without rows: the reply is a normal layout that carries ``qError``."""

    def __init__(self, code: int, context: str = "", message: str = "", condition: str = "") -> None:
        self.code = code
        self.context = context
        self.message = message
        self.condition = condition  # the author's text for an unmet calculation condition
        super().__init__(message or f"error {int(code)}")

    def as_layout(self) -> dict[str, Any]:
        """The ``qError`` object."""
        found: dict[str, Any] = {"qErrorCode": int(self.code)}
        if self.context:
            found["qContext"] = self.context
        if self.message:
            found["qExtendedMessage"] = self.message
        return found


def refused(error: ExpressionError, where: str) -> CubeError:
    """What a cube says when an expression of it has no value: the construct is named."""
    code = Code.NOT_IMPLEMENTED if isinstance(error, UnsupportedError) else Code.INVALID_DEF
    construct = error.construct if isinstance(error, UnsupportedError) else str(error)
    return CubeError(code, construct, f"{where}: {error}")


@dataclass(frozen=True)
class Sorting:
    """How one column is sorted: direction (1, -1 or 0) per criterion, in the engine's order of precedence."""

    by_state: int = 0
    by_frequency: int = 0
    by_number: int = 0
    by_text: int = 0
    by_load_order: int = 0
    by_expression: int = 0
    expression: str = ""

    @classmethod
    def of(cls, criteria: Mapping[str, Any] | None) -> "Sorting":
        """Read a ``SortCriteria`` object."""
        given = criteria or {}
        return cls(
            by_state=_direction(given.get("qSortByState")),
            by_frequency=_direction(given.get("qSortByFrequency")),
            by_number=_direction(given.get("qSortByNumeric")),
            by_text=_direction(given.get("qSortByAscii")),
            by_load_order=_direction(given.get("qSortByLoadOrder")),
            by_expression=_direction(given.get("qSortByExpression")),
            expression=str((given.get("qExpression") or {}).get("qv") or ""),
        )

    @property
    def direction(self) -> int:
        """The direction that decides: 1 ascending, -1 descending, 0 none asked for."""
        criteria = (
            self.by_state,
            self.by_expression,
            self.by_frequency,
            self.by_number,
            self.by_text,
            self.by_load_order,
        )
        return next((direction for direction in criteria if direction), 0)


@dataclass(frozen=True)
class AttributeDefinition:
    """An expression that travels with a cell (``qAttributeExpressions``)."""

    expression: str
    label: str
    shown: NumberFormat


@dataclass(frozen=True)
class DimensionDefinition:
    """A dimension: a field name or an expression, with its title and its sorting."""

    source: str
    title: str
    sorting: Sorting = Sorting()
    suppress_null: bool = False
    reverse: bool = False
    show_total: bool = False
    library_id: str = ""
    grouping: str = "N"
    all_sources: tuple[str, ...] = ()
    limit: int | None = None  # keep the first so many values by the first measure, the rest become "others"
    limit_ascending: bool = False
    suppress_other: bool = False
    other_label: str = "Others"
    attributes: tuple[AttributeDefinition, ...] = ()


@dataclass(frozen=True)
class MeasureDefinition:
    """A measure: an expression, with its title, format and sorting."""

    source: str
    title: str
    shown: NumberFormat = field(default_factory=NumberFormat)
    sorting: Sorting = Sorting()
    reverse: bool = False
    library_id: str = ""
    attributes: tuple[AttributeDefinition, ...] = ()


@dataclass(frozen=True)
class CubeDefinition:
    """Everything a cube needs to be calculated."""

    dimensions: tuple[DimensionDefinition, ...]
    measures: tuple[MeasureDefinition, ...]
    sort_order: tuple[int, ...]
    mode: str = "S"
    state: str = "$"
    suppress_zero: bool = False
    suppress_missing: bool = False
    left_dimensions: int = -1
    always_expanded: bool = False
    pseudo_position: int = -1
    totals_above: bool = False
    indent: bool = False
    condition: str = ""
    condition_message: str = ""
    title: str = ""
    most_stacked: int = 5000

    @property
    def width(self) -> int:
        """Columns of the straight table: ``qSize.qcx``."""
        return len(self.dimensions) + len(self.measures)


def cube_definition(given: Mapping[str, Any], library: Library) -> CubeDefinition:
    """Read a ``HyperCubeDef``. Raises `CubeError` when it cannot be calculated as it stands."""
    mode = MODES.get(str(given.get("qMode") or "S"))
    if mode is None:
        raise CubeError(Code.INVALID_DEF, "qMode", f"there is no mode {given.get('qMode')}")
    if given.get("qContextSetExpression"):
        raise CubeError(Code.NOT_IMPLEMENTED, "qContextSetExpression", "not supported by this simulator")
    if given.get("qDynamicScript"):
        raise CubeError(Code.NOT_IMPLEMENTED, "qDynamicScript", "not supported by this simulator")
    dimensions = tuple(_dimension(entry, library) for entry in _listed(given, "qDimensions"))
    measures = tuple(_measure(entry, library) for entry in _listed(given, "qMeasures"))
    condition = given.get("qCalcCondition") or {}
    return CubeDefinition(
        dimensions=dimensions,
        measures=measures,
        sort_order=_sort_order(given.get("qInterColumnSortOrder"), len(dimensions) + len(measures), mode),
        mode=mode,
        state=str(given.get("qStateName") or "$"),
        suppress_zero=bool(given.get("qSuppressZero")),
        suppress_missing=bool(given.get("qSuppressMissing")),
        left_dimensions=int(given.get("qNoOfLeftDims", -1)),
        always_expanded=bool(given.get("qAlwaysFullyExpanded")),
        pseudo_position=int(given.get("qPseudoDimPos", -1)),
        totals_above=bool(given.get("qShowTotalsAbove")),
        indent=bool(given.get("qIndentMode")),
        condition=_written(condition.get("qCond")) or _written(given.get("qCalcCond")),
        condition_message=_written(condition.get("qMsg")),
        title=_written(given.get("qTitle")),
        most_stacked=int(given.get("qMaxStackedCells") or 5000),
    )


def dimension_definition(given: Mapping[str, Any], library: Library) -> DimensionDefinition:
    """Read the dimension of a ``ListObjectDef`` (its ``qDef`` or its ``qLibraryId``)."""
    return _dimension(given, library)


def _listed(given: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    return [entry for entry in given.get(name) or [] if isinstance(entry, Mapping)]


def _written(given: Any) -> str:
    """A text that may be given plainly or as ``{"qv": ...}`` or ``{"qStringExpression": ...}``."""
    if isinstance(given, Mapping):
        given = given.get("qv") or (given.get("qStringExpression") or {})
        if isinstance(given, Mapping):
            given = given.get("qExpr")
    return str(given or "")


def _direction(given: Any) -> int:
    number = int(given or 0)
    return (number > 0) - (number < 0)


def _sort_order(given: Any, width: int, mode: str) -> tuple[int, ...]:
    wanted = [int(column) for column in given or [] if -1 <= int(column) < width]
    if mode == "S":
        wanted = [column for column in wanted if column >= 0]
    return tuple(dict.fromkeys([*wanted, *(column for column in range(width) if column not in wanted)]))


def _dimension(given: Mapping[str, Any], library: Library) -> DimensionDefinition:
    inline: Mapping[str, Any] = given.get("qDef") or {}
    library_id = str(given.get("qLibraryId") or "")
    if library_id:
        found = library("dimension", library_id)
        if found is None:
            raise CubeError(Code.NOT_IN_LIBRARY, library_id, f"there is no master dimension {library_id}")
        inline = {
            **found,
            **{key: value for key, value in inline.items() if key.startswith("qSort") and value},
        }
    sources = [str(source) for source in inline.get("qFieldDefs") or []]
    if not sources:
        raise CubeError(Code.INVALID_DEF, "qFieldDefs", "a dimension without a field")
    active = int(inline.get("qActiveField") or 0)
    labels = [str(label) for label in inline.get("qFieldLabels") or []]
    criteria = inline.get("qSortCriterias") or [{}]
    source = sources[active if active < len(sources) else 0]
    label = labels[active] if active < len(labels) and labels[active] else field_title(source)
    return DimensionDefinition(
        source=source,
        title=label,
        sorting=Sorting.of(criteria[active if active < len(criteria) else 0]),
        suppress_null=bool(given.get("qNullSuppression")),
        reverse=bool(inline.get("qReverseSort")),
        show_total=bool(given.get("qShowTotal")) or _has_total(given),
        library_id=library_id,
        grouping=str(inline.get("qGrouping") or "N")[:1],
        all_sources=tuple(sources),
        attributes=_attributes(given),
        **_limit(given),
    )


def _has_total(given: Mapping[str, Any]) -> bool:
    return str((given.get("qOtherTotalSpec") or {}).get("qTotalMode") or "TOTAL_OFF") == "TOTAL_EXPR"


def _limit(given: Mapping[str, Any]) -> dict[str, Any]:
    limits = given.get("qOtherTotalSpec") or {}
    mode = str(limits.get("qOtherMode") or "OTHER_OFF")
    if mode == "OTHER_OFF":
        return {}
    if mode != "OTHER_COUNTED":
        raise CubeError(
            Code.NOT_IMPLEMENTED, mode, f"the dimension limit {mode} is not supported by this simulator"
        )
    counted = _written(limits.get("qOtherCounted"))
    try:
        limit = int(counted)
    except ValueError:
        raise CubeError(
            Code.NOT_IMPLEMENTED, "qOtherCounted", "a calculated number of values is not supported"
        ) from None
    return {
        "limit": limit,
        "limit_ascending": str(limits.get("qOtherSortMode") or "") == "OTHER_SORT_ASCENDING",
        "suppress_other": bool(limits.get("qSuppressOther")),
        "other_label": _written(given.get("qOtherLabel")) or "Others",
    }


def _measure(given: Mapping[str, Any], library: Library) -> MeasureDefinition:
    inline: Mapping[str, Any] = given.get("qDef") or {}
    library_id = str(given.get("qLibraryId") or "")
    if library_id:
        found = library("measure", library_id)
        if found is None:
            raise CubeError(Code.NOT_IN_LIBRARY, library_id, f"there is no master measure {library_id}")
        inline = found
    source = str(inline.get("qDef") or "")
    if not source.strip():
        raise CubeError(Code.INVALID_DEF, "qDef", "a measure without an expression")
    for unknown in ("qAccumulate", "qRelative", "qBrutalSum"):
        if inline.get(unknown):
            raise CubeError(Code.NOT_IMPLEMENTED, unknown, f"{unknown} is not supported by this simulator")
    return MeasureDefinition(
        source=source,
        title=str(inline.get("qLabel") or "") or source,
        shown=NumberFormat.of(inline.get("qNumFormat")),
        sorting=Sorting.of(given.get("qSortBy")),
        reverse=bool(inline.get("qReverseSort")),
        library_id=library_id,
        attributes=_attributes(given),
    )


def _attributes(given: Mapping[str, Any]) -> tuple[AttributeDefinition, ...]:
    found = []
    for entry in _listed(given, "qAttributeExpressions"):
        expression = str(entry.get("qExpression") or "")
        if expression:
            shown = NumberFormat.of(entry.get("qNumFormat"))
            found.append(AttributeDefinition(expression, str(entry.get("qLabel") or expression), shown))
    return tuple(found)


def field_title(source: str) -> str:
    """The title the engine gives a dimension without a label: the field's name without brackets."""
    return source[1:-1] if source.startswith("[") and source.endswith("]") else source
