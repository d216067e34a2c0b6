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

from contracts.triggers import CronRule, IntervalRule, ScheduleTrigger

OFF = "off"
"""The rule of a trigger that is disabled."""


class InvalidRuleError(Exception):
    """A rule that can never be due; `str()` says what is wrong with it."""


def fingerprint(trigger: ScheduleTrigger) -> str:
    """Return what identifies the rule: a change of it starts a new series of occurrences.

    Switching the trigger off and on again is such a change.
    """
    if not trigger.enabled:
        return OFF
    text = f"{trigger.rule.model_dump_json()}|{trigger.timezone}|{trigger.start.isoformat()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def occurrences(trigger: ScheduleTrigger, after: datetime) -> Iterator[datetime]:
    """Yield the due times after `after`, ascending, in UTC, inside the trigger's dates.

    Raises InvalidRuleError when the rule or its time zone cannot be understood.
    """
    series = (
        _cron(trigger.rule, zone(trigger.timezone), max(after, trigger.start - timedelta(seconds=1)))
        if isinstance(trigger.rule, CronRule)
        else _interval(trigger.rule, trigger.start, after)
    )
    for moment in series:
        if trigger.end is not None and moment > trigger.end:
            return
        yield moment


def _cron(rule: CronRule, where: ZoneInfo, after: datetime) -> Iterator[datetime]:
    try:
        simulation = CronSim(rule.expression, after.astimezone(where))
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


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its name. Raises InvalidRuleError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidRuleError(f"time zone {name!r} is not known; use a name such as Europe/Paris") from error
