"""When a rule is due.

Cron rules are read in the trigger's zone. At a change of clocks they behave as Debian's cron: a time that
does not exist runs at the moment of the change, a time that exists twice runs once, and rules with a wildcard
hour run through both hours.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from contracts.configuration import CronRule, IntervalRule, ScheduleTrigger


class InvalidRuleError(Exception):
    """A rule that can never be due; `str()` says what is wrong with it."""


def fingerprint(trigger: ScheduleTrigger) -> str:
    """Return what identifies the rule: a change of it starts a new series of occurrences."""
    text = f"{trigger.rule.model_dump_json()}|{trigger.timezone}|{trigger.start.isoformat()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def occurrences(trigger: ScheduleTrigger, after: datetime) -> Iterator[datetime]:
    """Yield the due times after `after`, ascending, in UTC, inside the trigger's dates.

    Raises InvalidRuleError when the rule or its time zone cannot be understood.
    """
    series = (
        _cron(trigger.rule, _zone(trigger.timezone), max(after, trigger.start - timedelta(seconds=1)))
        if isinstance(trigger.rule, CronRule)
        else _interval(trigger.rule, trigger.start, after)
    )
    for moment in series:
        if trigger.end is not None and moment > trigger.end:
            return
        yield moment


def _cron(rule: CronRule, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    try:
        simulation = CronSim(rule.expression, after.astimezone(zone))
    except CronSimError as error:
        raise InvalidRuleError(
            f"cron rule {rule.expression!r}: {error}; five fields are needed: "
            "minute hour day-of-month month day-of-week"
        ) from error
    for local in simulation:
        yield local.astimezone(UTC)


def _interval(rule: IntervalRule, start: datetime, after: datetime) -> Iterator[datetime]:
    step = timedelta(seconds=rule.every_seconds)
    passed = (after - start) // step + 1 if after >= start else 0
    moment = start + passed * step
    while True:
        yield moment
        moment += step


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidRuleError(f"time zone {name!r} is not known; use a name such as Europe/Paris") from error
