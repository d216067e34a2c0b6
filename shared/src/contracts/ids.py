"""Ids derived from what they name, never drawn at random (ADR-0004).

Two schedulers, or one that runs twice, therefore ask for the same execution, and a repeated message settles
the same unit and the same delivery.
"""

from collections.abc import Iterable
from uuid import UUID, uuid5

_NAMESPACE = UUID("6c2c9d4e-6a07-5d39-9a8c-3f5a1d0b7e11")


def _derive(kind: str, *parts: str) -> str:
    # The unit separator cannot occur in ids, so two lists of parts never join to the same text.
    return str(uuid5(_NAMESPACE, "\x1f".join((kind, *parts))))


def execution_id(trigger_id: str, occurrence: str) -> str:
    """Return the id of the execution that `occurrence` of a trigger asks for.

    `occurrence` is the due time in UTC (ISO 8601), the Qlik reload id, or the request id of a manual run.
    """
    return _derive("execution", trigger_id, occurrence)


def unit_id(execution: str, fingerprint: str) -> str:
    """Return the id of a unit: one file of one execution, known by what determines its bytes."""
    return _derive("unit", execution, fingerprint)


def delivery_id(execution: str, channel: str, target: str, units: Iterable[str] = ()) -> str:
    """Return the id of one delivery: a channel, a target and, where a target gets several, the units."""
    return _derive("delivery", execution, channel, target, *sorted(units))


def notification_id(execution: str, address: str) -> str:
    """Return the id of the outcome mail of an execution to one address."""
    return _derive("notification", execution, address)


def event_id(ce_type: str, identity: str) -> str:
    """Return the CloudEvents id of a fact."""
    return _derive("event", ce_type, identity)
