"""The same template, data and options make the same bytes: elsewhere, later, in whatever order sets come."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rendering import TemplateKind, convert
from rendering.engine import RENDERERS
from support import every_output

TESTS = Path(__file__).parents[2]


@pytest.mark.timeout(600)  # two starts of LibreOffice beside whatever else runs
def test_every_kind_and_format_has_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    shared = tmp_path / "templates"
    shared.mkdir()
    every_output.make_templates(shared)
    runs = []
    for seed, zone in (("1", "Asia/Tokyo"), ("4711", "America/New_York")):
        own = tmp_path / seed
        own.mkdir()
        own_words = {"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(TESTS), "TMPDIR": str(own)}
        call = [sys.executable, str(every_output.__file__), str(shared)]
        if not convert.is_warm():
            call.append("no-office")
        runs.append(subprocess.Popen(call, env=os.environ | own_words, cwd=own, stdout=subprocess.PIPE))
    first, second = (json.loads(run.communicate(timeout=550)[0]) for run in runs)
    assert {name for name in first if first[name] != second.get(name)} == set()
    assert first.keys() == second.keys()
    expected = {f"{kind.value} {output.value}" for kind, output in RENDERERS if kind is not TemplateKind.XLSM}
    left_out = {f"{kind} png" for kind in ("xlsx", "docx", "pptx")}
    if not convert.is_warm():
        left_out |= {f"{kind} pdf" for kind in ("xlsx", "docx", "pptx")}
    assert {" ".join(name.split()[:2]) for name in first if name != "zip"} == expected - left_out
