"""The reference page names everything there is to use."""

import argparse
import re
from pathlib import Path

import pytest

from qlik_simulator import options
from qlik_simulator.domain.compiler import AGGREGATIONS
from qlik_simulator.domain.functions import SCALARS
from qlik_simulator.engine.connection import METHODS
from qlik_simulator.faults import PLACES
from qlik_simulator.rest import control

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "reference" / "qlik-simulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("kind", "names"), [(kind, sorted(methods)) for kind, methods in METHODS.items()])
def test_every_method_is_listed_and_no_other(kind: str, names: list[str]) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {kind} |"))
    assert row == f"| {kind} | {', '.join(names)} |"


def test_every_function_is_listed() -> None:
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert set(SCALARS) | set(AGGREGATIONS) <= named


def test_every_fault_is_listed() -> None:
    for place, kinds in PLACES.items():
        for kind, text in kinds.items():
            assert f"| `{place}` | `{kind}` | {text} |" in PAGE


def test_every_option_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[str] = []
    add = argparse.ArgumentParser.add_argument

    def record(self: argparse.ArgumentParser, *names: str, **more: object) -> argparse.Action:
        added.extend(names)
        return add(self, *names, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(argparse.ArgumentParser, "add_argument", record)
    found = options.read_options(["--data", "x", "--api-key", "k=u", "--port", "0"])
    assert (found.data, found.api_keys, found.port) == (("x",), (("k", "u"),), 0)
    for name in added:
        assert name in {"-h", "--help"} or f"`{name}`" in PAGE, name


def test_every_command_is_listed() -> None:
    source = Path(control.__file__).read_text(encoding="utf-8")
    paths = re.findall(r'@router\.(get|post|delete)\("(/[\w-]+)"', source)
    assert len(paths) >= 10
    for verb, path in paths:
        assert f"`{verb.upper()} /_sim{path}`" in PAGE
    for name in (*control.PolicyCommand.model_fields, *control.ReloadCommand.model_fields):
        assert f"`{name}`" in PAGE, name


def test_a_bad_pair_ends_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.read_options(["--api-key", "nonsense"])
    assert "two parts joined by '='" in capsys.readouterr().err
