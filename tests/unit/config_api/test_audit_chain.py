"""The chain of the audit trail: whatever is done to it afterwards is found, and where."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_api.domain.audit import GENESIS, AuditRecord, Head, describe, link, verify

NOW = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)


def _chain(count: int) -> list[AuditRecord]:
    events = [
        describe(
            "task-triggered",
            b"k",
            [("ce_id", str(index).encode())],
            b'{"n":%d}' % index,
            partition=0,
            offset=index,
        )
        for index in range(count)
    ]
    return link(Head(), events, NOW)


def test_an_untouched_chain_is_intact() -> None:
    verdict = verify(_chain(5))
    assert verdict.intact
    assert (verdict.records, verdict.head.seq) == (5, 5)
    assert verify([]).head == Head(0, GENESIS)


def test_a_chain_goes_on_from_any_head() -> None:
    whole = _chain(6)
    first = whole[:3]
    rest = link(Head(3, first[-1].hash), [record.event for record in whole[3:]], NOW)
    assert first + rest == whole


TAMPERING = {
    "body": lambda r: replace(r, event=replace(r.event, body=b"{}")),
    "header": lambda r: replace(r, event=replace(r.event, headers=(("ce_id", b"other"),))),
    "key": lambda r: replace(r, event=replace(r.event, key=None)),
    "topic": lambda r: replace(r, event=replace(r.event, topic="other")),
    "offset": lambda r: replace(r, event=replace(r.event, offset=77)),
    "recipients": lambda r: replace(r, event=replace(r.event, recipients=("ann",))),
    "time": lambda r: replace(r, recorded_at=datetime(2027, 1, 1, tzinfo=UTC)),
    "hash": lambda r: replace(r, hash="0" * 64),
    "previous": lambda r: replace(r, previous="0" * 64),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_a_changed_record_is_named(what: str) -> None:
    chain = _chain(6)
    chain[3] = TAMPERING[what](chain[3])
    verdict = verify(chain)
    assert not verdict.intact
    assert verdict.broken_seq == 4
    assert verdict.reason


def test_a_record_forged_with_a_right_hash_breaks_the_next_one() -> None:
    chain = _chain(6)
    forged = link(Head(3, chain[2].hash), [replace(chain[3].event, body=b"forged")], NOW)
    assert verify([*chain[:3], *forged, *chain[4:]]).broken_seq == 5


def test_a_removed_record_is_named() -> None:
    chain = _chain(6)
    assert verify(chain[:2] + chain[3:]).broken_seq == 3
    assert verify(chain[1:]).broken_seq == 1


def test_what_was_cut_off_at_the_end_shows_against_a_head_noted_earlier() -> None:
    chain = _chain(6)
    noted = Head(6, chain[-1].hash)
    assert verify(chain, noted).intact
    assert verify(chain[:4], noted).broken_seq == 5
    assert verify(chain[:4]).intact, "the chain alone cannot tell"
    rewritten = link(Head(), [replace(record.event, topic="x") for record in chain], NOW)
    assert verify(rewritten).intact
    assert verify(rewritten, noted).broken_seq == 6


def test_the_same_content_at_another_place_has_another_hash() -> None:
    chain = _chain(1)
    twice = link(Head(1, chain[0].hash), [chain[0].event], NOW)
    assert twice[0].hash != chain[0].hash


@given(
    body=st.binary(max_size=200),
    headers=st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=50)), max_size=5),
    key=st.none() | st.binary(max_size=20),
)
def test_any_message_is_described_and_linked(
    body: bytes, headers: list[tuple[str, bytes]], key: bytes | None
) -> None:
    event = describe("t", key, headers, body, partition=1, offset=2)
    assert (event.body, event.headers, event.key) == (body, tuple(headers), key)
    assert event.event_id
    assert verify(link(Head(), [event], NOW)).intact


def test_a_message_that_is_no_event_is_known_again_by_place_and_content() -> None:
    first = describe("t", None, [], b"junk", partition=0, offset=1)
    assert first == describe("t", None, [], b"junk", partition=0, offset=1)
    others = [
        describe("t", None, [], b"junk", partition=0, offset=2),
        describe("t", None, [], b"jun", partition=0, offset=1),
        describe("u", None, [], b"junk", partition=0, offset=1),
    ]
    assert len({first.event_id, *(each.event_id for each in others)}) == 4


def test_a_message_is_found_by_what_its_data_names() -> None:
    body = b'{"execution_id":"e","task_id":"t","recipient_id":"ann","hub":{"visible_to":["bob","ann"]}}'
    event = describe(
        "delivery-settled",
        None,
        [("ce_time", b"2026-03-02T08:00:00.123456+00:00")],
        body,
        partition=0,
        offset=0,
    )
    assert (event.execution_id, event.task_id, event.recipients) == ("e", "t", ("ann", "bob"))
    assert event.occurred_at == datetime(2026, 3, 2, 8, 0, 0, 123000, tzinfo=UTC)
    changed = describe("c", None, [], b'{"entity":"recipient","entity_id":"ann"}', partition=0, offset=0)
    assert changed.recipients == ("ann",)


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b"null",
        b"\xff",
        b'{"execution_id": 3, "hub": "x", "task_id": ""}',
        b"[" * 5000,
        b'{"task_id":"\\ud800"}',
    ],
)
def test_strange_data_names_nothing_and_is_kept(body: bytes) -> None:
    event = describe("t", None, [], body, partition=0, offset=0)
    assert event.execution_id is None
    (event.task_id or "").encode()
    assert event.body == body
