"""Documents per second and peak memory of the renderers, against the usual libraries, in one run.

Each figure is measured in a process of its own: a warm-up, then the median of what fits into some seconds;
the peak is that of the whole process, and beside it what interpreter, libraries and the table take alone.
A second is one of processor time, so that what else runs on the machine does not count; for Office to PDF,
which LibreOffice does, it is one of the clock. Only ratios mean something on another machine.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIZES = (1_000, 20_000)
MILLION_ROWS = 1_000_000
OFFICE_ROWS = 100  # a page or four: what LibreOffice does best, and most reports are
_ENOUGH = 2.0  # seconds of repeating one case
_MOST = 15
_KILO = 1024


def one(group: str, number: int, rows: int) -> None:
    """Measure one contender here and print what came out as JSON."""
    from bench.long_contenders import GROUPS  # noqa: PLC0415 - the parent stays small

    make = GROUPS[group][number].prepare(rows)
    before = _resident()
    clock = time.perf_counter if group == "office" else time.process_time
    start = clock()
    made = make()
    size = made if isinstance(made, int) else len(made)
    del made
    times = [clock() - start]
    while sum(times) < _ENOUGH and len(times) < _MOST:
        start = clock()
        make()
        times.append(clock() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = times[1:] or times
    print(json.dumps({"s": statistics.median(kept), "before": before, "peak": peak, "bytes": size}))


def _resident() -> float:
    """Kilobytes this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / _KILO


def measured(group: str, number: int, rows: int, seconds: float) -> dict[str, float] | str:
    """Measure one contender in a process of its own; a text says why there is no figure."""
    call = [sys.executable, "-m", "bench.rendering", "--one", group, str(number), str(rows)]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"over {seconds:.0f} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["died"])[-1][:110]
    result: dict[str, float] = json.loads(done.stdout)
    return result


def table(group: str, listed: list[tuple[int, str, str]], rows: int, seconds: float) -> None:
    """Measure contenders and print a line for each, with its ratio to the first of its kind."""
    print(
        f"\n{rows:,} rows of 10 columns: documents per second, time against ours, peak (before) in MB, file"
    )
    ours: dict[str, float] = {}
    for number, kind, name in listed:
        found = measured(group, number, rows, seconds)
        if isinstance(found, str):
            print(f"  {kind:5}{name:28}{found}", flush=True)
            continue
        first = ours.setdefault(kind, found["s"])
        memory = f"{found['peak'] / _KILO:6,.0f} ({found['before'] / _KILO:,.0f})"
        rate, ratio = f"{1 / found['s']:,.2f}/s", f"x{found['s'] / first:.2f}"
        print(
            f"  {kind:5}{name:28}{rate:>13}{ratio:>10}{memory:>14}{found['bytes'] / _KILO:10,.0f} KB",
            flush=True,
        )


def main() -> None:
    """Measure everything, or what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("GROUP", "NUMBER", "ROWS"), help="for itself")
    parser.add_argument("--list", action="store_true", help="for itself")
    parser.add_argument("--rows", type=int, nargs="*", default=list(SIZES), help="sizes of the table")
    parser.add_argument("--kinds", nargs="*", default=[], help="xlsx docx pptx html pdf; all by default")
    parser.add_argument(
        "--timeout", type=float, default=25, help="seconds of the clock one contender may take"
    )
    parser.add_argument("--no-million", action="store_true", help="leave out the million rows")
    parser.add_argument("--no-office", action="store_true", help="leave out Office to PDF")
    options = parser.parse_args()
    if options.one:
        one(options.one[0], int(options.one[1]), int(options.one[2]))
        return
    if options.list:
        groups()
        return
    call = [sys.executable, "-m", "bench.rendering", "--list"]
    found = json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout)
    wanted = options.kinds or {kind for _, kind, _ in found["usual"]}
    for rows in options.rows:
        table("usual", [each for each in found["usual"] if each[1] in wanted], rows, options.timeout)
    if not options.no_million:
        table("million", found["million"], MILLION_ROWS, 6 * options.timeout)
    if not options.no_office:
        table("office", found["office"], OFFICE_ROWS, 4 * options.timeout)


def groups() -> None:
    """Print what there is as JSON."""
    from bench.long_contenders import GROUPS  # noqa: PLC0415 - the parent stays small

    print(json.dumps({g: [(i, c.kind, c.name) for i, c in enumerate(cs)] for g, cs in GROUPS.items()}))


if __name__ == "__main__":
    main()
