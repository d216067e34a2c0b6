"""Rows per second of a large straight cube through the Qlik client, against a bare web socket in one run.

The bare reader sends the same requests with as many in flight and throws the frames away unread, so its rate
is the limit of whatever answers. Two things answer: the simulator, which calculates, and a server that only
sends one frame made beforehand, which shows what the client itself takes. Every reader is a process of its
own, and the client's peak memory is that of its process. Only ratios mean something on another machine.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

ROWS = 1_000_000
DIMENSIONS = ["id", "text0", "text1", "text2", "text3"]
MEASURES = [f"Sum(number{number})" for number in range(5)]
WIDTH = len(DIMENSIONS) + len(MEASURES)
IN_FLIGHT = 3
_BARE_SHARE = 5  # the bare reader takes a part of the pages before, and a part after the client's whole cube
_SENT_ROWS = 200_000
_KILO = 1024


async def client(url: str, app: str, rows: int) -> dict[str, float]:
    """Stream the cube row batch by row batch, add up what it holds, and keep nothing."""
    from qlik import CertificateAuth, Limits, QlikClient, QlikSite  # noqa: PLC0415 - the others stay small

    limits = Limits(call_s=600, pages_in_flight=IN_FLIGHT, max_rows_per_object=10 * ROWS)
    auth = CertificateAuth(user_directory="BENCH", user_id="client")
    site = QlikSite(kind="client-managed", engine_url=url, auth=auth, limits=limits)
    async with QlikClient(site) as opened, opened.session(app) as session:
        async with session.stream(DIMENSIONS, MEASURES, max_rows=10 * ROWS) as (_, pages):
            before, taken, total = _peak(), 0, 0.0
            start, cpu = time.perf_counter(), time.process_time()
            async for page in pages:
                taken += len(page.rows)
                total += sum(row[5].value for row in page.rows)  # type: ignore[misc]
                if taken >= rows:
                    break
            seconds, used = time.perf_counter() - start, time.process_time() - cpu
        return {"rows": taken, "s": seconds, "cpu": used, "before": before, "peak": _peak(), "total": total}


async def bare(url: str, app: str, rows: int) -> dict[str, float]:
    """Send the same requests and throw the frames away."""
    from websockets.asyncio.client import connect  # noqa: PLC0415 - the others stay small

    from qlik.cube import cube_def  # noqa: PLC0415
    from qlik.model import Dimension, Measure  # noqa: PLC0415
    from qlik.paging import bands  # noqa: PLC0415

    user = {"X-Qlik-User": "UserDirectory=BENCH; UserId=bare"}
    definition = cube_def([Dimension(name) for name in DIMENSIONS], [Measure(each) for each in MEASURES], [])
    async with connect(
        f"{url}/app/{app}/identity/bare/ttl/0", additional_headers=user, max_size=None, compression=None
    ) as socket:
        await socket.recv()
        number = 0

        async def send(handle: int, method: str, *params: Any) -> None:
            nonlocal number
            number += 1
            call = {"jsonrpc": "2.0", "id": number, "handle": handle, "method": method, "params": params}
            await socket.send(json.dumps(call))

        async def call(handle: int, method: str, *params: Any) -> Any:
            await send(handle, method, *params)
            while True:
                frame = json.loads(await socket.recv())
                if frame.get("id") == number:
                    return frame["result"]

        doc = (await call(-1, "OpenDoc", app))["qReturn"]["qHandle"]
        made = {"qInfo": {"qType": "bench"}, "qHyperCubeDef": definition}
        cube = (await call(doc, "CreateSessionObject", made))["qReturn"]["qHandle"]
        size = (await call(cube, "GetLayout"))["qLayout"]["qHyperCube"]["qSize"]
        wanted = [band[0] for band in bands(size["qcx"], min(rows, size["qcy"]))]
        start, waiting = time.perf_counter(), iter(wanted)
        for area in islice(waiting, IN_FLIGHT):
            await send(cube, "GetHyperCubeData", "/qHyperCubeDef", [area.as_page()])
        got = 0
        while got < len(wanted):
            frame = await socket.recv(decode=False)
            if b'"qMatrix"' not in frame:
                continue
            got += 1
            for area in islice(waiting, 1):
                await send(cube, "GetHyperCubeData", "/qHyperCubeDef", [area.as_page()])
        return {"rows": sum(area.height for area in wanted), "s": time.perf_counter() - start}


async def sender() -> None:
    """Answer every page with one frame made beforehand, until killed. Prints the port."""
    from support.scripted_engine import scripted_engine  # noqa: PLC0415 - the others stay small

    text = {"qText": "some text", "qNum": "NaN", "qElemNumber": 1, "qState": "O"}
    number = {"qText": "1,234.5", "qNum": 1234.5, "qElemNumber": 0, "qState": "L"}
    height = 10_000 // WIDTH
    matrix = json.dumps([[text] * len(DIMENSIONS) + [number] * len(MEASURES)] * height)
    info = {"qFallbackTitle": "c", "qNumFormat": {"qType": "U"}}
    cube = {
        "qMode": "S",
        "qSize": {"qcx": WIDTH, "qcy": _SENT_ROWS},
        "qDimensionInfo": [{**info, "qTags": ["$text"]}] * len(DIMENSIONS),
        "qMeasureInfo": [info] * len(MEASURES),
    }
    async with scripted_engine() as engine:
        engine.answers["CreateSessionObject"] = {"qReturn": {"qHandle": 2, "qGenericId": "t"}}
        engine.answers["GetLayout"] = {"qLayout": {"qHyperCube": cube}}
        engine.answers["GetHyperCubeData"] = lambda request: (
            f'{{"jsonrpc":"2.0","id":{request["id"]},"result":{{"qDataPages":[{{"qMatrix":{matrix}}}]}}}}'
        )
        print(json.dumps({"engine_port": engine.port, "apps": [{"id": "app"}]}), flush=True)
        await asyncio.Event().wait()


def write_table(folder: Path, rows: int) -> None:
    """Write a table of ten columns whose first names every row."""
    import polars as pl  # noqa: PLC0415 - the children stay small

    number = pl.int_range(rows, eager=True)
    texts = {f"text{i}": "value " + (number * (i + 7) % (50 * (i + 1))).cast(pl.String) for i in range(4)}
    numbers = {f"number{i}": (number * 31 + i) % 1000 / 4 for i in range(5)}
    pl.DataFrame({"id": number, **texts, **numbers}).write_parquet(folder / "rows.parquet")


@contextmanager
def answering(*arguments: str) -> Iterator[tuple[str, str]]:
    """Start what answers; its address and the app's id. It is stopped at the end."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield f"ws://127.0.0.1:{ready['engine_port']}", ready["apps"][0]["id"]
    finally:
        process.terminate()
        process.wait(timeout=30)


def measured(reader: str, place: tuple[str, str], rows: int, seconds: float) -> dict[str, float]:
    """Run a reader in a process of its own. Ends the program when it takes longer than `seconds`."""
    call = [sys.executable, "-m", "bench.qlik_cube", "--one", reader, *place, str(rows)]
    try:
        done = subprocess.run(call, stdout=subprocess.PIPE, text=True, timeout=seconds, check=True)
    except subprocess.TimeoutExpired:
        sys.exit(f"{reader}: {rows:,} rows took over {seconds:g} s; try --rows with fewer")
    result: dict[str, float] = json.loads(done.stdout)
    return result


def compare(title: str, place: tuple[str, str], rows: int, seconds: float) -> None:
    """Measure bare, client, bare, and print the rates with their ratio."""
    part = max(rows // (2 * _BARE_SHARE), 10_000)
    first = measured("bare", place, part, seconds)
    ours = measured("client", place, rows, seconds)
    last = measured("bare", place, part, seconds)
    limit = (first["rows"] + last["rows"]) / (first["s"] + last["s"])
    rate = ours["rows"] / ours["s"]
    print(f"\n{title}: {int(ours['rows']):,} rows x {WIDTH} columns")
    print(f"  bare web socket   {limit:12,.0f} rows/s   ({int(first['rows'] + last['rows']):,} rows)")
    print(f"  client            {rate:12,.0f} rows/s   in {ours['s']:,.1f} s")
    print(f"  client / bare     {rate / limit:12.2f}")
    print(f"  client's own processor time {ours['cpu'] / ours['rows'] * 1e6:,.1f} s per million rows")
    grown = ours["peak"] - ours["before"]
    print(
        f"  client's peak memory {ours['peak'] / _KILO:,.0f} MB, of it {grown / _KILO:,.0f} MB while reading",
        flush=True,
    )


def _peak() -> float:
    """Kilobytes this process held at most; ru_maxrss would count what the parent held when it forked."""
    return float(Path("/proc/self/status").read_text(encoding="ascii").split("VmHWM:")[1].split()[0])


def main() -> None:
    """Measure, or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=4, metavar=("READER", "URL", "APP", "ROWS"), help="for itself")
    parser.add_argument("--sender", action="store_true", help="for itself")
    parser.add_argument("--rows", type=int, default=ROWS, help="of the simulator's table")
    parser.add_argument("--timeout", type=float, default=600, help="seconds one reader may take")
    options = parser.parse_args()
    if options.sender:
        asyncio.run(sender())
        return
    if options.one:
        reader, url, app, rows = options.one
        print(json.dumps(asyncio.run({"client": client, "bare": bare}[reader](url, app, int(rows)))))
        return
    with answering("-m", "bench.qlik_cube", "--sender") as place:
        compare("a server that only sends", place, _SENT_ROWS, options.timeout)
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder), options.rows)
        with answering("-m", "qlik_simulator", "--port", "0", "--http-port", "0", "--data", folder) as place:
            compare("the simulator", place, options.rows, options.timeout)


if __name__ == "__main__":
    main()
