"""The Excel example of the docs: a sheet per region, a section per group, a row per product."""

import zipfile
from io import BytesIO
from typing import Any

from rendering import TemplateKind, inspect
from support.examples import REGIONS, rows, sales
from support.make_examples import HERE
from support.make_excel_example import NAME, workbook
from support.pages import pictures, to_pdf
from support.workbooks import filled, part, texts, values

TEMPLATE = (HERE / NAME).read_bytes()
GROUPS = [(region, group) for region, groups in REGIONS.items() for group in groups]


def _parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_example_is_what_its_script_makes_and_has_no_problem() -> None:
    assert _parts(TEMPLATE) == _parts(workbook())
    asked = inspect(TemplateKind.XLSX, TEMPLATE)
    assert asked.problems == ()
    assert asked.tables == {"sales": {"region", "group", "product", "units", "revenue", "growth"}}
    assert asked.images == {"logo", "by_region"}


def test_sheets_sections_rows_conditions_and_totals_are_those_of_the_data() -> None:
    content = filled(TEMPLATE, sales())
    for region, groups in REGIONS.items():
        lines = [[cell for cell in line if cell != ""] for line in values(content, region)]
        lines = [line for line in lines if line]
        revenue = {g: sum(r[4] for r in rows() if r[:2] == (region, g)) for g in groups}
        expected: list[Any] = [[region]]
        expected += [["On target" if sum(revenue.values()) >= 10_000 else "Below the target of 10,000"]]
        expected += [["Group", "Revenue", "Share"], *([g, total] for g, total in revenue.items())]
        expected += [["Total", sum(revenue.values())]]
        for group in groups:
            mine = [list(line) for line in rows() if line[:2] == (region, group)]
            expected += [[group], ["Product", "Units", "Revenue", "Growth"], *(r[2:] for r in mine)]
            expected += [["Total", sum(r[3] for r in rows() if r[:2] == (region, group)), revenue[group]]]
            expected += [["Only one product here"]] if len(mine) == 1 else []
        assert expected == lines


def test_every_region_and_every_group_has_its_chart_and_its_picture() -> None:
    content = filled(TEMPLATE, sales())
    names = _parts(content)
    titles = [
        "".join(t or "" for t in texts(part(content, n), "t")) for n in names if n.startswith("xl/charts/")
    ]
    assert sorted(titles) == sorted(
        [f"Revenue of {region} by group" for region in REGIONS]
        + [f"{group} in {region}" for region, group in GROUPS]
    )
    drawings = [part(content, n) for n in names if n.startswith("xl/drawings/") and n.endswith(".xml")]
    assert 2 + len(GROUPS) == sum(len(list(drawing.iter("{*}pic"))) for drawing in drawings)


def test_each_region_is_a_page_and_a_long_one_runs_over() -> None:
    few, many = filled(TEMPLATE, sales()), filled(TEMPLATE, sales(300))
    pdfs = to_pdf({"few.xlsx": few, "many.xlsx": many})
    assert 1 + len(REGIONS) == len(pictures(pdfs["few.xlsx"]))
    assert len(pictures(pdfs["many.xlsx"])) > 1 + len(REGIONS)
