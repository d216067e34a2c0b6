"""Who did not get a mail, or may have got it twice, by what a delivery says of each address."""

from collections.abc import Iterable, Iterator

from contracts.base import Reason
from contracts.mailing import AddressRole, AddressState, MailAddress
from notifier.domain.model import Item

_MISSING = (AddressState.REFUSED, AddressState.DEFERRED)


def shortfalls(items: Iterable[Item]) -> Iterator[Reason]:
    """Yield a reason for each address of a mail that is not as it should be.

    The recipient's own address is left out where the reason of the delivery is about it, and so are copies
    that were not sent because of it.
    """
    for item in items:
        for each in item.addresses:
            if each.state in _MISSING and each.role is not AddressRole.TO:
                yield _copy_missing(each)
            elif each.state is AddressState.UNKNOWN and each.role is not AddressRole.TO:
                yield _copy_unknown(each)
            elif each.state is AddressState.ACCEPTED and each.resent:
                yield _twice(each)


def _copy_missing(each: MailAddress) -> Reason:
    why = f": {each.answer}" if each.answer else "."
    return Reason(
        code="copy-not-delivered",
        message=f"{each.address} did not get a copy ({each.role.value}) of the mail{why}",
        remedy="Correct the address in the task, or ask the operator of the mail server.",
    )


def _copy_unknown(each: MailAddress) -> Reason:
    return Reason(
        code="copy-unknown",
        message=f"Nobody can know whether {each.address} got a copy ({each.role.value}) of the mail: "
        f"{each.answer}",
        remedy="Ask the person, or look for the Message-ID in the mail server's log.",
    )


def _twice(each: MailAddress) -> Reason:
    return Reason(
        code="possibly-sent-twice",
        message=f"{each.address} may have received the mail twice: the first attempt got no answer, "
        "so it was sent once more, as the task is set to do.",
        remedy="Both copies have the same Message-ID. To have such mails held instead, set mail.unknown of "
        "the task to hold.",
    )
