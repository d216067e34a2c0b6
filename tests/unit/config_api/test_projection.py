"""Read models are a fold: of the same events in the same order, always the same documents."""

import copy
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from config_api.domain.hub import HubFile, shown
from config_api.domain.projection import (
    DELIVERIES,
    EXECUTIONS,
    HUB,
    PREVIEWS,
    TASK_RUNS,
    UNITS,
    Document,
    Fact,
    Target,
    replay,
    series_id,
    targets,
)
from contracts import ids
from contracts.base import Event
from contracts.events import (
    EVENT_TYPES,
    ConfigurationChanged,
    Disposition,
    PreviewRequested,
    PreviewSettled,
    TriggerInfo,
    TriggerKind,
    TriggerSkipped,
)
from support.config_api_events import NOW, REASON, road


def facts(events: list[Event]) -> list[Fact]:
    return [Fact(seq, event, NOW + timedelta(seconds=seq)) for seq, event in enumerate(events, 1)]


def folded(given_facts: list[Fact]) -> dict[Target, Document]:
    documents: dict[Target, Document] = {}
    replay(documents, given_facts)
    return documents


events_in_any_order = st.lists(
    st.sampled_from([event for task in ("a", "b") for number in (1, 2) for event in road(task, number)]),
    max_size=40,
    unique_by=lambda event: (event.ce_type(), event.identity()),
)


@given(events_in_any_order)
@settings(max_examples=100, deadline=None)
def test_replaying_twice_gives_the_same(events: list[Event]) -> None:
    assert folded(facts(events)) == folded(facts(events))


@given(events_in_any_order, st.integers(min_value=0, max_value=40))
@settings(max_examples=100, deadline=None)
def test_a_prefix_and_then_the_rest_is_the_whole(events: list[Event], cut: int) -> None:
    """Between the two the documents go through the store, and come back as they were."""
    all_facts = facts(events)
    documents = folded(all_facts[:cut])
    replay(stored := copy.deepcopy(documents), all_facts[cut:])
    assert stored == folded(all_facts)


@given(events_in_any_order)
@settings(max_examples=50, deadline=None)
def test_moments_in_views_are_whole_milliseconds(events: list[Event]) -> None:
    """The store cuts to milliseconds; what was computed must equal what is read back."""
    for document in folded(facts(events)).values():
        assert all(not value.microsecond % 1000 for value in document.values() if isinstance(value, datetime))


@given(st.permutations(road("a", 1)))
@settings(max_examples=100, deadline=None)
def test_the_end_does_not_depend_on_the_order_topics_are_read_in(events: list[Event]) -> None:
    in_order, mixed = folded(facts(road("a", 1))), folded(facts(events))
    execution = Target(EXECUTIONS, ids.execution_id("a", "1"))
    for name in ("state", "outcome", "units", "deliveries", "reasons", "task_name", "log", "trigger", "plan"):
        assert mixed[execution].get(name) == in_order[execution].get(name), name
    assert mixed.keys() == in_order.keys()
    states = {target: document.get("state") for target, document in in_order.items()}
    assert {target: document.get("state") for target, document in mixed.items()} == states


def test_an_execution_counts_what_settled() -> None:
    documents = folded(facts(road("a", 1)))
    execution = documents[Target(EXECUTIONS, ids.execution_id("a", "1"))]
    assert execution["units"] == {"planned": 3, "generated": 1, "skipped": 1, "failed": 1}
    assert execution["deliveries"] == {"planned": 4, "succeeded": 1, "failed": 1, "unknown": 1, "skipped": 1}
    assert (execution["state"], execution["outcome"]) == ("completed", "warning")
    assert sum(target.view == UNITS for target in documents) == 3
    assert sum(target.view == DELIVERIES for target in documents) == 4
    assert documents[Target(TASK_RUNS, "a")]["outcomes"] == {"warning": 1}


def test_a_skipped_occurrence_shows_its_reason() -> None:
    trigger = TriggerInfo(kind=TriggerKind.SCHEDULE, trigger_id="t", occurrence="x", due_at=NOW)
    skipped = TriggerSkipped(
        execution_id=ids.execution_id("t", "x"), task_id="a", trigger=trigger, reason=REASON
    )
    execution = folded(facts([skipped]))[Target(EXECUTIONS, skipped.execution_id)]
    assert (execution["state"], execution["outcome"]) == ("completed", "skipped")
    assert execution["reasons"][0]["code"] == "some-reason"


def test_a_plan_that_failed_is_ending_until_it_is_completed() -> None:
    planned = road("a", 1)[1].model_copy(update={"disposition": Disposition.FAILED, "reason": REASON})
    execution = folded(facts([road("a", 1)[0], planned]))[Target(EXECUTIONS, planned.key())]
    assert execution["state"] == "ending"
    assert execution["reasons"][0]["message"] == "because"


def test_a_preview_is_the_same_whichever_of_its_events_comes_first() -> None:
    asked = PreviewRequested(
        preview_id="p", report_id="r", format="html", requested_by="dev@example.com", deadline_at=NOW
    )
    settled = PreviewSettled(preview_id="p", report_id="r", report_name="R", reason=REASON)
    there = folded(facts([asked, settled]))[Target(PREVIEWS, "p")]
    back = folded(facts([settled, asked]))[Target(PREVIEWS, "p")]
    assert ("failed", "html", "some-reason") == (there["state"], there["format"], there["reason"]["code"])
    assert {**there, "requested_at": 0, "settled_at": 0} == {**back, "requested_at": 0, "settled_at": 0}


def test_every_event_type_is_projected_or_left_out_on_purpose() -> None:
    projected = {type(event) for event in road("a", 1)} | {TriggerSkipped, PreviewRequested, PreviewSettled}
    assert projected | {ConfigurationChanged} == set(EVENT_TYPES)
    assert all(targets(event) for event in road("a", 1))


def _file(key: str, day: int, *, keep: int = 0, to: tuple[str, ...] = ("ann",), series: str = "s") -> HubFile:
    return HubFile(key, series, "R", "T", None, NOW + timedelta(days=day), keep, to, "r.html", 1, {})


def test_the_hub_file_of_a_delivery_names_its_series_and_who_sees_it() -> None:
    documents = folded(facts(road("a", 1)))
    files = [document for target, document in documents.items() if target.view == HUB]
    assert len(files) == 1
    assert files[0]["visible_to"] == ["ann", "bob"]
    assert files[0]["series"] == series_id("a", "R", None, "report.html")
    assert series_id("a", "R", None, "r.pdf") != series_id("a", "R", None, "r.html")


def test_older_versions_beyond_keep_are_hidden() -> None:
    files = [_file(str(day), day, keep=2) for day in range(5)]
    assert [[file.id for file in versions] for versions in shown(files, "ann")] == [["4", "3"]]


def test_the_newest_version_says_how_many_are_kept() -> None:
    assert [len(versions) for versions in shown([_file("1", 1, keep=1), _file("2", 2)], "ann")] == [2]
    assert [len(versions) for versions in shown([_file("1", 1), _file("2", 2, keep=1)], "ann")] == [1]


def test_somebody_elses_versions_neither_show_nor_push_out_ones_own() -> None:
    files = [_file("mine", 1, keep=1), _file("yours", 2, keep=1, to=("bob",))]
    assert [[file.id for file in versions] for versions in shown(files, "ann")] == [["mine"]]
    assert shown(files, "eve") == []
