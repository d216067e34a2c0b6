"""When a rule is due.

Cron rules are read in the trigger's zone. At a change of clocks they behave as Debian's cron: a time that
does not exist runs at the moment of the change, a time that exists twice runs once, and rules with a wildcard
hour run through both hours.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.base import EARLIEST, LATEST, Reason
from contracts.triggers import CronRule, IntervalRule, OnReloadTrigger, ScheduleTrigger
from scheduler.domain.cron import CronRuleError, parsed

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


def occurrences(trigger: ScheduleTrigger, after: datetime, until: datetime = LATEST) -> Iterator[datetime]:
    """Yield the due times after `after`, ascending, in UTC, inside the trigger's dates and up to `until`.

    A start or end beyond the dates Broadsheet computes with (`contracts.base`) counts as the nearest of them.
    Raises InvalidRuleError when the rule or its time zone cannot be understood.
    """
    start, last = max(trigger.start, EARLIEST), min(until, trigger.end or LATEST, LATEST)
    after = max(after, start - timedelta(seconds=1))
    if isinstance(trigger.rule, IntervalRule):
        return _interval(trigger.rule, trigger.start, after, last)
    return _cron(trigger.rule, zone(trigger.timezone), after, last)


def out_of_range(trigger: ScheduleTrigger | OnReloadTrigger) -> Reason | None:
    """Return what is wrong with the dates of a trigger stored before dates were limited, or None."""
    for name, moment in (("start", trigger.start), ("end", trigger.end)):
        if moment is not None and not EARLIEST <= moment <= LATEST:
            return Reason(
                code="trigger-date-out-of-range",
                message=(
                    f"The {name} date of the trigger, {moment.isoformat()}, is outside {EARLIEST:%Y} to "
                    f"{LATEST:%Y}. Broadsheet uses the nearest date in that range instead."
                ),
                remedy=f"Set the {name} date to the one you want, or remove it.",
            )
    return None


def _cron(rule: CronRule, where: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    if after >= until:
        return iter(())
    try:
        return parsed(rule.expression).moments(where, after, until)
    except CronRuleError as error:
        raise InvalidRuleError(
            f"cron rule {rule.expression!r}: {error}; five fields are needed: "
            "minute hour day-of-month month day-of-week"
        ) from error


def _interval(rule: IntervalRule, start: datetime, after: datetime, until: datetime) -> Iterator[datetime]:
    step = timedelta(seconds=rule.every_seconds)
    passed = (after - start) // step + 1 if after >= start else 0
    if start > until:
        return
    moment = start + passed * step
    while moment <= until:
        yield moment
        moment += step


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its name. Raises InvalidRuleError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidRuleError(f"time zone {name!r} is not known; use a name such as Europe/Paris") from error
