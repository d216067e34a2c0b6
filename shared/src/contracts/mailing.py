"""Rules about a mail that distributor and notifier share: one state per address, and test mode. Pure.

An address is `pending` until a server accepts or refuses the mail for it. While the content leaves it is
`sending`; what cannot be known afterwards is `unknown`. An address that accepted is never tried again.
Copies wait for the main address, the first one: nobody gets a copy of a mail that its recipient cannot get.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum

from pydantic import Field

from contracts.base import Wire


class AddressRole(StrEnum):
    """Why an address gets the mail."""

    TO = "to"
    CC = "cc"
    BCC = "bcc"


class AddressState(StrEnum):
    """What became of a mail for one address. `pending` and `sending` occur in ledgers only."""

    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"
    NOT_SENT = "not-sent"


class MailAddress(Wire):
    """One address of a mail, and what became of the mail for it."""

    address: str
    role: AddressRole
    state: AddressState = Field(
        default=AddressState.PENDING,
        description="accepted, refused, deferred (until there was no time left), unknown, or not-sent (a "
        "copy, while the recipient's own mail was not accepted); pending and sending occur in no event",
    )
    answer: str = Field(default="", description="the words of the mail server, or why there are none")
    attempts: int = Field(default=0, ge=0, description="how often it stood in an envelope")
    resent: bool = Field(
        default=False,
        description="handed over again after an attempt without answer, so the mail may have come twice",
    )


Addresses = tuple[MailAddress, ...]
Answered = Mapping[str, tuple[AddressState, str]]
"""What an attempt says of addresses: the new state, and the words for it."""


def addressed(to: str, cc: Iterable[str] = (), bcc: Iterable[str] = ()) -> Addresses:
    """Return the addresses of a new mail, each once whatever its case, the main one first."""
    found: dict[str, MailAddress] = {}
    for role, group in ((AddressRole.TO, (to,)), (AddressRole.CC, cc), (AddressRole.BCC, bcc)):
        for address in group:
            found.setdefault(address.casefold(), MailAddress(address=address, role=role))
    return tuple(found.values())


def due(addresses: Sequence[MailAddress]) -> tuple[str, ...]:
    """Return the addresses of the next envelope: those that neither took the mail nor are given up."""
    return tuple(each.address for each in addresses if each.state is AddressState.PENDING)


def sending(addresses: Addresses, answers: Answered) -> Addresses:
    """Return the addresses as the content leaves: what has an answer keeps it, the rest is under way."""
    moving = dict.fromkeys(due(addresses), (AddressState.SENDING, ""))
    return answered(addresses, {**moving, **answers})


def answered(addresses: Addresses, answers: Answered) -> Addresses:
    """Return the addresses after an attempt; only those that were pending or under way are changed."""

    def after(each: MailAddress) -> MailAddress:
        if each.state not in _OPEN or each.address not in answers:
            return each
        state, words = answers[each.address]
        tried = each.attempts + (each.state is AddressState.PENDING)
        return each.model_copy(update={"state": state, "answer": words, "attempts": tried})

    return tuple(after(each) for each in addresses)


def once_more(addresses: Addresses) -> Addresses:
    """Return the addresses with every unknown one that was not sent to twice yet pending again."""
    return tuple(
        each.model_copy(update={"state": AddressState.PENDING, "resent": True})
        if each.state is AddressState.UNKNOWN and not each.resent
        else each
        for each in addresses
    )


def closed(addresses: Addresses, words: str = "") -> Addresses:
    """Return the addresses of a mail that is over: nothing is pending, and nothing is said that is not known.

    An address that was sent to twice may have accepted the first time, so without an acceptance it is
    unknown, whatever the second answer was. `words` stand where no server has said anything.
    """
    main_arrived = bool(addresses) and addresses[0].state in (AddressState.ACCEPTED, AddressState.UNKNOWN)

    def final(each: MailAddress) -> MailAddress:
        state = each.state
        if (each.resent and state is not AddressState.ACCEPTED) or state is AddressState.SENDING:
            state = AddressState.UNKNOWN
        elif state is AddressState.PENDING:
            copy_without_mail = each.role is not AddressRole.TO and not main_arrived
            state = AddressState.NOT_SENT if copy_without_mail else AddressState.DEFERRED
        answer = each.answer
        if state is not AddressState.ACCEPTED:
            answer = (
                f"no answer the first time, then: {answer}" if each.resent and answer else answer or words
            )
        return each.model_copy(update={"state": state, "answer": answer})

    return tuple(final(each) for each in addresses)


_OPEN = (AddressState.PENDING, AddressState.SENDING)


class TestModeBreachError(Exception):
    """A mail of a task in test mode is addressed to somebody else; it must not leave."""

    __test__ = False


_RECIPIENT_FIELDS = frozenset(
    (
        "to",
        "cc",
        "bcc",
        "resent-to",
        "resent-cc",
        "resent-bcc",
        "apparently-to",
        "disposition-notification-to",
    )
)


def guard(own: Collection[str], *, envelope: Sequence[str], headers: Iterable[tuple[str, str]]) -> None:
    """Raise TestModeBreachError when a mail in test mode names anybody but the test address.

    `own` are the spellings of the test address, `headers` the fields of the message as it will be sent; those
    that carry recipients are looked at.
    """
    strangers = [address for address in envelope if address not in own]
    named = [
        name
        for name, value in headers
        if name.lower() in _RECIPIENT_FIELDS and not (name.lower() == "to" and value.strip() in own)
    ]
    if strangers or named or not envelope:
        raise TestModeBreachError(
            "The mail of a task in test mode is addressed to somebody besides the test address "
            f"({len(strangers)} in the envelope; fields: {', '.join(named) or 'none'}). It was not sent."
        )


def redirected_subject(subject: str, original: str) -> str:
    """Return the subject of a mail in test mode: the address it was meant for stands in front."""
    return f"[{original}] {subject}"
