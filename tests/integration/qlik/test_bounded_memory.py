"""A million rows go through a small process."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from support.scripted_engine import scripted_engine

pytestmark = pytest.mark.integration

ROWS, WIDTH, PAGE = 1_000_000, 2, 5_000

READER = """
import asyncio, resource, sys
from qlik import CertificateAuth, Limits, QlikClient, QlikSite

async def main(url):
    auth = CertificateAuth(user_directory="D", user_id="u")
    site = QlikSite(kind="client-managed", engine_url=url, auth=auth, limits=Limits(call_s=120))
    async with QlikClient(site) as client, client.session("app") as session:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rows, total = 0, 0.0
        async with session.stream(["a"], ["Sum(b)"]) as (columns, pages):
            async for page in pages:
                assert page.first_row == rows
                rows += len(page.rows)
                total += sum(row[1].value for row in page.rows)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(rows, total, grown)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
async def test_a_million_rows_are_streamed_in_bounded_memory() -> None:
    cell = '{"qText":"x","qNum":"NaN","qElemNumber":1,"qState":"O"},{"qText":"1.5","qNum":1.5,"qState":"L"}'
    matrix = "[" + ",".join([f"[{cell}]"] * PAGE) + "]"
    cube = {
        "qMode": "S",
        "qSize": {"qcx": WIDTH, "qcy": ROWS},
        "qDimensionInfo": [{"qFallbackTitle": "a", "qTags": ["$text"], "qNumFormat": {"qType": "U"}}],
        "qMeasureInfo": [{"qFallbackTitle": "b", "qNumFormat": {"qType": "U"}}],
    }

    def page(request: dict[str, Any]) -> str:
        assert request["params"][1][0]["qHeight"] == PAGE
        return f'{{"jsonrpc":"2.0","id":{request["id"]},"result":{{"qDataPages":[{{"qMatrix":{matrix}}}]}}}}'

    async with scripted_engine() as engine:
        engine.answers["CreateSessionObject"] = {"qReturn": {"qHandle": 2, "qGenericId": "t"}}
        engine.answers["GetLayout"] = {"qLayout": {"qHyperCube": cube}}
        engine.answers["GetHyperCubeData"] = page
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", READER, engine.url, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await child.communicate()
    assert child.returncode == 0
    rows, total, grown_kib = json.loads("[" + ",".join(out.decode().split()[-3:]) + "]")
    assert (rows, total) == (ROWS, ROWS * 1.5)
    # the rows together take far above 300 MB; a few pages in flight take some tens
    assert grown_kib < 120 * 1024
