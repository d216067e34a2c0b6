"""Who may do what, and how often somebody may guess."""

from datetime import UTC, datetime, timedelta

import pytest

from config_api.domain.changes import Stamp, Stored, remove, save, shown, switch
from config_api.domain.drafts import MASK, ConnectionDraft, RecipientDraft, TaskDraft
from config_api.domain.errors import ConflictError, ForbiddenError, InvalidError
from config_api.domain.identity import (
    WINDOW,
    check_password,
    compose_key,
    parse_key,
    same_token,
    token_hash,
    wait_for,
)
from config_api.domain.kinds import CONNECTION, RECIPIENT, TASK
from config_api.domain.rights import Actor, Right, Role, demand, lesser, may
from config_api.domain.runs import request_run
from contracts.configuration import TaskHead
from contracts.events import TriggerKind
from support.config_api_kit import CONNECTION as CONNECTION_BODY
from support.config_api_kit import TASK as TASK_BODY

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ACTOR = Actor("1", "dev@example.com", Role.DEVELOPER, None, "session")

MATRIX = {
    Role.ADMIN: {"hub", "status", "configuration", "run", "audit", "accounts"},
    Role.DEVELOPER: {"hub", "status", "configuration", "run"},
    Role.READER: {"hub"},
}


@pytest.mark.parametrize("role", Role)
def test_the_rights_matrix(role: Role) -> None:
    assert {right.value for right in Right if may(role, right)} == MATRIX[role]


def test_a_missing_right_is_refused_by_name() -> None:
    demand(ACTOR, Right.RUN)
    with pytest.raises(ForbiddenError, match="'audit'"):
        demand(ACTOR, Right.AUDIT)


def test_a_key_never_outgrows_its_owner() -> None:
    assert lesser(Role.ADMIN, Role.READER) is Role.READER
    assert lesser(Role.DEVELOPER, Role.ADMIN) is Role.DEVELOPER


def test_who_fails_too_often_waits_until_the_oldest_failure_is_forgotten() -> None:
    failures = [NOW - timedelta(minutes=minute) for minute in (1, 2, 3)]
    assert wait_for(failures, 4, NOW) == 0
    assert wait_for(failures, 3, NOW) == 12 * 60 + 1
    assert wait_for(failures, 1, NOW) == 14 * 60 + 1
    assert wait_for([NOW - WINDOW], 1, NOW) == 0


@pytest.mark.parametrize("password", ["short", "x" * 300, "somebody@example.com", "SOMEBODY@example.com"])
def test_passwords_that_are_refused(password: str) -> None:
    with pytest.raises(InvalidError):
        check_password(password, "somebody@example.com")


def test_a_key_is_read_as_it_was_composed() -> None:
    assert parse_key(compose_key("id", "se_cr-et")) == ("id", "se_cr-et")
    assert parse_key("bsk_only") is None
    assert parse_key("other_id_secret") is None
    assert same_token("t", token_hash("t"))
    assert not same_token("u", token_hash("t"))


def test_the_same_key_asks_for_the_same_execution_and_another_for_another() -> None:
    head = TaskHead(id="t", name="T", current_version=1)
    first, event = request_run(head, "k", ACTOR, NOW, "UTC")
    again, _ = request_run(head, "k", ACTOR, NOW + timedelta(hours=1), "UTC")
    other, _ = request_run(head, "l", ACTOR, NOW, "UTC")
    assert first.execution_id == again.execution_id == event.execution_id
    assert other.execution_id != first.execution_id
    assert (event.trigger.kind, event.trigger.requested_by) == (TriggerKind.MANUAL, "dev@example.com")


def test_a_disabled_task_is_not_run() -> None:
    with pytest.raises(ConflictError, match="disabled"):
        request_run(TaskHead(id="t", name="T", enabled=False, current_version=1), "k", ACTOR, NOW, "UTC")


def _stamp(number: int = 1) -> Stamp:
    return Stamp(ACTOR, NOW, str(number))


def test_a_task_is_written_as_head_and_immutable_version() -> None:
    draft = TaskDraft.model_validate(TASK_BODY)
    write = save(TASK, "t", draft, None, _stamp(), last_version=4)
    assert write.document == {"id": "t", "name": "Daily delays", "enabled": True, "current_version": 5}
    assert write.version is not None
    assert (write.version["task_id"], write.version["version"]) == ("t", 5)
    assert write.version["series"] == {
        trigger_id: {"since": NOW.isoformat().replace("+00:00", "Z"), "by_trigger_id": False}
        for trigger_id in ("daily-delays.mornings", "daily-delays.reload")
    }
    assert (write.event.action, write.event.version) == ("created", 5)
    changed = save(
        TASK, "t", draft.model_copy(update={"description": "x"}), write.stored, _stamp(2), last_version=5
    )
    assert changed.event.changed_fields == ("description",)
    assert changed.added == (), "what was referred to before needs no new proof"


def test_switching_changes_only_the_head_and_only_once() -> None:
    stored = save(TASK, "t", TaskDraft.model_validate(TASK_BODY), None, _stamp()).stored
    write = switch(stored, enabled=False, stamp=_stamp(2))
    assert write is not None
    assert write.version is None
    assert write.document == {**stored.document, "enabled": False}
    assert write.event.action == "disabled"
    assert switch(stored, enabled=True, stamp=_stamp(3)) is None
    assert remove(stored, _stamp(4)).document is None


def test_a_change_that_does_not_speak_of_the_switch_leaves_it_alone() -> None:
    draft = TaskDraft.model_validate(TASK_BODY)
    off = save(TASK, "t", draft.model_copy(update={"enabled": False}), None, _stamp()).stored
    for sent, expected in ((None, False), (True, True), (False, False)):
        write = save(TASK, "t", draft.model_copy(update={"enabled": sent}), off, _stamp(2), last_version=1)
        assert (write.document or {})["enabled"] is expected
    assert (save(TASK, "t", draft, None, _stamp()).document or {})["enabled"] is True
    person = RecipientDraft(name="Ann")
    absent = save(RECIPIENT, "p", person.model_copy(update={"enabled": False}), None, _stamp()).stored
    assert (save(RECIPIENT, "p", person, absent, _stamp(2)).document or {})["enabled"] is False


def test_answers_and_events_hold_no_secret() -> None:
    draft = ConnectionDraft.model_validate(CONNECTION_BODY)
    write = save(CONNECTION, "c", draft, None, _stamp(), sealed={"auth.key_pem": "gAAA"})
    assert shown(write.stored)["secrets"] == {"auth.key_pem": MASK}
    assert "gAAA" not in str(shown(write.stored))
    resealed = save(CONNECTION, "c", draft, write.stored, _stamp(2), sealed={"auth.key_pem": "gBBB"})
    assert resealed.event.changed_fields == ("secrets.auth.key_pem",)
    assert "gBBB" not in resealed.event.model_dump_json()
    assert isinstance(write.stored, Stored)
