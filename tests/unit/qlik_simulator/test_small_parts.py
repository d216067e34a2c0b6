"""The small pure parts: formats, deltas, filters, addresses, limits, signatures, tables, errors."""

import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlik_simulator.apps.loader import AppError, join_tables, load_app
from qlik_simulator.cloud.events import Envelope, Event, body
from qlik_simulator.cloud.limits import RateLimiter
from qlik_simulator.cloud.webhooks import signature
from qlik_simulator.domain.delta import difference, whole
from qlik_simulator.domain.errors import MESSAGES
from qlik_simulator.domain.fields import field_of
from qlik_simulator.domain.formats import (
    NumberFormat,
    date_text,
    from_serial,
    general_text,
    pattern_text,
    to_serial,
)
from qlik_simulator.domain.model import model_of
from qlik_simulator.engine.address import bearer_of, parse_address, user_of
from qlik_simulator.faults import Fault, FaultError, Faults
from qlik_simulator.rest.filters import FilterError, matches
from support.openrpc import apply_patches, openrpc

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab/~", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab/~", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(before=JSON, after=JSON)
def test_a_difference_turns_one_value_into_the_other(before: Any, after: Any) -> None:
    first = apply_patches(None, whole(before))
    assert first == before
    assert apply_patches(copy.deepcopy(before), difference(before, after)) == after
    assert difference(after, after) == []


@pytest.mark.parametrize(
    ("number", "pattern", "expected"),
    [
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (0.5, "0%", "50%"),
        (-1234.5, "$#,##0.00;-$#,##0.00", "-$1,234.50"),
        (-0.001, "0.00", "0.00"),
        (5, "000", "005"),
        (1.5, "0.0##", "1.5"),
        (12.0, "#,##0 km", "12 km"),
    ],
)
def test_number_patterns(number: float, pattern: str, expected: str) -> None:
    assert pattern_text(number, pattern) == expected


def test_numbers_without_a_format_have_fourteen_digits() -> None:
    assert general_text(51.152843901421875) == "51.152843901422"
    assert general_text(3.0) == "3"
    assert general_text(1e20) == "1e+20"
    assert NumberFormat.of({"qType": "INTEGER"}).text(2.6) == "3"
    assert NumberFormat("IV").text(1.5) == "36:00:00"


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))
def test_serials_go_there_and_back(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)
    assert from_serial(to_serial(aware)) == aware


def test_date_patterns() -> None:
    serial = to_serial(datetime(2013, 1, 5, 17, 4, 9, tzinfo=UTC))
    assert date_text(serial, "WWW D MMMM YYYY hh:mm:ss") == "Sat 5 January 2013 17:04:09"
    assert to_serial(datetime(2013, 1, 1, tzinfo=UTC)) == 41275


def test_every_message_is_the_published_one() -> None:
    published = openrpc().errors
    for code, message in MESSAGES.items():
        assert message in published[code], code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("status eq 7", True),
        ("status eq 8 or status eq 7", True),
        ("status eq 8 or status eq 9 and name eq 'x'", False),
        ("(status eq 7 or status eq 8) and app.id eq AB-1", True),
        ("name so 'ligh' and name sw 'F' and name ew \"ts\"", True),
        ("stopTime gt '2024-01-01T00:00:00.000Z'", True),
        ("stopTime gt '2024-12-01T00:00:00.000Z'", False),
        ("published eq true", True),
        ("missing.deep eq 1", False),
        ("status gt 6", True),
        ("NAME ne 'other'", True),
    ],
)
def test_filters(text: str, expected: bool) -> None:
    entity = {
        "status": 7,
        "name": "Flights",
        "app": {"id": "ab-1"},
        "stopTime": "2024-05-01T00:00:00.000Z",
        "published": True,
    }
    assert matches(text, entity) is expected


@pytest.mark.parametrize(
    "text", ["status", "status eq", "status like 7", "(status eq 7", "status eq 7 status", "'"]
)
def test_bad_filters_are_refused(text: str) -> None:
    with pytest.raises(FilterError):
        matches(text, {"status": 7})


@pytest.mark.parametrize(
    ("target", "app", "identity", "ttl", "prefix"),
    [
        ("/app/engineData", "", "", None, ""),
        ("/app", "", "", None, ""),
        ("/app/abc/identity/a%2Fb/ttl/5?x=1", "abc", "a/b", 5.0, ""),
        ("/vp/app/abc/ttl/0/identity/z", "abc", "z", 0.0, "vp"),
    ],
)
def test_addresses(target: str, app: str, identity: str, ttl: float | None, prefix: str) -> None:
    found = parse_address(target)
    assert found is not None
    assert (found.app, found.identity, found.ttl, found.prefix) == (app, identity, ttl, prefix)


def test_what_is_no_address_and_no_user() -> None:
    assert parse_address("/qrs/about") is None
    assert parse_address("/app/abc/ttl/soon") is None
    assert parse_address("/app/abc/other/1") is None
    assert user_of("UserDirectory=My%20Dir; UserId=a%5Cb") == "My Dir\\a\\b"
    assert user_of("UserId=x") is None
    assert (bearer_of("Bearer abc"), bearer_of("Basic abc"), bearer_of("Bearer ")) == ("abc", None, None)


def test_the_limiter_blocks_until_the_oldest_call_is_forgotten() -> None:
    now = [0.0]
    limiter = RateLimiter(lambda: now[0], {"tier1": 1})
    for _ in range(5):
        assert limiter.wait("u", "tier1") is None
        now[0] += 10
    assert limiter.wait("u", "tier1") == 250
    assert limiter.wait("other", "tier1") is None
    now[0] = 299
    assert limiter.wait("u", "tier1") == 1
    now[0] = 301
    assert limiter.wait("u", "tier1") is None


def test_the_signature_is_hmac_sha256_in_hex() -> None:
    # checked with: printf '{"a":1}' | openssl dgst -sha256 -hmac key
    assert signature("key", b'{"a":1}') == "88a67f24bbcdaed0e6c997404bb79a743baf44c6bab2f4c27328e3009d22e342"


def test_the_hybrid_envelope_is_both_of_the_others() -> None:
    event = Event("1", "t", "s", NOW, "u", "app", {"x": 1})
    legacy, modern, hybrid = (
        body(event, kind) for kind in (Envelope.LEGACY, Envelope.CLOUD_EVENT, Envelope.HYBRID)
    )
    assert hybrid == {**legacy, **modern}
    assert legacy["extensions"]["topLevelResourceId"] == modern["toplevelresourceid"] == "app"


def test_faults_happen_when_and_as_often_as_ordered() -> None:
    faults = Faults()
    faults.add("engine", Fault("stall", method="Get*", after=1, times=2))
    hits = [
        faults.take("engine", name) is not None
        for name in ("GetLayout", "Lock", "GetLayout", "GetField", "GetX")
    ]
    assert hits == [False, False, True, True, False]
    assert faults.waiting["engine"] == []
    with pytest.raises(FaultError, match="there is"):
        faults.add("engine", Fault("explode"))


def test_tables_are_joined_on_what_they_share_and_keep_their_rows() -> None:
    sales = pl.DataFrame({"product": ["p1", "p1", "p2", None], "amount": [1, 2, 3, 4]})
    products = pl.DataFrame({"product": ["p1", "p2", "p3"], "group": ["g1", "g1", "g2"]})
    groups = pl.DataFrame({"group": ["g1", "g2"], "owner": ["anna", "ben"]})
    wide = join_tables({"products": products, "sales": sales, "groups": groups})
    assert wide["amount"].sum() == 10
    assert set(wide["owner"].drop_nulls()) == {"anna", "ben"}  # p3 was never sold, and is there
    assert wide.height == 5
    with pytest.raises(AppError, match="not unique"):
        join_tables({"a": sales, "b": pl.DataFrame({"product": ["p1", "p1"], "x": [1, 2]})})
    with pytest.raises(AppError, match="share no field"):
        join_tables({"a": sales, "b": pl.DataFrame({"other": [1]})})


def test_an_app_is_loaded_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("day,region,amount\n2024-01-01,North,1.5\n2024-01-02,,2\n")
    app = load_app(str(tmp_path), NOW)
    assert (app.name, app.model.rows, app.last_reload_time) == (tmp_path.name, 2, NOW)
    assert app.model.fields["day"].texts == ("2024-01-01", "2024-01-02")
    assert app.model.fields["region"].has_nulls
    assert load_app(str(tmp_path), NOW + timedelta(days=1)).id == app.id
    described = '{"id": "my-app", "name": "Mine", "formats": {"amount": {"qType": "F", "qFmt": "0.00"}}}'
    (tmp_path / "app.json").write_text(described)
    named = load_app(str(tmp_path), NOW)
    assert (named.id, named.name, named.model.fields["amount"].texts[0]) == ("my-app", "Mine", "1.50")
    (tmp_path / "app.json").write_text("{")
    with pytest.raises(AppError, match="not JSON"):
        load_app(str(tmp_path), NOW)


def test_an_app_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="flights"):
        load_app(str(tmp_path / "nowhere"), NOW)
    with pytest.raises(AppError, match="has no"):
        load_app(str(tmp_path), NOW)


def test_many_numbers_have_the_texts_that_few_have() -> None:
    numbers = [number / 8 for number in range(12_000)]
    many, few = (field_of(pl.Series("n", part)) for part in (numbers, numbers[:100]))
    assert list(few.texts) == list(many.texts[:100])
    assert (many.texts[9], many.texts[16], len(many.texts)) == ("1.125", "2", 12_000)
    assert many.text_index["1.125"] == 9


def test_large_results_are_forgotten_before_many_small_ones_are() -> None:
    model = model_of(pl.DataFrame({"a": [1]}))
    made: list[str] = []

    def ask(key: str, rows: int) -> None:
        model.remember(key, lambda: made.append(key), lambda _: rows)

    for key, rows in (("small", 1), ("large", 3_000_000), ("larger", 3_500_000), ("large", 3_000_000)):
        ask(key, rows)
    assert ["small", "large", "larger", "large"] == made
    ask("large", 3_000_000)
    assert made.count("large") == 2
