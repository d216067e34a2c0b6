"""Templates are looked into by a process of its own, which a hostile file can only kill."""

import asyncio
import io
import zipfile

import pytest

from config_api.adapters import template_check
from config_api.adapters.template_check import TemplateInspector
from config_api.domain.bindings import Inspected
from contracts.configuration import TemplateKind, TemplateUses

pytestmark = pytest.mark.integration


async def test_a_sound_template_has_no_problem() -> None:
    html = b"<p>{{ total }}</p>{% for row in by_dest.rows %}<i>{{ row.dest }}</i>{% endfor %}"
    assert await TemplateInspector(timeout_s=60)(TemplateKind.HTML, html) == Inspected(
        TemplateUses(
            recipient=False,
            values=("total",),
            tables={"by_dest": ("dest",)},
            places={
                "by_dest": "template, line 1, column 19",
                "by_dest.dest": "template, line 1, column 51",
                "total": "template, line 1, column 4",
            },
        )
    )


async def test_what_is_wrong_is_named_with_its_place_and_remedy() -> None:
    found = await TemplateInspector(timeout_s=60)(TemplateKind.HTML, b"<p>\n{% for row in t.rows %}</p>")
    problems = found.problems
    assert problems
    for problem in problems:
        assert problem.field.startswith("file: ")
        assert problem.message
        assert problem.remedy


async def test_a_bomb_is_refused_and_harms_nobody() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"\0" * 400_000_000)
    assert (await TemplateInspector(timeout_s=60)(TemplateKind.XLSX, packed.getvalue())).problems
    assert (await TemplateInspector(timeout_s=60)(TemplateKind.HTML, b"<p>fine</p>")) == Inspected(
        TemplateUses(recipient=False)
    )


async def test_no_zip_and_no_text_are_refused() -> None:
    assert (await TemplateInspector(timeout_s=60)(TemplateKind.XLSX, b"this is no workbook")).problems
    assert (await TemplateInspector(timeout_s=60)(TemplateKind.HTML, b"\xff\xfe\x00")).problems


async def test_one_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_check, "_WORKER", "support.sleeper")
    found = await asyncio.wait_for(TemplateInspector(timeout_s=0.5)(TemplateKind.HTML, b"x" * 200_000), 30)
    assert "longer than 0.5 seconds" in found.problems[0].message


async def test_a_worker_that_dies_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_check, "_WORKER", "no.such.module")
    found = await TemplateInspector(timeout_s=30)(TemplateKind.HTML, b"")
    assert "memory and time" in found.problems[0].message
