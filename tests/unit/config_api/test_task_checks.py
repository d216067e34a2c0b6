"""What a check of a whole task asks the app, and finds out about the people it names."""

from config_api.domain.findings import Severity
from config_api.domain.task_checks import AppQuestion, people, questions
from contracts.configuration import Group, Recipient, TaskRecipient, TaskReport


def report(**changes: object) -> TaskReport:
    return TaskReport.model_validate({"id": "r", "report_id": "delays", "format": "html", **changes})


def person(key: str, **changes: object) -> Recipient:
    return Recipient.model_validate(
        {"id": key, "name": key.title(), "email": f"{key}@example.com", **changes}
    )


def entry(**changes: object) -> TaskRecipient:
    return TaskRecipient.model_validate(changes)


def test_every_field_and_expression_is_asked_with_its_place() -> None:
    asked = report(
        filters=[
            {"field": "carrier", "values": ["AA"]},
            {"field": "origin", "source": "recipient-attribute", "attribute": "origin"},
        ],
        conditions=[
            {
                "name": "enough",
                "rules": [
                    {"left": "=Count(flight)", "operator": ">", "right": "=vLeast"},
                    {"left": "=Max(delay)", "operator": "<", "right": "10"},
                    {"left": "=vName", "operator": "is-empty", "right": "=ignored"},
                ],
            }
        ],
    )

    assert [
        AppQuestion("reports.3.filters.0.field", "field", "carrier"),
        AppQuestion("reports.3.filters.1.field", "field", "origin"),
        AppQuestion("reports.3.conditions.0.rules.0.left", "expression", "=Count(flight)"),
        AppQuestion("reports.3.conditions.0.rules.0.right", "expression", "=vLeast"),
        AppQuestion("reports.3.conditions.0.rules.1.left", "expression", "=Max(delay)"),
        AppQuestion("reports.3.conditions.0.rules.2.left", "expression", "=vName"),
    ] == list(questions(asked, 3))


def test_everybody_who_would_get_nothing_is_named_once_with_the_reason() -> None:
    filtered = report(filters=[{"field": "origin", "source": "recipient-attribute", "attribute": "origin"}])
    recipients = {
        "ann": person("ann", attributes={"origin": "JFK", "airline": "AA"}),
        "bob": person("bob", enabled=False),
        "cat": person("cat", email=None, attributes={"origin": "JFK"}),
        "dan": person("dan", attributes={"airline": "DL"}),
    }
    groups = {
        "all": Group(id="all", name="All", members=("dan", "dan", "eve")),
        "none": Group(id="none", name="None", members=()),
    }
    entries = [
        entry(recipient_id="ann", scope="own", scope_attribute="airline"),
        entry(recipient_id="bob"),
        entry(recipient_id="cat"),
        entry(recipient_id="cat", email=False),
        entry(group_id="all"),
        entry(group_id="none"),
    ]

    found = [
        (each.severity, each.problem.field, each.problem.message)
        for each in people(entries, [filtered], recipients, groups)
    ]

    assert [
        (Severity.WARNING, "recipients.1", "Bob (bob) is disabled and receives nothing."),
        (Severity.ERROR, "recipients.2", "Cat (cat) has no email address and cannot receive a mail."),
        (
            Severity.ERROR,
            "recipients.4",
            "Dan (dan) has no value for the attribute 'origin', which decides what this person receives.",
        ),
        (Severity.ERROR, "recipients.4", "The recipient 'eve' does not exist."),
        (Severity.WARNING, "recipients.5", "The group 'none' has no members."),
    ] == found
