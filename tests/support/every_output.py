"""Makes a report of every kind in every format and prints the hashes: run twice, they have to be the same."""

import hashlib
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from bench.contenders import COLUMNS, docx_template, pptx_template, workbook_template
from rendering import (
    Cell,
    ChartSpec,
    ColumnData,
    Meta,
    OutputFormat,
    RenderData,
    RenderOptions,
    Series,
    TableData,
    TemplateKind,
    render,
)
from rendering.engine import RENDERERS
from rendering.protect import archive

PAGE = (
    "<!DOCTYPE html><html lang='de'><title>{{ title }}</title><h1>{{ meta.now | date('%B') }}</h1>"
    "{{ chart('bars') }}<table>{% for r in t.rows %}<tr><td>{{ r.city }}</td></tr>{% endfor %}</table></html>"
)


def data() -> RenderData:
    """Rows with everything that might be in another order elsewhere."""
    kinds: Any = ("number", "date", "text", "text", "text", "text", "number", "number", "number", "text")
    rows: list[tuple[Cell, ...]] = [
        (
            i,
            date(2026, 1, 1 + i % 28),
            f"Zürich {i % 7}",
            f"Straße {i}",
            None,
            f"O {i % 3}",
            i,
            i / 3,
            1,
            "",
        )
        for i in range(12)
    ]
    columns = tuple(ColumnData(n, k) for n, k in zip(COLUMNS, kinds, strict=True))
    both = Series("x", (1.0, 2.5, None)), Series("y", (3.0, 2.0, 1.0), "line")
    bars = ChartSpec(("a", "b", "c"), both, "Bars")
    meta = Meta(datetime(2026, 3, 2, 7, 30, tzinfo=UTC), report="Orders", task="Weekly")
    return RenderData(meta, {"title": "Aufträge"}, {"t": TableData(columns, rows)}, {"bars": bars})


def make_templates(folder: Path) -> None:
    """Write the templates once for all runs: the libraries put the date of the machine into them."""
    for name, make in (("xlsx", workbook_template), ("docx", docx_template), ("pptx", pptx_template)):
        (folder / name).write_bytes(make())


def main() -> None:
    """Print a hash for each kind and format, of the templates in the folder that is the first argument.

    LibreOffice is left out with a second argument, ``no-office``.
    """
    folder = Path(sys.argv[1])
    templates = {
        TemplateKind.XLSX: (folder / "xlsx").read_bytes(),
        TemplateKind.DOCX: (folder / "docx").read_bytes(),
        TemplateKind.PPTX: (folder / "pptx").read_bytes(),
        TemplateKind.HTML: PAGE.encode(),
        TemplateKind.TABLE: b"",
    }
    by_office = {OutputFormat.PDF, OutputFormat.PNG}
    hashes = {}
    for kind, output in sorted(RENDERERS):
        office = kind is not TemplateKind.HTML and output in by_office
        if kind not in templates or (office and "no-office" in sys.argv):
            continue
        if office and output is OutputFormat.PNG:
            continue  # drawn from the PDF like that of a page
        for level in ("", "2b") if output is OutputFormat.PDF and not office else ("2b" if office else "",):
            options = RenderOptions(language="de", pdf_archive=level)
            content = render(kind, templates[kind], data(), options, output).content
            hashes[f"{kind.value} {output.value} {level}"] = hashlib.sha256(content).hexdigest()
    hashes["zip"] = hashlib.sha256(archive({"b.csv": b"2", "a.csv": b"1"})).hexdigest()
    sys.stdout.write(json.dumps(hashes))


if __name__ == "__main__":
    main()
