"""As many rows as one likes go through a small process, row batch by row batch."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from support.scripted_engine import scripted_engine

pytestmark = pytest.mark.integration

WIDTH, PAGE = 2, 5_000

READER = """
import asyncio, sys
from pathlib import Path
from qlik import CertificateAuth, Limits, QlikClient, QlikSite

def peak():
    # not ru_maxrss: a process inherits that of the one that started it
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

async def main(url, way):
    auth = CertificateAuth(user_directory="D", user_id="u")
    limits = Limits(call_s=120, max_rows_per_object=2_000_000)
    site = QlikSite(kind="client-managed", engine_url=url, auth=auth, limits=limits)
    async with QlikClient(site) as client, client.session("app") as session:
        opened = session.stream(["a"], ["Sum(b)"]) if way == "ad-hoc" else session.stream_object("x")
        rows, total, kept = 0, 0.0, []
        before = peak()
        async with opened as (columns, pages):
            assert [column.name for column in columns] == ["a", "b"]
            async for page in pages:
                # what an application does: takes a batch, writes it away, and waits for that
                assert page.first_row == rows
                rows += len(page.rows)
                total += sum(row[1].value for row in page.rows)
                if way == "kept":
                    kept += page.rows
                await asyncio.sleep(0)
        print(rows, total, peak() - before)

asyncio.run(main(*sys.argv[1:]))
"""


async def grown(rows: int, way: str) -> int:
    """How many KiB a process grew by while it streamed so many rows."""
    cell = '{"qText":"x","qNum":"NaN","qElemNumber":1,"qState":"O"},{"qText":"1.5","qNum":1.5,"qState":"L"}'
    matrix = "[" + ",".join([f"[{cell}]"] * PAGE) + "]"
    cube = {
        "qMode": "S",
        "qSize": {"qcx": WIDTH, "qcy": rows},
        "qDimensionInfo": [{"qFallbackTitle": "a", "qTags": ["$text"], "qNumFormat": {"qType": "U"}}],
        "qMeasureInfo": [{"qFallbackTitle": "b", "qNumFormat": {"qType": "U"}}],
    }

    def page(request: dict[str, Any]) -> str:
        assert request["params"][1][0]["qHeight"] == PAGE
        return f'{{"jsonrpc":"2.0","id":{request["id"]},"result":{{"qDataPages":[{{"qMatrix":{matrix}}}]}}}}'

    async with scripted_engine() as engine:
        for method in ("CreateSessionObject", "GetObject"):
            engine.answers[method] = {"qReturn": {"qHandle": 2, "qGenericId": "t"}}
        engine.answers["GetLayout"] = {"qLayout": {"qHyperCube": cube}}
        engine.answers["GetHyperCubeData"] = page
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", READER, engine.url, way), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await child.communicate()
    assert 0 == child.returncode
    read, total, kib = json.loads("[" + ",".join(out.decode().split()[-3:]) + "]")
    assert (rows, rows * 1.5) == (read, total)
    return int(kib)


# three pages in flight and what they are made into take 13 MB, however many rows there are
BOUND_KIB = 25 * 1024


@pytest.mark.parametrize("way", ["ad-hoc", "object"])
async def test_rows_are_streamed_in_memory_that_does_not_grow_with_them(way: str) -> None:
    assert await grown(100_000, way) < BOUND_KIB


async def test_the_bound_would_see_as_many_rows_if_they_were_kept() -> None:
    assert await grown(100_000, "kept") > BOUND_KIB


@pytest.mark.slow
async def test_a_million_rows_are_streamed_in_the_same_memory() -> None:
    assert await grown(1_000_000, "ad-hoc") < BOUND_KIB
