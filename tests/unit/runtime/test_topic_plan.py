"""What `runtime.topics apply` is going to do, decided from what is there."""

import pytest

from contracts.catalog import topics
from runtime.topic_configs import Setting
from runtime.topics import MIN_IN_SYNC, OWNED, Present, difference, min_in_sync, wanted

WANTED = wanted(topics())[:1]
NAME, CONFIG, PARTITIONS = WANTED[0].name, WANTED[0].config, WANTED[0].partitions


def present(*, replication: int = 3, partitions: int = PARTITIONS, **own: str) -> dict[str, Present]:
    settings = {key: Setting(value, own=True) for key, value in CONFIG.items()}
    settings |= {MIN_IN_SYNC: Setting("1", own=False)}
    settings |= {key.replace("_", "."): Setting(value, own=True) for key, value in own.items()}
    return {NAME: Present(partitions=partitions, replication=replication, settings=settings)}


@pytest.mark.parametrize(("replication", "expected"), [(1, 1), (2, 1), (3, 2), (5, 4)])
def test_one_replica_fewer_than_there_are_has_to_confirm_and_never_none(
    replication: int, expected: int
) -> None:
    assert expected == min_in_sync(replication)


def test_a_new_topic_gets_its_settings_and_how_many_replicas_confirm() -> None:
    (change,) = difference(WANTED, {}, replication=3, change_config=True)
    assert change.replication == 3
    assert {**CONFIG, MIN_IN_SYNC: "2"} == {key: new for key, (_, new) in change.settings.items()}
    assert f"{MIN_IN_SYNC}=2" in change.lines(done=False)[0]


def test_an_existing_topic_gets_it_from_its_own_replicas_and_not_from_the_option() -> None:
    (change,) = difference(WANTED, present(replication=3), replication=1, change_config=True)
    assert change.settings == {MIN_IN_SYNC: ("1 (inherited)", "2")}
    assert [f"configure {NAME}: {MIN_IN_SYNC} 1 (inherited) -> 2"] == change.lines(done=False)


def test_an_operators_value_is_kept_and_reported() -> None:
    there = present(replication=3, min_insync_replicas="1", segment_ms="3600000")
    (change,) = difference(WANTED, there, replication=3, change_config=True)
    assert change.settings == {}
    (line,) = change.lines(done=True)
    assert "keeps min.insync.replicas=1" in line
    assert "2 is recommended" in line


@pytest.mark.parametrize("setting", OWNED)
def test_a_setting_the_catalogue_owns_is_set_back_and_no_other_is_touched(setting: str) -> None:
    there = present(replication=3, min_insync_replicas="2", segment_ms="3600000")
    settings = {**there[NAME].settings, setting: Setting("12345", own=True)}
    there = {NAME: Present(partitions=PARTITIONS, replication=3, settings=settings)}
    (change,) = difference(WANTED, there, replication=3, change_config=True)
    assert change.settings == {setting: ("12345", CONFIG[setting])}


def test_settings_of_existing_topics_are_left_alone_when_asked() -> None:
    (change,) = difference(WANTED, present(), replication=3, change_config=False)
    assert change.settings == {}
    assert [] == change.lines(done=True)


def test_other_partitions_than_the_catalogues_are_reported_and_left_alone() -> None:
    there = present(partitions=24, min_insync_replicas="2")
    (change,) = difference(WANTED, there, replication=3, change_config=True)
    assert change.settings == {}
    assert f"has 24 partitions, the catalogue {PARTITIONS}" in change.lines(done=True)[0]
