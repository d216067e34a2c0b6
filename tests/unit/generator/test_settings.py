"""Settings that would make a working generator look dead are refused, with the reason."""

import pytest
from pydantic import ValidationError

from generator.settings import GeneratorSettings


def test_the_defaults_fit_each_other() -> None:
    settings = GeneratorSettings()
    assert settings.plans()
    assert settings.renders()
    assert settings.unit_budget_s < settings.kafka_max_poll_interval_s
    assert settings.worker_limits().wall_s <= settings.unit_budget_s


@pytest.mark.parametrize(("role", "plans", "renders"), [("planner", True, False), ("renderer", False, True)])
def test_a_process_may_do_one_of_both(
    monkeypatch: pytest.MonkeyPatch, role: str, plans: bool, renders: bool
) -> None:
    monkeypatch.setenv("BROADSHEET_GENERATOR_ROLE", role)
    settings = GeneratorSettings()
    assert (settings.plans(), settings.renders()) == (plans, renders)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BROADSHEET_UNIT_BUDGET_S", "590", "unit_budget_s has to be at most 540 s"),
        ("BROADSHEET_PLANNING_BUDGET_S", "541", "planning_budget_s has to be at most 540 s"),
        ("BROADSHEET_KAFKA_MAX_POLL_INTERVAL_S", "300", "unit_budget_s has to be at most 240 s"),
        ("BROADSHEET_RENDER_WALL_S", "500", "render_wall_s has to be at most unit_budget_s"),
    ],
)
def test_budgets_that_do_not_fit_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=says):
        GeneratorSettings()
