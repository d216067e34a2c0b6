"""What holds for every task: nobody gets data his filters exclude, and nothing depends on order."""

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from contracts.base import Selection
from contracts.configuration import (
    FilterDef,
    HubSettings,
    Recipient,
    Report,
    Scope,
    TaskRecipient,
    TaskReport,
    TaskVersion,
)
from contracts.plan import ExecutionPlan
from generator.domain.admission import Fail
from generator.domain.request import Catalog
from generator.domain.selections import PlanProblemError, canonical, contains
from support.tasks import by_attribute, catalog, entry, fixed, over, person, planned, report, task, to

FIELDS = ("Airline", "Region")
VALUES = ("AA", "UA", "DL")
IDS = ("ann", "bob", "cyd", "dan")

filters = st.lists(
    st.one_of(
        st.builds(
            lambda field, values: fixed(field, *values),
            st.sampled_from(FIELDS),
            st.lists(st.sampled_from(VALUES), min_size=1, max_size=3),
        ),
        st.builds(lambda field: by_attribute(field, field.lower()), st.sampled_from(FIELDS)),
    ),
    max_size=3,
).map(tuple)

people = st.lists(
    st.builds(
        lambda id_, attributes: person(id_, **attributes),
        st.sampled_from(IDS),
        st.dictionaries(st.sampled_from(["airline", "region"]), st.sampled_from(VALUES)),
    ),
    min_size=1,
    unique_by=lambda each: each.id,
)

grants = st.lists(
    st.one_of(
        st.builds(to, st.sampled_from(IDS), email=st.booleans(), hub=st.booleans()),
        st.builds(
            to,
            st.sampled_from(IDS),
            scope=st.just(Scope.OWN),
            scope_attribute=st.sampled_from(["airline", "region"]),
            email=st.booleans(),
            hub=st.booleans(),
        ),
    ),
    min_size=1,
    max_size=5,
).map(tuple)

reports = st.lists(
    st.tuples(filters, filters, st.sampled_from([None, "Airline", "Region"])), min_size=1, max_size=3
)


def scene(
    parts: Sequence[tuple[tuple[FilterDef, ...], tuple[FilterDef, ...], str | None]],
    listed: tuple[TaskRecipient, ...],
    persons: Sequence[Recipient],
) -> tuple[TaskVersion, Catalog]:
    entries, made = list[TaskReport](), list[Report]()
    for number, (of_task, of_report, iterates) in enumerate(parts):
        name = f"report{number}"
        made.append(report(name, filters=of_report, iteration=over(iterates) if iterates else None))
        entries.append(entry(f"tr{number}", name, filters=of_task, hub=HubSettings(publish=True)))
    version = task(reports=tuple(entries), recipients=listed)
    return version, catalog(reports=made, people=persons)


def units_by_person(plan: ExecutionPlan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for delivery in plan.deliveries:
        if delivery.recipient_id:
            found.setdefault(delivery.recipient_id, set()).update(delivery.units)
        for reader in delivery.hub.visible_to if delivery.hub else ():
            found.setdefault(reader, set()).update(delivery.units)
    return found


@given(reports, grants, people)
def test_nobody_gets_a_file_with_data_his_filters_exclude(
    parts: list[tuple[tuple[FilterDef, ...], tuple[FilterDef, ...], str | None]],
    listed: tuple[TaskRecipient, ...],
    persons: list[Recipient],
) -> None:
    version, shop = scene(parts, listed, persons)
    plan = planned(version, shop, values=VALUES)
    if isinstance(plan, Fail):
        return
    units = {unit.id: unit for unit in plan.units}
    entries = {each.id: each for each in version.reports}
    for who, got in units_by_person(plan).items():
        attributes = shop.recipients[who].attributes
        for unit in (units[key] for key in got):
            wanted = entries[unit.report]
            shown = {item.field: set(item.values) for item in unit.selections}
            # Filter by filter, not through the code that intersects them.
            for item in (*wanted.filters, *shop.reports[wanted.report_id].filters):
                allowed = set(item.values) or {attributes[item.attribute or ""]}
                assert shown[item.field] <= allowed


@given(reports, grants, people)
def test_a_person_with_own_scope_only_never_gets_another_value(
    parts: list[tuple[tuple[FilterDef, ...], tuple[FilterDef, ...], str | None]],
    listed: tuple[TaskRecipient, ...],
    persons: list[Recipient],
) -> None:
    version, shop = scene(parts, listed, persons)
    plan = planned(version, shop, values=VALUES)
    if isinstance(plan, Fail):
        return
    units = {unit.id: unit for unit in plan.units}
    for who, got in units_by_person(plan).items():
        given_ = [each for each in listed if each.recipient_id == who]
        if any(each.scope is Scope.ALL for each in given_):
            continue
        own = {shop.recipients[who].attributes.get(each.scope_attribute or "") for each in given_}
        assert all(units[key].iteration_value in {None, *own} for key in got)


@given(reports, grants, people, st.randoms(use_true_random=False))
def test_ids_do_not_depend_on_any_order(
    parts: list[tuple[tuple[FilterDef, ...], tuple[FilterDef, ...], str | None]],
    listed: tuple[TaskRecipient, ...],
    persons: list[Recipient],
    chance: Random,
) -> None:
    version, shop = scene(parts, listed, persons)
    shuffled = version.model_copy(
        update={
            "reports": tuple(chance.sample(version.reports, len(version.reports))),
            "recipients": tuple(chance.sample(listed, len(listed))),
        }
    )
    one, two = planned(version, shop, values=VALUES), planned(shuffled, shop, values=VALUES[::-1])
    if isinstance(one, Fail) or isinstance(two, Fail):
        assert type(one) is type(two)
        return
    assert {unit.id for unit in one.units} == {unit.id for unit in two.units}
    assert {each.id for each in one.deliveries} == {each.id for each in two.deliveries}
    assert {key: sorted(got) for key, got in units_by_person(one).items()} == {
        key: sorted(got) for key, got in units_by_person(two).items()
    }


@given(reports, grants, people)
def test_every_delivery_is_of_units_of_the_plan_and_every_unit_is_delivered(
    parts: list[tuple[tuple[FilterDef, ...], tuple[FilterDef, ...], str | None]],
    listed: tuple[TaskRecipient, ...],
    persons: list[Recipient],
) -> None:
    version, shop = scene(parts, listed, persons)
    plan = planned(version, shop, values=VALUES)
    if isinstance(plan, Fail):
        return
    delivered = {unit for each in plan.deliveries for unit in each.units}
    assert delivered == {unit.id for unit in plan.units}
    assert len({each.id for each in plan.deliveries}) == len(plan.deliveries)
    assert len({unit.file_name.casefold() for unit in plan.units}) == len(plan.units)
    mailed = [each.recipient_id for each in plan.deliveries if each.recipient_id]
    assert len(mailed) == len(set(mailed))


selections = st.lists(
    st.builds(
        lambda field, values: Selection(field=field, values=tuple(values)),
        st.sampled_from(FIELDS),
        st.lists(st.sampled_from(VALUES), min_size=1),
    ),
    max_size=4,
)


@given(selections)
def test_an_intersection_is_within_every_part_and_the_same_in_any_order(parts: list[Selection]) -> None:
    try:
        found = canonical(parts)
    except PlanProblemError:
        # Refused only where two parts on one field really have nothing in common.
        assert (
            any(
                not set(one.values) & set(two.values)
                for one in parts
                for two in parts
                if one.field == two.field
            )
            or len(parts) > 2
        )
        return
    assert all(contains((part,), found) for part in parts)
    assert found == canonical(reversed(parts)) == canonical(found)
