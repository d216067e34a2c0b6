"""What a drawn chart has no room for is told with the report, in every kind of Office file."""

from io import BytesIO
from typing import Any

import docx
import pptx
import pytest
from pptx.util import Inches

from rendering import ChartSpec, OutputFormat, RenderOptions, Series, TemplateKind, render
from support.report_data import report
from support.workbooks import build

CROWDED = ChartSpec(tuple(f"Customer {n}" for n in range(200)), (Series("a", (1.0,) * 200),))
TAG = "{{ chart('sales') }}"


def _saved(document: Any) -> bytes:
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def _workbook() -> bytes:
    return build(lambda _, sheet: sheet.write("A1", TAG))


def _document() -> bytes:
    document = docx.Document()
    document.add_paragraph(TAG)
    return _saved(document)


def _deck() -> bytes:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    slide.shapes.add_textbox(Inches(1), Inches(1), Inches(4), Inches(3)).text_frame.text = TAG
    return _saved(deck)


@pytest.mark.parametrize(
    ("kind", "template"),
    [
        (TemplateKind.XLSX, _workbook),
        (TemplateKind.DOCX, _document),
        (TemplateKind.PPTX, _deck),
    ],
)
def test_what_a_chart_has_no_room_for_is_a_warning_of_the_report(kind: TemplateKind, template: Any) -> None:
    data = report(images={"sales": CROWDED})
    result = render(kind, template(), data, RenderOptions(), OutputFormat(kind.value))
    assert 1 == len(result.warnings)
    assert "of 200 categories have no room in the picture" in result.warnings[0]
