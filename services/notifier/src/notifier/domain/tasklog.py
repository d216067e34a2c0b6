"""The task log: what happened to an execution, as a text for people."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.base import Reason
from contracts.events import Disposition, TriggerInfo
from contracts.mailing import AddressState, MailAddress
from contracts.plan import ExecutionPlan
from contracts.runs import RunOptions
from notifier.domain.model import Execution, Item, ItemKind, Planned, Status
from notifier.domain.outcome import Complete

_WARNING = (Status.FAILED, Status.UNKNOWN)


def task_log(
    execution: Execution,
    items: Sequence[Item],
    result: Complete,
    *,
    completed_at: datetime,
    plan: ExecutionPlan | None,
) -> str:
    """Return the log: a head, one line per event in the order of time, what is missing, a summary.

    Each line has its time in UTC and in the task's time zone, or the trigger's where there is no plan.
    """
    zone = time_zone(execution, plan)
    lines = [
        f"Task       {execution.task_name} ({execution.task_id})",
        f"Execution  {execution.id}",
        f"Time zone  {zone.key}",
        "",
        *(_line(at, zone, text) for at, text in sorted(_events(execution, items), key=lambda each: each[0])),
        *(f"{'':>47}MISSING  {text}" for text in _missing(execution, items, plan, result)),
        _line(completed_at, zone, f"COMPLETED  {result.outcome.value}"),
        "",
        *_summary(result),
    ]
    # Titles and reasons hold text from outside; one event is one line whatever they hold.
    return "\n".join(" ".join(line.splitlines()) for line in lines) + "\n"


def time_zone(execution: Execution, plan: ExecutionPlan | None) -> ZoneInfo:
    """Return the zone the task's times are shown in; UTC when its name is none."""
    trigger = execution.trigger
    name = plan.timezone if plan else trigger.timezone if trigger else "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def moment(at: datetime, zone: ZoneInfo) -> str:
    """Return a time in UTC and in the zone, to the second."""
    local = at.astimezone(zone)
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}  {local:%Y-%m-%d %H:%M:%S} {_offset(local)}"


def _offset(local: datetime) -> str:
    text = local.strftime("%z")
    return f"{text[:3]}:{text[3:]}"


def _line(at: datetime, zone: ZoneInfo, text: str) -> str:
    return f"{moment(at, zone)}  {text}"


def _events(execution: Execution, items: Sequence[Item]) -> Iterator[tuple[datetime, str]]:
    if execution.triggered:
        yield execution.triggered.at, f"TRIGGERED  by {_trigger(execution.triggered.trigger)}"
        if execution.triggered.options is not None:
            yield execution.triggered.at, f"OPTIONS    {_options(execution.triggered.options)}"
        for warning in execution.triggered.trigger.warnings:
            yield execution.triggered.at, f"WARNING    {_reason(warning)}"
    planned = execution.planned
    if planned:
        yield planned.at, _planned(planned, execution.deadline_at)
        for problem in planned.problems:
            yield planned.at, f"PROBLEM    {_reason(problem)}"
    for item in items:
        yield item.at, _item(item)
        for address in item.addresses:
            yield item.at, _address(address)
        for warning in item.warnings:
            yield item.at, f"WARNING    {item.title}: {_reason(warning)}"


def _options(options: RunOptions) -> str:
    told = [
        f"test mode with {options.test_mode.address}" if options.test_mode else "",
        f"only for {', '.join(options.recipients)}" if options.recipients else "",
        f"holds back {', '.join(each.value for each in options.hold)}" if options.hold else "",
    ]
    return "this run alone: " + ("; ".join(each for each in told if each) or "as the task says")


def _trigger(trigger: TriggerInfo) -> str:
    who = f", requested by {trigger.requested_by}" if trigger.requested_by else ""
    missed = f", standing for {trigger.missed} missed before" if trigger.missed else ""
    reload = trigger.reload
    failed = f", the reload of {reload.app_id} failed" if reload and not reload.succeeded else ""
    due = f"due {trigger.due_at:%Y-%m-%dT%H:%M:%SZ}"
    return f"{trigger.kind.value} {trigger.trigger_id}, {due}{who}{missed}{failed}"


def _planned(planned: Planned, deadline_at: datetime) -> str:
    if planned.disposition is not Disposition.PLANNED:
        why = _reason(planned.reason) if planned.reason else "no reason given"
        return f"PLANNING   {planned.disposition.value}: {why}"
    mode = ", test mode" if planned.test_mode else ""
    return (
        f"PLANNED    version {planned.task_version}: {planned.unit_count} files, "
        f"{planned.delivery_count} deliveries{mode}, deadline {deadline_at:%Y-%m-%dT%H:%M:%SZ}"
    )


def _item(item: Item) -> str:
    label = "FILE" if item.kind is ItemKind.UNIT else "DELIVERY"
    mark = item.status.value.upper() if item.status in _WARNING else item.status.value
    detail = f", {item.detail}" if item.detail else ""
    why = f": {_reason(item.reason)}" if item.reason else ""
    return f"{label:<10} {mark}  {item.title}{detail}{why}"


def _address(each: MailAddress) -> str:
    state = each.state.value if each.state is AddressState.ACCEPTED else each.state.value.upper()
    answer = f": {each.answer}" if each.answer else ""
    twice = ", sent twice" if each.resent else ""
    return f"ADDRESS    {state}  {each.address} ({each.role.value}){twice}{answer}"


def _reason(reason: Reason) -> str:
    remedy = f" -> {reason.remedy}" if reason.remedy else ""
    return f"{reason.message} [{reason.code}]{remedy}"


def _missing(
    execution: Execution, items: Sequence[Item], plan: ExecutionPlan | None, result: Complete
) -> Iterator[str]:
    """Name what has not settled; by number what no plan names."""
    if not result.overdue:
        return
    if execution.expected is None:
        yield "the plan"
        return
    settled = {item.id for item in items}
    named: list[str] = []
    if plan is not None:
        named += [f"file {unit.file_name}" for unit in plan.units if unit.id not in settled]
        named += [
            f"delivery {each.channel.value} to {each.target}"
            for each in plan.deliveries
            if each.id not in settled
        ]
    yield from named
    rest = execution.expected - len(settled) - len(named)
    if rest > 0:
        yield f"{rest} files or deliveries"


def _summary(result: Complete) -> Iterator[str]:
    units, deliveries = result.units, result.deliveries
    yield f"Outcome    {result.outcome.value}"
    for reason in result.reasons:
        yield f"           {_reason(reason)}"
    yield (
        f"Files      {units.planned} planned: {units.generated} generated, {units.skipped} skipped, "
        f"{units.failed} failed"
    )
    yield (
        f"Deliveries {deliveries.planned} planned: {deliveries.succeeded} succeeded, "
        f"{deliveries.skipped} skipped, {deliveries.failed} failed, {deliveries.unknown} unknown"
    )
