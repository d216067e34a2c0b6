"""When work that could not be done is tried again."""

from datetime import datetime, timedelta

# A restart takes seconds, an update of a Qlik site minutes; the last pause repeats until the deadline.
PAUSES_S = (1.0, 5.0, 15.0, 30.0, 60.0)


def next_attempt(attempt: int, now: datetime, deadline_at: datetime | None) -> datetime:
    """Return when the attempt after `attempt` (from 1) begins, at the deadline at the latest.

    The attempt at the deadline only records that it has passed.
    """
    pause = timedelta(seconds=PAUSES_S[min(attempt, len(PAUSES_S)) - 1])
    return now + pause if deadline_at is None else max(now, min(now + pause, deadline_at))
