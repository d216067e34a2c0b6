"""Which dead letters are still open."""

from runtime.deadletters import Record, Wish, open_letters


def letter(offset: int, *, origin: str = "0:1", kind: str = "bug", group: str = "g") -> Record:
    partition, position = origin.split(":")
    about = {
        "x-error-kind": kind,
        "x-original-partition": partition,
        "x-original-offset": position,
        "x-consumer-group": group,
    }
    return Record(offset, b"k", (("ce_id", b"1"), *((k, v.encode()) for k, v in about.items())), b"{}")


def mark(offset: int, of: int) -> Record:
    return Record(offset, None, (("x-replay-of", str(of).encode()),), b"")


def test_what_several_groups_gave_up_is_sent_once() -> None:
    found = open_letters([letter(0, group="a"), letter(1, group="b")], Wish())

    assert [0] == [each.offset for each in found]


def test_what_was_replayed_is_not_open_any_more() -> None:
    records = [letter(0, group="a"), letter(1, group="b"), letter(2, origin="3:4"), mark(3, of=0)]

    assert [2] == [each.offset for each in open_letters(records, Wish())]


def test_a_wish_narrows_by_kind_group_and_offset() -> None:
    records = [letter(0), letter(1, origin="1:1", kind="malformed"), letter(2, origin="2:2", group="z")]

    assert [1] == [each.offset for each in open_letters(records, Wish(kinds=frozenset({"malformed"})))]
    assert [2] == [each.offset for each in open_letters(records, Wish(groups=frozenset({"z"})))]
    assert [0] == [each.offset for each in open_letters(records, Wish(offsets=frozenset({0})))]


def test_the_original_headers_come_back_without_the_policys_own() -> None:
    assert [("ce_id", b"1")] == letter(0).original_headers()
