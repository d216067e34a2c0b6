"""Plans in the object store: read alike by every service, off the event loop, refused with one code."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.base import Selection
from contracts.plan import ExecutionPlan, PlannedUnit
from runtime import plans
from runtime.errors import Permanent
from runtime.plans import StoredPlans, parse
from support.fake_objects import FakeObjects
from support.tasks import catalog, made, over, person, report, task, to


def _plan(units: int = 3) -> ExecutionPlan:
    values = [f"v{number}" for number in range(units)]
    shop = catalog(reports=[report(iteration=over(limit=10_000))], people=[person("ann"), person("bob")])
    return made(task(recipients=(to("ann"), to("bob"))), shop, values=values)


@given(
    st.lists(
        st.builds(
            PlannedUnit,
            id=st.text(min_size=1, max_size=5),
            report=st.just("r"),
            file_name=st.text(min_size=1, max_size=5),
            selections=st.lists(
                st.builds(
                    Selection,
                    field=st.just("f"),
                    values=st.lists(st.one_of(st.text(max_size=3), st.floats(-1e9, 1e9)), min_size=1).map(
                        tuple
                    ),
                ),
                max_size=2,
            ).map(tuple),
            sealed=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        ),
        max_size=450,
    )
)
def test_a_plan_is_read_as_the_models_read_it(units: list[PlannedUnit]) -> None:
    body = _plan(1).model_copy(update={"units": tuple(units)}).model_dump_json().encode()
    assert ExecutionPlan.model_validate_json(body) == parse(body)


async def test_a_plan_comes_back_as_it_was_put() -> None:
    plan = _plan(500)
    stored = StoredPlans(FakeObjects())
    assert plan == await stored.load(await stored.put(plan))


async def test_a_plan_is_parsed_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def parsed(body: bytes) -> ExecutionPlan:
        threads.append(threading.get_ident())
        return parse(body)

    monkeypatch.setattr(plans, "parse", parsed)
    stored = StoredPlans(FakeObjects())
    await stored.load(await stored.put(_plan()))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"{}", b'{"units": 7}', b'{"units": "abc"}', b"\xff", b'{"units": [{}]}'],
)
async def test_what_is_not_a_plan_is_refused_with_one_code(body: bytes) -> None:
    objects = FakeObjects()
    ref = await objects.put("plans/x.json", body, content_type="application/json")
    with pytest.raises(Permanent) as refused:
        await StoredPlans(objects).load(ref)
    assert "plan-unreadable" == refused.value.reason.code
    assert "plans/x.json" in refused.value.reason.message
    assert refused.value.reason.remedy


@pytest.mark.parametrize("part", ["units", "deliveries"])
def test_a_part_that_is_wrong_is_found_in_every_portion(part: str) -> None:
    raw = json.loads(_plan(500).model_dump_json())
    raw[part] = raw[part] * 300
    raw[part][-1] = {"id": ""}
    with pytest.raises(ValidationError):
        parse(json.dumps(raw).encode())


async def test_the_limit_holds_for_writing_and_reading() -> None:
    objects = FakeObjects()
    ref = await StoredPlans(objects).put(_plan(50))
    with pytest.raises(Permanent):
        await StoredPlans(objects, max_bytes=1_000).put(_plan(50))
    with pytest.raises(Permanent):
        await StoredPlans(objects, max_bytes=1_000).load(ref)


async def test_the_latest_plans_are_kept_where_they_are_asked_for_again() -> None:
    objects = FakeObjects()
    stored = StoredPlans(objects, keep=1)
    first, second = await stored.put(_plan(1)), await stored.put(_plan(2))
    assert await stored.load(second) is await stored.load(second)
    one = await stored.load(first)
    assert one is await stored.load(first)
