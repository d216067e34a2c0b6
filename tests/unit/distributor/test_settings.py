"""Settings: sensible as they are, documented, refused when they make no sense."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from distributor import metrics
from distributor.settings import DistributorSettings
from runtime.mail import SmtpSettings

PAGE = (Path(__file__).parents[3] / "docs/architecture/delivery.md").read_text(encoding="utf-8")


def test_every_setting_of_its_own_is_documented() -> None:
    own = set(DistributorSettings.model_fields) - set(SmtpSettings.model_fields)
    assert {name for name in own if f"`{name.upper()}`" not in PAGE} == set()


def test_every_metric_is_documented() -> None:
    names = [
        f"{each._name}_total" if each._type == "counter" else each._name
        for each in vars(metrics).values()
        if hasattr(each, "_labelnames")
    ]
    assert len(names) == 7
    assert [name for name in names if f"`{name}{{" not in PAGE] == []


def test_values_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADSHEET_DELIVERY_RETRY_DELAYS_S", "[1, 2.5]")
    monkeypatch.setenv("BROADSHEET_STORAGE_FOLDER_ROOTS", '["/srv/reports"]')
    monkeypatch.setenv("BROADSHEET_MAIL_SUBJECT_PREFIX", "[Test]")
    settings = DistributorSettings()
    assert settings.retry_policy().delays == (timedelta(seconds=1), timedelta(seconds=2.5))
    assert settings.storage_folder_roots == (Path("/srv/reports"),)
    assert settings.sender().subject_prefix == "[Test]"


@pytest.mark.parametrize(
    "wrong",
    [
        {"delivery_concurrency": 0},
        {"delivery_retry_delays_s": ()},
        {"delivery_retry_delays_s": (0.0,)},
        {"circuit_first_pause_s": 10.0, "circuit_longest_pause_s": 5.0},
        {"delivery_lease_s": 0.5},
    ],
)
def test_senseless_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DistributorSettings.model_validate(wrong)
