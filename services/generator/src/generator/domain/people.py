"""Who gets what of an execution: recipients and groups of a task, resolved when it runs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from contracts.base import Reason
from contracts.configuration import Group, Recipient, Scope, TaskRecipient

Way = Literal["email", "hub"]
WAYS: tuple[Way, ...] = ("email", "hub")


@dataclass(frozen=True, slots=True)
class Person:
    """A recipient with everything the task grants to him, directly and through groups."""

    recipient: Recipient
    grants: tuple[TaskRecipient, ...]

    def wants_zip(self) -> bool:
        """Return whether files come to this person in one archive."""
        return any(grant.email and grant.zip_email for grant in self.grants)

    def missing_scope_attributes(self) -> tuple[str, ...]:
        """Return the attributes that should say which files are this person's own, and are not set."""
        return tuple(
            grant.scope_attribute
            for grant in self.grants
            if grant.scope is Scope.OWN
            and grant.scope_attribute
            and not self.recipient.attributes.get(grant.scope_attribute)
        )

    def own_values(self, way: Way) -> frozenset[str] | None:
        """Return the iteration values whose files reach this person that way; None means all of them."""
        values: set[str] = set()
        for grant in self.grants:
            if not getattr(grant, way):
                continue
            if grant.scope is Scope.ALL:
                return None
            values.add(self.recipient.attributes.get(grant.scope_attribute or "", ""))
        return frozenset(values - {""})

    def has(self, way: Way) -> bool:
        """Return whether anything at all reaches this person that way."""
        return any(getattr(grant, way) for grant in self.grants)


class Audience:
    """People who may see the same data, asked file by file; one look-up a file, however many they are."""

    def __init__(self, people: Iterable[Person]) -> None:
        """Take people in the order in which they are to be named."""
        self._ways: dict[Way, tuple[tuple[Person, ...], frozenset[int], dict[str, list[int]]]] = {}
        members = tuple(people)
        for way in WAYS:
            everything: set[int] = set()
            by_value: dict[str, list[int]] = {}
            entitled = tuple(person for person in members if person.has(way))
            for position, person in enumerate(entitled):
                if (own := person.own_values(way)) is None:
                    everything.add(position)
                else:
                    for value in own:
                        by_value.setdefault(value, []).append(position)
            self._ways[way] = (entitled, frozenset(everything), by_value)

    def readers(self, way: Way, iteration_value: str | None) -> tuple[Person, ...]:
        """Return who gets a file that way; None stands for a report that makes one file only."""
        entitled, everything, by_value = self._ways[way]
        if iteration_value is None:
            return entitled
        chosen = everything.union(by_value.get(iteration_value, ()))
        return entitled if len(chosen) == len(entitled) else tuple(entitled[at] for at in sorted(chosen))


def resolve(
    entries: Iterable[TaskRecipient],
    recipients: Mapping[str, Recipient],
    groups: Mapping[str, Group],
    *,
    only: Collection[str] | None = None,
) -> tuple[tuple[Person, ...], tuple[Reason, ...]]:
    """Return the enabled people of a task, each once with all grants, and who is left out and why.

    With `only`, nobody else is looked at, and whoever of them is not in the task is named.
    """
    grants: dict[str, list[TaskRecipient]] = {}
    problems: list[Reason] = []
    met: set[str] = set()
    for entry in entries:
        for recipient_id in _members(entry, groups, problems if only is None else []):
            if only is not None and recipient_id not in only:
                continue
            met.add(recipient_id)
            if recipient_id not in recipients:
                problems.append(_unknown("recipient", recipient_id))
            elif not recipients[recipient_id].enabled:
                problems.append(_disabled(recipients[recipient_id]))
            else:
                grants.setdefault(recipient_id, []).append(entry)
    problems += [_not_in_task(each) for each in dict.fromkeys(only or ()) if each not in met]
    return tuple(Person(recipients[key], tuple(found)) for key, found in grants.items()), tuple(problems)


def _members(entry: TaskRecipient, groups: Mapping[str, Group], problems: list[Reason]) -> tuple[str, ...]:
    if entry.recipient_id is not None:
        return (entry.recipient_id,)
    if (group := groups.get(entry.group_id or "")) is None:
        problems.append(_unknown("group", entry.group_id or ""))
        return ()
    if not group.members:
        problems.append(
            Reason(
                code="group-empty",
                message=f"The group {group.name!r} of the task has no members, so nobody gets anything "
                "through it.",
                remedy="Add members to the group, or remove it from the task.",
            )
        )
    return tuple(dict.fromkeys(group.members))


def _disabled(recipient: Recipient) -> Reason:
    return Reason(
        code="recipient-disabled",
        message=f"{recipient.name} gets nothing, because the recipient {recipient.id!r} is disabled.",
        remedy="Enable the recipient, or remove it from the task and its groups.",
    )


def _not_in_task(recipient_id: str) -> Reason:
    return Reason(
        code="recipient-not-in-task",
        message=f"The run was asked for {recipient_id!r}, who is not a recipient of the task any more.",
        remedy="Add the recipient to the task, then run it again.",
    )


def _unknown(what: str, key: str) -> Reason:
    return Reason(
        code=f"{what}-unknown",
        message=f"The task names the {what} {key!r}, which does not exist.",
        remedy=f"Remove the {what} from the task, or create it again.",
    )
