"""When an execution is over, and how it went (docs/architecture/outcome.md has the table)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.base import Reason
from contracts.events import DeliveryCounts, Disposition, Outcome, UnitCounts
from notifier.domain.arrivals import shortfalls
from notifier.domain.model import Execution, Item, ItemKind, Planned, Status

# Reasons are for a mail and a status page; the log has every single one.
MAX_REASONS = 20
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Wait:
    """Something is still to come, and there is time."""


@dataclass(frozen=True, slots=True)
class Complete:
    """The execution is over."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    units: UnitCounts
    deliveries: DeliveryCounts
    overdue: bool = False


def decide(
    execution: Execution, items: Sequence[Item], now: datetime, *, grace: timedelta
) -> Wait | Complete:
    """Return whether the execution is over at `now`, and how it went.

    `grace` is what is granted after the deadline to those who finish in the last moment.
    """
    units = unit_counts(execution.planned, items)
    deliveries = delivery_counts(execution.planned, items)
    missing = _missing(units, deliveries)
    planned = execution.planned
    if planned is not None and (planned.disposition is not Disposition.PLANNED or not any(missing)):
        outcome, reasons = _settled(planned, items, units, deliveries)
        if outcome in {Outcome.SUCCESS, Outcome.WARNING} and planned.trigger.warnings:
            outcome, reasons = Outcome.WARNING, [*planned.trigger.warnings, *reasons]
        return Complete(outcome, _bounded(reasons), units, deliveries)
    if now < execution.deadline_at + grace:
        return Wait()
    reasons = [
        _overdue(execution, missing),
        *_faults(items),
        *_counted((each, "") for each in shortfalls(items)),
    ]
    return Complete(Outcome.ERROR, _bounded(reasons), units, deliveries, overdue=True)


def _settled(
    planned: Planned, items: Sequence[Item], units: UnitCounts, deliveries: DeliveryCounts
) -> tuple[Outcome, list[Reason]]:
    """Apply the table to an execution of which everything has settled."""
    if planned.disposition is Disposition.SKIPPED:
        return Outcome.SKIPPED, [planned.reason] if planned.reason else []
    if planned.disposition is Disposition.FAILED:
        return Outcome.ERROR, [planned.reason or _PLANNING_FAILED, *planned.problems]
    warnings = [
        *_faults(items),
        *_counted((each, "") for each in shortfalls(items)),
        *_other_problems(planned, items),
        *(each for item in items for each in item.warnings),
    ]
    if units.failed or deliveries.failed or deliveries.unknown:
        return (Outcome.WARNING if _something_arrived(units, deliveries) else Outcome.ERROR), warnings
    held = sum(_is_held(each) for each in items)
    hints = list(_emptiness(units, deliveries, held))
    if hints or warnings:
        return Outcome.WARNING, [*hints, *warnings]
    return Outcome.SUCCESS, [
        *([_units_skipped(units)] if units.skipped else []),
        *([_deliveries_held(held, deliveries)] if held else []),
    ]


def _is_held(item: Item) -> bool:
    return item.status is Status.SKIPPED and item.reason is not None and item.reason.code == "held-back"


def _other_problems(planned: Planned, items: Sequence[Item]) -> list[Reason]:
    """Return the problems of planning that no failed delivery has as its reason already."""
    said = {(each.reason.code, each.reason.message) for each in items if each.reason is not None}
    return [each for each in planned.problems if (each.code, each.message) not in said]


def _something_arrived(units: UnitCounts, deliveries: DeliveryCounts) -> bool:
    return deliveries.succeeded > 0 or (deliveries.planned == 0 and units.generated > 0)


def _emptiness(units: UnitCounts, deliveries: DeliveryCounts, held: int) -> Iterator[Reason]:
    if units.planned == 0:
        yield Reason(
            code="nothing-planned",
            message="There was nothing to make: no report, no recipient, or no value to iterate over.",
            remedy="Check the reports, recipients and filters of the task.",
        )
    elif units.generated == 0:
        yield Reason(
            code="nothing-generated",
            message=f"No report was generated: the conditions of all {units.planned} files were not met.",
            remedy="Nothing, if that is what the conditions are for; otherwise check them.",
        )
    elif deliveries.planned > held and not deliveries.succeeded:
        yield Reason(
            code="nothing-delivered",
            message="Reports were generated, but no delivery had a file to deliver.",
            remedy="Check the conditions of the reports and who gets which.",
        )


def _faults(items: Sequence[Item]) -> list[Reason]:
    """Return why units and deliveries did not succeed, each reason once, with what it is about."""
    return _counted(
        (
            item.reason or Reason(code="no-reason", message=f"{item.title} did not succeed."),
            item.title if item.kind is ItemKind.DELIVERY else "",
        )
        for item in items
        if item.status in (Status.FAILED, Status.UNKNOWN)
    )


def _counted(found: Iterable[tuple[Reason, str]]) -> list[Reason]:
    """Return each reason once, with the number of cases and the names of the first of them."""
    cases: dict[tuple[str, str], tuple[Reason, list[str]]] = {}
    for reason, name in found:
        cases.setdefault((reason.code, reason.message), (reason, []))[1].append(name)
    return [_with_names(reason, names) for reason, names in cases.values()]


def _with_names(reason: Reason, names: Sequence[str]) -> Reason:
    message = reason.message if len(names) == 1 else f"{len(names)} times: {reason.message}"
    told = [name for name in dict.fromkeys(names) if name and name.rpartition(" ")[2] not in reason.message]
    if told:
        more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
        message = f"{message} ({', '.join(told[:_NAMED])}{more})"
    return reason.worded(message)


def _units_skipped(units: UnitCounts) -> Reason:
    return Reason(
        code="units-skipped",
        message=f"{units.skipped} of {units.planned} files were not made: their conditions were not met.",
    )


def _deliveries_held(held: int, deliveries: DeliveryCounts) -> Reason:
    return Reason(
        code="deliveries-held-back",
        message=f"{held} of {deliveries.planned} deliveries were held back, as test mode or the request for "
        "this run says.",
    )


def _overdue(execution: Execution, missing: tuple[int, int]) -> Reason:
    remedy = "Check that all services run, then run the task again; raise its deadline if it needs more time."
    if execution.planned is None:
        return Reason(
            code="deadline-passed",
            message="The execution was not planned before its deadline.",
            remedy=remedy,
        )
    return Reason(
        code="deadline-passed",
        message=f"At the deadline {missing[0]} files and {missing[1]} deliveries had not settled.",
        remedy=remedy,
    )


def _bounded(every: Sequence[Reason]) -> tuple[Reason, ...]:
    # Planning that failed names its first problem as the reason of the whole, too.
    reasons = list({(each.code, each.message): each for each in reversed(every)}.values())[::-1]
    if len(reasons) <= MAX_REASONS:
        return tuple(reasons)
    more = Reason(
        code="more-reasons", message=f"and {len(reasons) - MAX_REASONS + 1} more; the task log has them all"
    )
    return (*reasons[: MAX_REASONS - 1], more)


def unit_counts(planned: Planned | None, items: Sequence[Item]) -> UnitCounts:
    """Return units by how they settled."""
    number = _tally(items, ItemKind.UNIT)
    return UnitCounts(
        planned=planned.unit_count if planned else 0,
        generated=number.get(Status.GENERATED, 0),
        skipped=number.get(Status.SKIPPED, 0),
        failed=number.get(Status.FAILED, 0),
    )


def delivery_counts(planned: Planned | None, items: Sequence[Item]) -> DeliveryCounts:
    """Return deliveries by how they settled."""
    number = _tally(items, ItemKind.DELIVERY)
    if planned and planned.disposition is Disposition.FAILED:
        number = {Status.FAILED: planned.delivery_count}
    return DeliveryCounts(
        planned=planned.delivery_count if planned else 0,
        succeeded=number.get(Status.SUCCEEDED, 0),
        failed=number.get(Status.FAILED, 0),
        unknown=number.get(Status.UNKNOWN, 0),
        skipped=number.get(Status.SKIPPED, 0),
    )


def _tally(items: Sequence[Item], kind: ItemKind) -> dict[Status, int]:
    number: dict[Status, int] = {}
    for item in items:
        if item.kind is kind:
            number[item.status] = number.get(item.status, 0) + 1
    return number


def _missing(units: UnitCounts, deliveries: DeliveryCounts) -> tuple[int, int]:
    settled = deliveries.succeeded + deliveries.failed + deliveries.unknown + deliveries.skipped
    return (
        max(units.planned - units.generated - units.skipped - units.failed, 0),
        max(deliveries.planned - settled, 0),
    )


_PLANNING_FAILED = Reason(code="planning-failed", message="The execution could not be planned.")
