"""Background loops: a failed round is counted and told, and a bad row stops nobody else's work."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from runtime.errors import Transient
from runtime.rounds import Rounds
from runtime.service import Service
from runtime.settings import RuntimeSettings
from support.servers import unique


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def value(name: str, loop: str) -> float:
    return REGISTRY.get_sample_value(name, {"loop": loop}) or 0.0


@pytest.mark.parametrize("error", [Transient("MongoDB is away"), KeyError("trigger")])
async def test_rounds_that_keep_failing_are_counted_and_told_until_one_succeeds(error: Exception) -> None:
    seconds, name = Seconds(), unique("loop")
    rounds = Rounds(name, seconds=seconds)
    for _ in range(3):
        assert await rounds.problems() == []
        with rounds.round():
            raise error
        seconds.now += 10
    (problem,) = await rounds.problems()
    assert f"loop {name}: 3 rounds in a row failed in 30 s" in problem
    assert str(error) in problem
    assert value("broadsheet_round_failures_total", name) == 3
    with rounds.round():
        pass
    assert await rounds.problems() == []
    assert value("broadsheet_round_last_success_timestamp_seconds", name) > 0


async def test_a_short_outage_is_no_readiness_problem() -> None:
    seconds = Seconds()
    rounds = Rounds(unique("loop"), seconds=seconds)
    for _ in range(5):
        with rounds.round():
            raise Transient("MongoDB elects a primary")
        seconds.now += 1
    assert await rounds.problems() == []


async def test_a_bad_row_is_left_out_and_the_others_are_served() -> None:
    name, served = unique("loop"), []
    rounds = Rounds(name)
    with rounds.round():
        for row in ("good", "bad", "also good"):
            with rounds.isolated(row=row):
                if row == "bad":
                    raise ValueError("no such time zone")
                served.append(row)
    assert served == ["good", "also good"]
    assert value("broadsheet_round_item_failures_total", name) == 1
    assert rounds.failures_in_row == 0


async def test_a_server_that_is_unavailable_ends_the_round() -> None:
    rounds, served = Rounds(unique("loop")), []
    with rounds.round():
        for row in ("first", "second"):
            with rounds.isolated(row=row):
                served.append(row)
                raise Transient("MongoDB is away")
    assert served == ["first"]
    assert rounds.failures_in_row == 1


async def test_a_loop_of_a_service_counts_its_failures_and_goes_on() -> None:
    name, rounds = unique("loop"), 0
    service = Service("test", RuntimeSettings())

    async def job() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 2:
            service.stopping.set()
        raise ValueError("a bug")

    async def start(started: Service) -> None:
        started.every(0.0, job, name=name)

    async with asyncio.timeout(30):
        await service.run(start)
    assert rounds == 2
    assert value("broadsheet_round_failures_total", name) == 2
