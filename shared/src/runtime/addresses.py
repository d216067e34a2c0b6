"""What a mail server's answer means for each address of a mail (`contracts.mailing`)."""

from collections.abc import Iterable, Mapping
from typing import assert_never

from contracts.mailing import AddressState, Answered
from runtime.errors import Permanent
from runtime.message import envelope_address
from runtime.smtp import Accepted, Answer, Answers, Deferred, MailResult, Refused, Unknown, line


def unusable(addresses: Iterable[str], *, main: str) -> dict[str, tuple[AddressState, str]]:
    """Return the addresses of copies that can stand in no envelope, refused with the reason.

    Raises Permanent (`address-invalid`) when `main` is one of them: there is no mail without its recipient.
    """
    found = {}
    for address in addresses:
        try:
            envelope_address(address)
        except Permanent as error:
            if address == main:
                raise
            found[address] = (AddressState.REFUSED, error.message)
    return found


def spelled(addresses: Iterable[str]) -> dict[str, str]:
    """Return addresses by how they stand in the envelope, e.g. with the domain in IDNA."""
    return {envelope_address(each): each for each in addresses}


def single_answers(refused: Answers, spelling: Mapping[str, str]) -> dict[str, tuple[AddressState, str]]:
    """Return what the server said to single addresses; a deferred one stays pending."""
    return {spelling[each]: _state(answer) for each, answer in refused.items() if each in spelling}


def answers(result: MailResult, spelling: Mapping[str, str], *, main: str) -> Answered:
    """Return what a result says of the addresses of its envelope.

    Addresses are missing that the server was not asked to deliver to: when it refuses `main`, the mail stays
    here, copies included.
    """
    single = single_answers(result.refused, spelling)
    match result:
        case Accepted(code=code, text=text):
            rest = (AddressState.ACCEPTED, f"{code} {text}")
        case Unknown(text=text):
            rest = (AddressState.UNKNOWN, text)
        case Refused() | Deferred() if main in single:
            return single
        case Refused(code=code, text=text):
            rest = (AddressState.REFUSED, f"{code} {text}")
        case Deferred(code=number, text=text):
            rest = (AddressState.PENDING, f"{number} {text}" if number else text)
        case _:
            assert_never(result)
    return {**dict.fromkeys(spelling.values(), (rest[0], line(rest[1]))), **single}


def _state(answer: Answer) -> tuple[AddressState, str]:
    state = AddressState.REFUSED if answer.permanent else AddressState.PENDING
    return state, line(f"{answer.code} {answer.text}")
