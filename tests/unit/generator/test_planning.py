"""Who gets which file, made from which data."""

from dataclasses import replace

import pytest

from contracts.base import Reason, Selection
from contracts.configuration import (
    FieldItem,
    HubSettings,
    MailSettings,
    OutputFormat,
    Scope,
    StorageTarget,
    TaskVersion,
    TemplateUses,
    TestMode,
)
from contracts.events import Channel
from contracts.plan import ExecutionPlan, PlannedDelivery, PlannedMail, PlannedReader
from generator.domain.outcomes import about
from generator.domain.request import Limits, NoAnswer, Verdict, prepare, questions
from support.tasks import (
    answered,
    by_attribute,
    catalog,
    condition,
    entry,
    failed,
    fired_with,
    firing,
    fixed,
    group,
    made,
    over,
    person,
    report,
    space,
    task,
    template,
    to,
)


def mail_of(plan: ExecutionPlan, recipient: str) -> PlannedMail:
    found = [each.mail for each in plan.deliveries if each.recipient_id == recipient and each.mail]
    assert len(found) == 1
    return found[0]


def by_channel(plan: ExecutionPlan, channel: Channel) -> list[PlannedDelivery]:
    return [each for each in plan.deliveries if each.channel is channel]


def outcomes(plan: ExecutionPlan) -> dict[str | None, str]:
    """Return by recipient whether the mail is planned, or the code of why it is not."""
    mails = by_channel(plan, Channel.EMAIL)
    return {each.recipient_id: each.failed.code if each.failed else "planned" for each in mails}


def codes(problems: tuple[Reason, ...]) -> list[str]:
    return [each.code for each in problems]


def selected(plan: ExecutionPlan) -> list[dict[str, tuple[str | float, ...]]]:
    return [{item.field: item.values for item in unit.selections} for unit in plan.units]


# --- units and filters ---------------------------------------------------------------------------


def test_people_who_may_see_the_same_share_one_file() -> None:
    plan = made(task(recipients=(to("ann"), to("bob"))), catalog(people=[person("ann"), person("bob")]))
    assert len(plan.units) == 1
    assert [each.recipient_id for each in plan.deliveries] == ["ann", "bob"]
    assert plan.deliveries[0].units == plan.deliveries[1].units == (plan.units[0].id,)


def test_filters_of_every_level_are_intersected_per_field() -> None:
    version = task(
        reports=(entry(filters=(fixed("Airline", "AA", "UA", "DL"), fixed("Year", 2013))),),
        recipients=(to("ann"),),
    )
    flights = report(filters=(fixed("Airline", "UA", "AA"), by_attribute("Airline", "airline")))
    plan = made(version, catalog(reports=[flights], people=[person("ann", airline="UA")]))
    assert selected(plan) == [{"Airline": ("UA",), "Year": (2013.0,)}]


def test_an_empty_intersection_is_a_problem_and_never_an_unfiltered_file() -> None:
    version = task(reports=(entry(filters=(fixed("Airline", "AA"),)), entry("tr2", "delays")))
    reports = [report(filters=(fixed("Airline", "UA"),)), report("delays")]
    plan = made(version, catalog(reports=reports))
    assert codes(plan.problems) == ["filters-exclude-each-other"]
    assert [unit.report for unit in plan.units] == ["tr2"]


def test_nothing_left_because_of_problems_fails_with_the_first_of_them() -> None:
    version = task(reports=(entry(filters=(fixed("Airline", "AA"),)),))
    found = failed(version, catalog(reports=[report(filters=(fixed("Airline", "UA"),))]))
    assert found.reason.code == "filters-exclude-each-other"
    assert found.problems == (found.reason,)


def test_recipient_filters_make_one_file_per_distinct_selection() -> None:
    people = [person("ann", airline="AA"), person("bob", airline="UA"), person("cyd", airline="AA")]
    version = task(
        reports=(entry(filters=(by_attribute("Airline", "airline"),)),),
        recipients=tuple(to(each.id) for each in people),
    )
    plan = made(version, catalog(people=people))
    assert selected(plan) == [{"Airline": ("AA",)}, {"Airline": ("UA",)}]
    assert mail_of(plan, "ann").attach == mail_of(plan, "cyd").attach == (plan.units[0].id,)
    assert mail_of(plan, "bob").attach == (plan.units[1].id,)


def test_a_person_without_the_attribute_gets_no_file_and_the_others_theirs() -> None:
    version = task(
        reports=(entry(filters=(by_attribute("Airline", "airline"),)),), recipients=(to("ann"), to("bob"))
    )
    plan = made(version, catalog(people=[person("ann"), person("bob", airline="UA")]))
    assert outcomes(plan) == {"ann": "recipient-attribute-missing", "bob": "planned"}
    assert codes(plan.problems) == ["recipient-attribute-missing"]
    assert "Ann" in plan.problems[0].message


def test_a_person_outside_the_fixed_filters_gets_no_file() -> None:
    version = task(
        reports=(entry(filters=(fixed("Airline", "UA"), by_attribute("Airline", "airline"))),),
        recipients=(to("ann"), to("bob")),
    )
    plan = made(version, catalog(people=[person("ann", airline="AA"), person("bob", airline="UA")]))
    assert outcomes(plan) == {"ann": "filters-exclude-each-other", "bob": "planned"}
    assert codes(plan.problems) == ["filters-exclude-each-other"]


def test_the_same_file_wanted_by_two_task_reports_is_made_once() -> None:
    version = task(
        reports=(
            entry("tr1", attach=True),
            entry("tr2", attach=False, storage=(StorageTarget(storage_id="share"),)),
        )
    )
    plan = made(version, catalog(storage=[space()]))
    assert len(plan.units) == 1
    assert [each.channel for each in plan.deliveries] == [Channel.EMAIL, Channel.STORAGE]


def test_the_same_report_in_two_formats_is_two_files_with_two_names() -> None:
    version = task(reports=(entry("tr1"), entry("tr2", format=OutputFormat.PDF)))
    plan = made(version, catalog())
    assert [unit.file_name for unit in plan.units] == ["Flights.xlsx", "Flights.pdf"]
    assert len({unit.id for unit in plan.units}) == 2


def test_a_new_template_makes_another_unit() -> None:
    before = made(task(), catalog(templates=[template(sha="a")]))
    after = made(task(), catalog(templates=[template(sha="b")]))
    assert before.units[0].id != after.units[0].id


def test_unit_ids_do_not_depend_on_the_order_of_filters_or_people() -> None:
    one = task(
        reports=(entry(filters=(fixed("A", "x", "y"), fixed("B", "z"))),), recipients=(to("ann"), to("bob"))
    )
    two = task(
        reports=(entry(filters=(fixed("B", "z"), fixed("A", "y", "x"))),), recipients=(to("bob"), to("ann"))
    )
    people = [person("ann"), person("bob")]
    assert made(one, catalog(people=people)).units == made(two, catalog(people=people)).units


# --- iteration -----------------------------------------------------------------------------------


def test_an_iteration_makes_one_file_a_value() -> None:
    flights = report(iteration=over("Airline"), file_name="{{ report.name }} {{ iteration.value }}")
    plan = made(task(), catalog(reports=[flights]), values=["AA", "UA"])
    assert [unit.iteration_value for unit in plan.units] == ["AA", "UA"]
    assert [unit.file_name for unit in plan.units] == ["Flights AA.xlsx", "Flights UA.xlsx"]
    assert selected(plan) == [{"Airline": ("AA",)}, {"Airline": ("UA",)}]
    assert mail_of(plan, "ann").attach == tuple(unit.id for unit in plan.units)
    assert plan.reports[0].iteration_field == "Airline"


def test_iteration_values_are_asked_under_the_filters() -> None:
    version = task(reports=(entry(filters=(fixed("Region", "EU"),)),))
    request = prepare(version, catalog(reports=[report(iteration=over("Airline", limit=7))]))
    (question,) = questions(request)
    assert (question.field, question.limit) == ("Airline", 8)  # type: ignore[union-attr]
    assert question.selections == (Selection(field="Region", values=("EU",)),)


def test_each_set_of_selections_is_asked_once() -> None:
    people = [person("ann", region="EU"), person("bob", region="US"), person("cyd", region="EU")]
    version = task(
        reports=(entry(filters=(by_attribute("Region", "region"),)),),
        recipients=tuple(to(each.id) for each in people),
    )
    request = prepare(version, catalog(reports=[report(iteration=over())], people=people))
    assert len(questions(request)) == 2


def test_an_iteration_over_a_filtered_field_stays_within_the_filter() -> None:
    flights = report(iteration=over("Airline"), filters=(fixed("Airline", "AA", "UA"),))
    plan = made(task(), catalog(reports=[flights]), values=["AA", "UA", "DL"])
    assert [unit.iteration_value for unit in plan.units] == ["AA", "UA"]
    assert codes(plan.problems) == ["filters-exclude-each-other"]


def test_a_number_in_a_filter_is_known_again_in_what_qlik_shows() -> None:
    flights = report(iteration=over("Year"), filters=(fixed("Year", 2013),))
    plan = made(task(), catalog(reports=[flights]), values=[("2,013", 2013.0)])
    assert selected(plan) == [{"Year": ("2,013",)}]
    assert not plan.problems


def test_more_values_than_the_limit_is_a_problem_and_nothing_is_cut_off() -> None:
    flights = report(iteration=over(limit=2))
    found = failed(task(), catalog(reports=[flights]), values=["AA", "UA", "DL"])
    assert found.reason.code == "iteration-too-long"
    assert len(made(task(), catalog(reports=[flights]), values=["AA", "UA"]).units) == 2


def test_an_iteration_without_values_makes_a_plan_without_files() -> None:
    plan = made(task(), catalog(reports=[report(iteration=over())]), values=[])
    assert (plan.units, plan.deliveries) == ((), ())
    assert codes(plan.problems) == ["iteration-empty"]


def test_what_qlik_cannot_answer_fails_that_report_only() -> None:
    version = task(reports=(entry(), entry("tr2", "delays")))
    shop = catalog(reports=[report(iteration=over()), report("delays")])
    reason = Reason(code="qlik-denied", message="no right to the app", remedy="give it")
    answers = dict.fromkeys(questions(prepare(version, shop)), NoAnswer(reason))
    plan = made(version, shop, answers=answers)
    assert [unit.report for unit in plan.units] == ["tr2"]
    assert codes(plan.problems) == ["qlik-denied"]
    assert "Flights" in plan.problems[0].message


# --- conditions ----------------------------------------------------------------------------------


def test_a_condition_of_a_single_file_is_left_to_the_renderer() -> None:
    plan = made(task(reports=(entry(conditions=(condition(),)),)), catalog())
    assert plan.units[0].conditions == (condition(),)
    assert plan.units[0].skip is None


def test_a_condition_tested_once_skips_the_whole_iteration() -> None:
    version = task(reports=(entry(conditions=(condition(),)),))
    plan = made(
        version,
        catalog(reports=[report(iteration=over())]),
        values=["AA", "UA"],
        verdict=Verdict(holds=False, detail="count was '0'"),
    )
    assert len(plan.units) == 2
    for unit in plan.units:
        assert unit.skip is not None
        assert unit.skip.code == "condition-not-met"
        assert unit.conditions == ()


def test_a_condition_tested_once_that_holds_is_not_tested_again() -> None:
    version = task(reports=(entry(conditions=(condition(), condition("each", per_iteration=True))),))
    plan = made(version, catalog(reports=[report(iteration=over())]), values=["AA"])
    assert plan.units[0].skip is None
    assert [each.name for each in plan.units[0].conditions] == ["each"]


# --- scope and rights ----------------------------------------------------------------------------


def test_scope_own_gives_each_person_his_own_file() -> None:
    version = task(
        recipients=(
            to("ann", scope=Scope.OWN, scope_attribute="airline"),
            to("bob", scope=Scope.OWN, scope_attribute="airline"),
            to("boss"),
        )
    )
    people = [person("ann", airline="AA"), person("bob", airline="UA"), person("boss")]
    plan = made(version, catalog(reports=[report(iteration=over())], people=people), values=["AA", "UA"])
    first, second = (unit.id for unit in plan.units)
    assert mail_of(plan, "ann").attach == (first,)
    assert mail_of(plan, "bob").attach == (second,)
    assert mail_of(plan, "boss").attach == (first, second)


def test_files_that_nobody_gets_are_not_made() -> None:
    version = task(recipients=(to("ann", scope=Scope.OWN, scope_attribute="airline"),))
    shop = catalog(reports=[report(iteration=over())], people=[person("ann", airline="AA")])
    plan = made(version, shop, values=["AA", "UA", "DL"])
    assert [unit.iteration_value for unit in plan.units] == ["AA"]


def test_scope_own_without_the_attribute_is_told() -> None:
    version = task(recipients=(to("ann", scope=Scope.OWN, scope_attribute="airline"), to("bob")))
    shop = catalog(reports=[report(iteration=over())], people=[person("ann"), person("bob")])
    plan = made(version, shop, values=["AA"])
    assert [each.recipient_id for each in plan.deliveries] == ["bob"]
    assert codes(plan.problems) == ["scope-attribute-missing"]


def test_a_person_listed_directly_and_through_a_group_gets_one_mail_with_all_rights() -> None:
    version = task(
        reports=(entry(hub=HubSettings(publish=True)),),
        recipients=(to("ann", email=True, hub=False), to(group_id="team", email=False, hub=True)),
    )
    shop = catalog(people=[person("ann"), person("bob")], groups=[group("team", "ann", "bob", "ann")])
    plan = made(version, shop)
    assert [each.recipient_id for each in by_channel(plan, Channel.EMAIL)] == ["ann"]
    (shown,) = by_channel(plan, Channel.HUB)
    assert shown.hub is not None
    assert shown.hub.visible_to == ("ann", "bob")


def test_rights_keep_their_scope() -> None:
    """The right to all files in the Hub does not send all of them by mail."""
    version = task(
        reports=(entry(hub=HubSettings(publish=True)),),
        recipients=(
            to("ann", email=True, hub=False, scope=Scope.OWN, scope_attribute="airline"),
            to("ann", email=False, hub=True),
        ),
    )
    shop = catalog(reports=[report(iteration=over())], people=[person("ann", airline="AA")])
    plan = made(version, shop, values=["AA", "UA"])
    assert mail_of(plan, "ann").attach == (plan.units[0].id,)
    assert len(by_channel(plan, Channel.HUB)) == 2


def test_disabled_people_get_nothing_and_are_named() -> None:
    version = task(recipients=(to("ann"), to(group_id="team")))
    people = [person("ann"), person("bob", enabled=False)]
    plan = made(version, catalog(people=people, groups=[group("team", "bob")]))
    assert [each.recipient_id for each in plan.deliveries] == ["ann"]
    assert [(each.code, each.message) for each in plan.problems] == [
        ("recipient-disabled", "Bob gets nothing, because the recipient 'bob' is disabled.")
    ]


def test_a_group_without_members_is_named() -> None:
    version = task(recipients=(to("ann"), to(group_id="team")))
    plan = made(version, catalog(groups=[group("team")]))
    assert codes(plan.problems) == ["group-empty"]


def test_a_hub_report_that_nobody_may_see_there_is_named() -> None:
    version = task(
        reports=(entry(hub=HubSettings(publish=True)),), recipients=(to("ann", hub=False, email=True),)
    )
    assert codes(made(version, catalog()).problems) == ["hub-without-readers"]


def test_a_person_whose_own_value_has_no_file_is_named() -> None:
    own = {"scope": Scope.OWN, "scope_attribute": "airline"}
    version = task(recipients=(to("ann", **own), to("bob", **own)))
    people = [person("ann", airline="AA"), person("bob", airline="ZZ")]
    plan = made(version, catalog(reports=[report(iteration=over())], people=people), values=["AA", "UA"])
    assert [(each.code, each.message) for each in plan.problems] == [
        ("no-own-file", "Bob gets no file of the report 'Flights': it has none for 'ZZ'.")
    ]


def test_whoever_gets_no_file_because_none_can_be_planned_has_a_failed_delivery_on_each_way() -> None:
    version = task(
        reports=(
            entry(storage=(StorageTarget(storage_id="share"),), hub=HubSettings(publish=True)),
            entry("tr2", "delays", attach=False, storage=(StorageTarget(storage_id="share"),)),
        )
    )
    reports = [report(file_name="{{ nonsense }}"), report("delays")]
    plan = made(version, catalog(reports=reports, storage=[space()]))
    assert [(each.channel.value, each.failed.code if each.failed else None) for each in plan.deliveries] == [
        ("email", "tag-wrong"),
        ("storage", None),
        ("storage", "tag-wrong"),
        ("hub", "tag-wrong"),
    ]
    assert len({each.id for each in plan.deliveries}) == 4


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (task(recipients=(to("ann"), to("gone"))), "recipient-unknown"),
        (task(recipients=(to("ann"), to(group_id="gone"))), "group-unknown"),
        (task(reports=(entry(), entry("tr2", "gone"))), "report-unknown"),
        (task(reports=(entry(), entry("tr2", "bare"))), "template-unknown"),
        (task(reports=(entry(storage=(StorageTarget(storage_id="gone"),)),)), "storage-unknown"),
        (
            task(
                reports=(entry(storage=(StorageTarget(storage_id="share", path="../x"),)),),
            ),
            "path-refused",
        ),
        (task(reports=(entry(), entry("tr2", "odd"))), "tag-wrong"),
        (task(reports=(entry(), entry("tr2", "delays", attach=False))), "nobody-gets-it"),
    ],
)
def test_what_is_wrong_with_one_part_is_told_and_the_rest_is_planned(version: TaskVersion, code: str) -> None:
    reports = [
        report(),
        report("bare", template_id="gone"),
        report("odd", file_name="{{ nonsense }}"),
        report("delays"),
    ]
    plan = made(version, catalog(reports=reports, storage=[space()]))
    assert code in codes(plan.problems)
    assert all(each.remedy for each in plan.problems)
    assert [each.recipient_id for each in by_channel(plan, Channel.EMAIL)] == ["ann"]


def test_a_person_without_an_address_is_told_and_his_file_is_not_made() -> None:
    version = task(
        reports=(entry(filters=(by_attribute("Airline", "airline"),)),), recipients=(to("ann"), to("bob"))
    )
    people = [person("ann", email=None, airline="AA"), person("bob", airline="UA")]
    plan = made(version, catalog(people=people))
    assert codes(plan.problems) == ["recipient-without-address"]
    assert outcomes(plan) == {"ann": "recipient-without-address", "bob": "planned"}
    assert selected(plan) == [{"Airline": ("UA",)}]


def test_a_task_without_reports_fails() -> None:
    assert failed(task(reports=()), catalog()).reason.code == "task-empty"


# --- options of a run, and test mode ---------------------------------------------------------------


TESTER = {"address": "test@example.com"}
EVERYWHERE = entry(storage=(StorageTarget(storage_id="share"),), hub=HubSettings(publish=True))


def held(plan: ExecutionPlan) -> list[str]:
    return [each.channel.value for each in plan.deliveries if each.held is not None]


@pytest.mark.parametrize(
    ("options", "of_task", "address", "kept_back"),
    [
        ({}, None, None, []),
        ({"test_mode": TESTER}, None, "test@example.com", ["storage", "hub"]),
        ({"test_mode": {**TESTER, "deliver": ["hub"]}}, None, "test@example.com", ["storage"]),
        ({"hold": ["hub"]}, None, None, ["hub"]),
        ({}, {"address": "own@example.com"}, "own@example.com", ["storage", "hub"]),
        ({}, {"address": "own@example.com", "deliver": ["storage", "hub"]}, "own@example.com", []),
        (
            {"hold": ["hub"]},
            {"address": "own@example.com", "deliver": ["storage", "hub"]},
            "own@example.com",
            ["hub"],
        ),
        ({"test_mode": TESTER}, {"address": "own@example.com"}, "test@example.com", ["storage", "hub"]),
    ],
)
def test_test_mode_and_the_options_of_a_run_say_where_files_go(
    options: dict[str, object], of_task: dict[str, object] | None, address: str | None, kept_back: list[str]
) -> None:
    mode = TestMode.model_validate(of_task) if of_task else None
    version = task(reports=(EVERYWHERE,), test_mode=mode, mail=MailSettings(cc=("boss@example.com",)))
    plan = made(version, catalog(storage=[space()]), firing_=fired_with(**options))
    assert (plan.test_address, held(plan)) == (address, kept_back)
    assert {each.held.code for each in plan.deliveries if each.held} <= {"held-back"}
    assert mail_of(plan, "ann").cc == (() if address else ("boss@example.com",))
    assert len(plan.units) == 1, "files that are held back are made, to be looked at"


def test_a_run_for_some_recipients_reaches_nobody_else() -> None:
    version = task(
        reports=(EVERYWHERE,),
        recipients=(to("ann"), to(group_id="team")),
        mail=MailSettings(cc=("boss@example.com",), bcc=("audit@example.com",)),
    )
    people = [person("ann"), person("bob"), person("cyd", enabled=False)]
    shop = catalog(people=people, groups=[group("team", "bob", "cyd")], storage=[space()])
    plan = made(version, shop, firing_=fired_with(recipients=["bob"]))
    assert outcomes(plan) == {"bob": "planned"}
    assert (mail_of(plan, "bob").cc, mail_of(plan, "bob").bcc) == ((), ())
    assert [each.hub.visible_to for each in plan.deliveries if each.hub] == [("bob",)]
    assert plan.problems == ()


def test_whoever_was_taken_out_of_the_task_meanwhile_is_named() -> None:
    plan = made(task(), catalog(), firing_=fired_with(recipients=["ann", "gone"]))
    assert codes(plan.problems) == ["recipient-not-in-task"]


# --- mails ---------------------------------------------------------------------------------------


def test_tags_are_filled_in_for_each_person_in_the_time_zone_of_the_trigger() -> None:
    mail = MailSettings(
        subject="{{ task.name }} for {{ recipient.name }}, {{ date }} {{ time }}",
        body="Dear {{ recipient.attributes.title | default('colleague') }}",
    )
    plan = made(task(mail=mail), catalog(people=[person("ann", title="Dr")]))
    assert mail_of(plan, "ann").subject == "Flights daily for Ann, 2026-03-02 09:00"
    assert mail_of(plan, "ann").body == "Dear Dr"


def test_values_are_escaped_in_a_body_that_is_html() -> None:
    plan = made(
        task(mail=MailSettings(body="<p>{{ recipient.attributes.title }}</p>")),
        catalog(people=[person("ann", title="<script>")]),
    )
    assert mail_of(plan, "ann").body == "<p>&lt;script&gt;</p>"


SHOWS_RECIPIENT = TemplateUses(recipient=True)


def test_a_template_that_shows_the_recipient_makes_a_file_for_each_person() -> None:
    letter = template().model_copy(update={"uses": SHOWS_RECIPIENT})
    shop = catalog(templates=[letter], people=[person("ann", region="N"), person("bob")])
    plan = made(task(recipients=(to("ann"), to("bob"))), shop)
    readers = {unit.id: unit.recipient for unit in plan.units}
    got = {each.recipient_id: readers[each.units[0]] for each in plan.deliveries}
    ann = PlannedReader(name="Ann", email="ann@example.com", attributes={"region": "N"})
    assert {"ann": ann, "bob": PlannedReader(name="Bob", email="bob@example.com")} == got
    assert {1} == {len(each.units) for each in plan.deliveries}


def test_templates_show_what_the_plan_says_of_a_file() -> None:
    letter = template().model_copy(update={"uses": SHOWS_RECIPIENT})
    flights = report(iteration=over(), filters=(fixed("Month", "March"),))
    shop = catalog(reports=[flights], templates=[letter], people=[person("ann", region="N")])
    plan = made(task(), shop, values=["AA"])
    meta = about(plan, plan.reports[0], plan.units[0])
    assert ("Flights", "xlsx", "Flights daily", "task") == (meta.report, meta.format, meta.task, meta.task_id)
    assert ("AA", "Airline", "March") == (meta.iteration, meta.iteration_field, meta.filters)
    assert ("Ann", "ann@example.com", {"region": "N"}) == (meta.recipient, meta.email, meta.attributes)
    assert "2026-03-02T09:00:00+01:00" == meta.now.isoformat()


def test_a_template_that_shows_no_recipient_is_shared_and_carries_none() -> None:
    for uses in (None, TemplateUses(recipient=False)):
        shop = catalog(templates=[template().model_copy(update={"uses": uses})])
        shop = replace(shop, recipients={"ann": person("ann"), "bob": person("bob")})
        plan = made(task(recipients=(to("ann"), to("bob"))), shop)
        assert [None] == [unit.recipient for unit in plan.units]


def test_a_template_that_shows_the_recipient_is_made_once_where_nobody_gets_it_by_name() -> None:
    letter = template().model_copy(update={"uses": SHOWS_RECIPIENT})
    version = task(
        recipients=(to("ann", email=False, hub=False),),
        reports=(entry(storage=(StorageTarget(storage_id="share"),)),),
    )
    plan = made(version, catalog(templates=[letter], storage=[space()]))
    assert [None] == [unit.recipient for unit in plan.units]


def test_a_data_item_named_recipient_hides_the_short_spelling() -> None:
    uses = TemplateUses(tables={"recipient": ("name",)})
    letter = template().model_copy(update={"uses": uses})
    people = [person("ann"), person("bob")]
    bound = report(data=(FieldItem(name="recipient", field="Recipient"),))
    version = task(recipients=(to("ann"), to("bob")))
    assert 1 == len(made(version, catalog(reports=[bound], templates=[letter], people=people)).units)
    assert 2 == len(made(version, catalog(templates=[letter], people=people)).units)


def test_a_wrong_tag_in_the_subject_stops_mails_and_nothing_else() -> None:
    version = task(
        mail=MailSettings(subject="{{ nonsense }}"),
        reports=(entry(storage=(StorageTarget(storage_id="share"),)),),
    )
    plan = made(version, catalog(storage=[space()]))
    assert [each.channel for each in plan.deliveries] == [Channel.EMAIL, Channel.STORAGE]
    assert outcomes(plan)["ann"] == "tag-wrong"
    assert codes(plan.problems) == ["tag-wrong"]


def test_when_nothing_can_be_planned_the_failed_deliveries_are_counted() -> None:
    found = failed(task(mail=MailSettings(subject="{{ nonsense }}")), catalog())
    assert (found.reason.code, found.deliveries) == ("tag-wrong", 1)


@pytest.mark.parametrize("way", ["person", "report"])
def test_zip_where_the_person_or_the_report_asks_for_it(way: str) -> None:
    version = task(
        reports=(entry(zip_email=way == "report"),), recipients=(to("ann", zip_email=way == "person"),)
    )
    plan = made(version, catalog(reports=[report(iteration=over())]), values=["AA", "UA"])
    mail = mail_of(plan, "ann")
    assert mail.attach == ()
    assert mail.zipped == tuple(unit.id for unit in plan.units)
    assert mail.zip_name == "Flights daily.zip"


def test_html_is_embedded_and_not_attached_unless_asked() -> None:
    version = task(reports=(entry(format=OutputFormat.HTML, attach=False, embed=True),))
    plan = made(version, catalog())
    mail = mail_of(plan, "ann")
    assert (mail.attach, mail.embed, mail.zip_name) == ((), (plan.units[0].id,), None)


def test_test_mode_names_its_address_and_drops_the_copies() -> None:
    mail = MailSettings(cc=("cc@example.com",), bcc=("bcc@example.com",))
    live = made(task(mail=mail), catalog())
    assert mail_of(live, "ann").cc == ("cc@example.com",)
    assert mail_of(live, "ann").bcc == ("bcc@example.com",)
    tested = made(task(mail=mail, test_mode=TestMode(address="me@example.com")), catalog())
    assert tested.test_address == "me@example.com"
    assert (mail_of(tested, "ann").cc, mail_of(tested, "ann").bcc) == ((), ())
    assert mail_of(tested, "ann").to == "ann@example.com"


def test_two_people_with_one_address_have_two_mails() -> None:
    people = [person("ann", email="desk@example.com"), person("bob", email="desk@example.com")]
    plan = made(task(recipients=(to("ann"), to("bob"))), catalog(people=people))
    assert len({each.id for each in plan.deliveries}) == 2


# --- storage and Hub -----------------------------------------------------------------------------


def stored(**target: object) -> ExecutionPlan:
    version = task(
        recipients=(),
        reports=(entry(attach=False, storage=(StorageTarget(storage_id="share", **target),)),),
    )
    flights = report(iteration=over(), file_name="{{ report.name }} {{ iteration.value }}")
    return made(version, catalog(reports=[flights], storage=[space()]), values=["A/A", "U..A"])


def test_each_file_is_saved_under_its_path() -> None:
    plan = stored(path="/{{ date | format('%Y') }}\\{{ iteration.value }}/")
    paths = [path for each in plan.deliveries if each.storage for path in each.storage.paths.values()]
    assert paths == ["2026/A_A/Flights A_A.xlsx", "2026/U..A/Flights U..A.xlsx"]
    assert plan.deliveries[0].target == "Share: 2026/A_A/Flights A_A.xlsx"


def test_one_archive_for_a_folder() -> None:
    plan = stored(path="daily", zip=True)
    (delivery,) = plan.deliveries
    assert delivery.storage is not None
    assert delivery.storage.zip_path == "daily/Flights.zip"
    assert list(delivery.storage.paths.values()) == ["Flights A_A.xlsx", "Flights U..A.xlsx"]
    assert delivery.units == tuple(unit.id for unit in plan.units)


def test_the_hub_shows_a_file_to_those_with_the_right_only() -> None:
    version = task(
        reports=(entry(attach=False, hub=HubSettings(publish=True, keep=5)),),
        recipients=(to("ann"), to("bob", hub=False)),
    )
    plan = made(version, catalog(people=[person("ann"), person("bob")]))
    (delivery,) = plan.deliveries
    assert delivery.hub is not None
    assert (delivery.hub.visible_to, delivery.hub.keep) == (("ann",), 5)


# --- names and limits ----------------------------------------------------------------------------


def test_file_names_are_unique_in_an_execution_whatever_their_case() -> None:
    flights = report(iteration=over(), file_name="{{ iteration.value }}")
    plan = made(task(), catalog(reports=[flights]), values=["aa", "AA", "Aa"])
    assert [unit.file_name for unit in plan.units] == ["aa.xlsx", "AA (2).xlsx", "Aa (3).xlsx"]


def test_a_file_of_one_person_may_bear_his_name() -> None:
    version = task(
        reports=(entry(filters=(by_attribute("Airline", "airline"),)),), recipients=(to("ann"), to("bob"))
    )
    flights = report(file_name="{{ recipient.name }}")
    people = [person("ann", airline="AA"), person("bob", airline="UA")]
    plan = made(version, catalog(reports=[flights], people=people))
    assert [unit.file_name for unit in plan.units] == ["Ann.xlsx", "Bob.xlsx"]


def test_a_file_of_several_people_bears_nobodys_name() -> None:
    version = task(recipients=(to("ann"), to("bob")))
    shop = catalog(reports=[report(file_name="{{ recipient.name }}")], people=[person("ann"), person("bob")])
    assert failed(version, shop).reason.code == "tag-wrong"


def test_a_plan_that_is_too_large_fails_with_numbers() -> None:
    shop = catalog(reports=[report(iteration=over())])
    found = failed(task(), shop, values=["AA", "UA"], limits=Limits(units=1, deliveries=10))
    assert found.reason.code == "plan-too-large"
    assert "2 files" in found.reason.message
    people = [person("ann"), person("bob")]
    many = failed(
        task(recipients=(to("ann"), to("bob"))),
        catalog(people=people),
        limits=Limits(units=10, deliveries=1),
    )
    assert many.reason.code == "plan-too-large"


def test_what_a_thousand_people_lack_is_said_a_hundred_times_and_counted() -> None:
    people = [person(f"p{number}", email=None) for number in range(1000)]
    version = task(recipients=(to("ann"), *(to(each.id) for each in people)))
    plan = made(version, catalog(people=[person("ann"), *people]))
    assert len(plan.problems) == 101
    assert "900 more" in plan.problems[-1].message


def test_an_unknown_time_zone_fails() -> None:
    found = failed(task(), catalog(), firing_=firing(timezone="Mars/Olympus"))
    assert found.reason.code == "timezone-unknown"


def test_the_same_inputs_make_the_same_plan() -> None:
    flights = report(iteration=over(), filters=(by_attribute("Region", "region"),))
    people = [person("ann", region="EU"), person("bob", region="US")]
    version = task(recipients=(to("ann"), to("bob")))
    shop = catalog(reports=[flights], people=people)
    answers = answered(questions(prepare(version, shop)), ["AA", "UA"])
    first, second = (made(version, shop, answers=answers).model_dump_json() for _ in range(2))
    assert first == second
