"""Whatever one render does, its unit gets a reason and its neighbours get their files."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import docx
import pytest

from generator.adapters.render_pool import RenderPool
from generator.adapters.render_worker import WorkerLimits
from generator.ports import RenderJob
from rendering.convert import PACKAGES, is_warm
from rendering.model import Meta, OutputFormat, RenderData, Rendered, TemplateKind
from runtime.errors import Permanent, Transient
from support.render_engines import misbehaving

LIMITS = WorkerLimits(memory_bytes=700 * 2**20, cpu_s=60, wall_s=60, output_bytes=1_000_000)


def job(text: str) -> RenderJob:
    template = text.encode()
    return RenderJob(
        kind=TemplateKind.HTML,
        template=template,
        template_sha256=sha256(template).hexdigest(),
        data=RenderData(meta=Meta(now=datetime(2026, 3, 2, tzinfo=UTC), report="Sales")),
        output=OutputFormat.HTML,
    )


async def render(pool: RenderPool, wanted: RenderJob) -> Rendered:
    file = await pool.render(wanted)
    assert isinstance(file, Rendered)
    return file


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[RenderPool]:
    async with RenderPool(workers=2, limits=LIMITS, engine=misbehaving) as started:
        yield started


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)


async def test_a_file_comes_back_with_its_type_and_warnings(pool: RenderPool) -> None:
    file = await render(pool, job("echo hello"))
    assert (file.content, file.content_type, file.extension) == (b"hello", "text/plain", "txt")
    assert file.warnings == ("Sales",)


async def test_jobs_of_one_template_go_to_the_worker_that_knows_it(pool: RenderPool) -> None:
    pids = {(await render(pool, job("pid"))).content for _ in range(5)}
    assert len(pids) == 1
    assert {int(pid) for pid in pids} <= set(pool.pids)


async def test_two_jobs_run_at_the_same_time_in_two_processes(pool: RenderPool, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    tasks = [asyncio.create_task(render(pool, job(f"sleep {path}"))) for path in (first, second)]
    await until(lambda: first.exists() and second.exists())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (await render(pool, job("echo on"))).content == b"on"


async def test_a_bad_template_is_told_and_the_worker_lives(pool: RenderPool) -> None:
    before = set(pool.pids)
    with pytest.raises(Permanent) as told:
        await render(pool, job("broken"))
    assert told.value.code == "template-error"
    assert told.value.message == "sheet 1, A1: no such table"
    assert told.value.remedy == "Known: sales"
    assert before <= set(pool.pids)


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("hoard", "render-too-large"),
        ("segfault", "render-too-large"),
        ("fault", "renderer-failed"),
        ("flood 1000001", "file-too-large"),
    ],
)
async def test_a_render_that_goes_wrong_has_a_reason_and_hurts_nobody(
    pool: RenderPool, template: str, code: str
) -> None:
    wrong = asyncio.create_task(render(pool, job(template)))
    neighbour = asyncio.create_task(render(pool, job("echo unharmed")))
    with pytest.raises(Permanent) as told:
        await wrong
    assert told.value.code == code
    assert told.value.remedy
    if code != "renderer-failed":
        assert "html template of 'Sales'" in told.value.message
        assert any(limit in told.value.message for limit in ("700 MiB", "1000000"))
    assert (await neighbour).content == b"unharmed"
    again = await asyncio.gather(render(pool, job("echo a")), render(pool, job("echo b")))
    assert [file.content for file in again] == [b"a", b"b"]


async def test_a_fault_of_the_engine_does_not_quote_the_data(pool: RenderPool) -> None:
    with pytest.raises(Permanent, match="LookupError") as told:
        await render(pool, job("fault"))
    assert "nobody expects" not in told.value.message


@pytest.mark.parametrize("template", ["die", "leave"])
async def test_a_worker_ended_from_outside_is_worth_another_try(pool: RenderPool, template: str) -> None:
    with pytest.raises(Transient):
        await render(pool, job(template))
    assert (await render(pool, job("echo back"))).content == b"back"


async def test_idle_workers_that_were_killed_are_replaced(pool: RenderPool) -> None:
    await render(pool, job("echo warm"))
    killed = pool.pids
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not any(lives(pid) for pid in killed))
    again = await asyncio.gather(render(pool, job("echo x")), render(pool, job("echo y")))
    assert [file.content for file in again] == [b"x", b"y"]


async def test_a_render_that_hangs_is_killed_and_its_neighbour_is_not(tmp_path: Path) -> None:
    limits = WorkerLimits(memory_bytes=700 * 2**20, cpu_s=60, wall_s=0.5, output_bytes=1_000_000)
    async with RenderPool(workers=2, limits=limits, engine=misbehaving) as pool:
        mark = tmp_path / "asleep"
        hanging = asyncio.create_task(render(pool, job(f"sleep {mark}")))
        await until(mark.exists)
        assert (await render(pool, job("echo quick"))).content == b"quick"
        with pytest.raises(Permanent) as told:
            await hanging
        assert told.value.code == "render-too-slow"
        assert told.value.message.startswith("the html template of 'Sales' took over 0.5 s to render")
        assert (await render(pool, job("echo after"))).content == b"after"


async def test_bad_renders_cost_the_good_ones_among_them_nothing(pool: RenderPool) -> None:
    bad = ["hoard", "segfault", "flood 1000001", "fault", "broken", "leave", "die"]
    mixed = [text for word in bad for text in (word, f"echo beside {word}")]
    files = await asyncio.gather(*(render(pool, job(text)) for text in mixed), return_exceptions=True)
    good = [file.content.decode() for file in files if isinstance(file, Rendered)]
    assert good == [f"beside {word}" for word in bad]


@pytest.mark.skipif(not is_warm(), reason=f"NO LIBREOFFICE WITH UNO: apt-get install {PACKAGES}")
async def test_a_worker_that_is_killed_leaves_no_libreoffice_behind() -> None:
    """Although LibreOffice takes more memory than the worker itself may."""
    made = docx.Document()
    made.add_paragraph("letter")
    out = BytesIO()
    made.save(out)
    letter = replace(
        job("letter"),
        kind=TemplateKind.DOCX,
        template=out.getvalue(),
        template_sha256=sha256(out.getvalue()).hexdigest(),
        output=OutputFormat.PDF,
    )
    limits = WorkerLimits(memory_bytes=600 * 2**20, cpu_s=60, wall_s=90, output_bytes=1_000_000)
    async with RenderPool(workers=1, limits=limits) as own:
        before = children_of(*own.pids)
        first, second = [await render(own, letter) for _ in range(2)]
        assert first.content.startswith(b"%PDF")
        assert first == second
        kept = children_of(*own.pids) - before
        assert len(kept) == 2  # the helper and LibreOffice
        os.kill(own.pids[0], signal.SIGKILL)
        await until(lambda: not any(lives(pid) for pid in kept))
        assert await render(own, letter) == first
        kept = children_of(*own.pids)
        assert kept
    await until(lambda: not any(lives(pid) for pid in kept))


def children_of(*parents: int) -> set[int]:
    """Processes started by these, and by those."""
    found: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            found.setdefault(parent, []).append(int(status.parent.name))
    result: set[int] = set()
    waiting = list(parents)
    while waiting:
        own = found.get(waiting.pop(), [])
        result.update(own)
        waiting.extend(own)
    return result


async def test_a_render_that_burns_processor_time_is_killed() -> None:
    limits = WorkerLimits(memory_bytes=700 * 2**20, cpu_s=1, wall_s=60, output_bytes=1_000_000)
    async with RenderPool(workers=1, limits=limits, engine=misbehaving) as pool:
        with pytest.raises(Permanent) as told:
            await render(pool, job("spin"))
        assert told.value.code == "render-too-slow"
        # The budget is one job's, not the process's.
        assert (await render(pool, job("echo after"))).content == b"after"


async def test_a_caller_that_gives_up_ends_its_worker(pool: RenderPool, tmp_path: Path) -> None:
    mark = tmp_path / "asleep"
    task = asyncio.create_task(render(pool, job(f"sleep {mark}")))
    await until(mark.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await render(pool, job("echo free"))).content == b"free"


async def test_workers_see_no_secrets_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADSHEET_SECRET_KEY", "not for templates")
    async with RenderPool(workers=1, limits=LIMITS, engine=misbehaving) as pool:
        seen = (await render(pool, job("environment"))).content
        begun = (await render(pool, job("initial-environment"))).content
    assert os.environ["BROADSHEET_SECRET_KEY"] == "not for templates"
    assert b"PATH" in seen
    assert b"BROADSHEET_" not in seen
    assert b"not for templates" not in begun


async def test_closing_the_pool_leaves_no_process_behind() -> None:
    pool = RenderPool(workers=2, limits=LIMITS, engine=misbehaving)
    async with pool:
        pids = pool.pids
        assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
