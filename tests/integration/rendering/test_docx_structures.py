"""Word documents as Word writes them: tags torn by its own marks, in every kind of container."""

from io import BytesIO
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from rendering import OutputFormat, RenderData, RenderOptions, TemplateError, TemplateKind, render
from support.report_data import report, table

DATA = report(
    {"name": "Ada", "n": 3},
    {"d": table("area name n", ("N", "a", 1), ("N", "b", 2), ("S", "c", 3)), "empty": table("x")},
)
_SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>"


def with_body(*xml: str) -> bytes:
    """A document whose body is this, before its section properties."""
    document = docx.Document()
    body = document.element.body
    names = nsdecls("w", "wp", "a", "pic", "r") + ' xmlns:v="urn:schemas-microsoft-com:vml"'
    for at, one in enumerate(xml):
        end = one.index(">") if one[one.index(">") - 1] != "/" else one.index("/>")
        body.insert(at, parse_xml(f"{one[:end]} {names}{one[end:]}"))
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def filled(template: bytes, data: RenderData = DATA) -> Any:
    content = render(TemplateKind.DOCX, template, data, RenderOptions(), OutputFormat.DOCX).content
    return docx.Document(BytesIO(content))


def texts(document: Any) -> list[str]:
    found = ("".join(t.text or "" for t in p.iter("{*}t")) for p in document.element.body.iter("{*}p"))
    return [text for text in found if text]


def p(text: str) -> str:
    return f'<w:p><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def r(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


TORN = {
    "proofErr": f'<w:proofErr w:type="spellStart"/>{r("{{ na")}<w:proofErr w:type="spellEnd"/>{r("me }}")}',
    "bookmark": f'{r("{")}<w:bookmarkStart w:id="0" w:name="b"/>{r("{ name }")}<w:bookmarkEnd w:id="0"/>{r("}")}',  # noqa: E501
    "hyperlink": f'<w:hyperlink w:anchor="x">{r("{{ na")}{r("me }}")}</w:hyperlink>',
    "smartTag": f'<w:smartTag w:uri="u" w:element="e">{r("{{ name")}</w:smartTag>{r(" }}")}',
    "insertion": f'<w:ins w:id="1" w:author="a">{r("{{ name ")}</w:ins>{r("}}")}',
    "control": f"<w:sdt><w:sdtContent>{r('{{ na')}</w:sdtContent></w:sdt>{r('me }}')}",
    "page break": f"{r('{{')}<w:r><w:lastRenderedPageBreak/><w:t>name}}}}</w:t></w:r>",
    "language": f'<w:r><w:rPr><w:lang w:val="de-DE"/></w:rPr><w:t>{{{{</w:t></w:r>{r("name}}")}',
}


@pytest.mark.parametrize("runs", list(TORN.values()), ids=list(TORN))
def test_a_tag_torn_by_marks_of_word_is_one_tag(runs: str) -> None:
    document = filled(with_body(f"<w:p>{runs}</w:p>"))
    assert texts(document) == ["Ada"]
    kept = [e.tag for e in parse_xml(with_runs(runs))]
    assert [e.tag for e in next(document.element.body.iter("{*}p"))] == kept


def with_runs(runs: str) -> str:
    return f"<w:p {nsdecls('w')}>{runs}</w:p>"


def test_content_controls_text_boxes_and_blocks_in_them_are_filled() -> None:
    box = (
        "<w:p><w:r><w:pict><v:shape><v:textbox><w:txbxContent>{}</w:txbxContent></v:textbox></v:shape></w:pict></w:r>"
        "<w:r><w:t>outside {{{{ n }}}}</w:t></w:r></w:p>"
    )
    control = "<w:sdt><w:sdtPr/><w:sdtContent>{}</w:sdtContent></w:sdt>"
    loop = p("{% for r in d.rows %}") + p("{{ r.name }}") + p("{% endfor %}")
    document = filled(with_body(box.format(loop), control.format(loop)))
    assert [t.text for t in document.element.body.iter("{*}t")] == ["a", "b", "c", "outside 3", "a", "b", "c"]


def test_rows_in_row_controls_repeat() -> None:
    row = "<w:sdt><w:sdtPr/><w:sdtContent><w:tr><w:tc>{}</w:tc></w:tr></w:sdtContent></w:sdt>"
    grid = "<w:tbl><w:tblPr/><w:tblGrid><w:gridCol/></w:tblGrid>{}</w:tbl>"
    assert texts(filled(with_body(grid.format(row.format(p("{{ d.name }}")))))) == ["a", "b", "c"]


def test_sections_repeat_in_sections_with_tables_and_conditions() -> None:
    rows = "".join(
        f"<w:tr><w:tc>{p(t)}</w:tc></w:tr>"
        for t in ("{% for r in g.rows if r.n &gt; 1 %}", "{{ r.name }}", "{% endfor %}")
    )
    document = filled(
        with_body(
            p("{% for g in d.rows | groupby('area') %}"),
            p("{{ loop.index }}. {{ g.grouper }}"),
            p("{% if g.rows | length &gt; 1 %}"),
            p("many"),
            p("{% for r in g.rows %}"),
            p("- {{ r.name }}{% if r.n == 2 %}!{% endif %}"),
            p("{% endfor %}"),
            p("{% else %}"),
            p("one"),
            p("{% endif %}"),
            f"<w:tbl><w:tblPr/><w:tblGrid><w:gridCol/></w:tblGrid>{rows}</w:tbl>",
            p("{% endfor %}"),
            p("end"),
        )
    )
    assert texts(document) == ["1. N", "many", "- a", "- b!", "b", "2. S", "one", "c", "end"]


def test_a_section_break_in_the_last_paragraph_of_a_loop_makes_sections() -> None:
    broken = (
        '<w:p><w:pPr><w:sectPr><w:pgSz w:w="16838" w:h="11906" w:orient="landscape"/>'
        f"</w:sectPr></w:pPr>{r('{% endfor %}')}</w:p>"
    )
    document = filled(
        with_body(p("{% for g in d.rows | groupby('area') %}"), p("{{ g.grouper }}"), broken, p("end"))
    )
    assert texts(document) == ["N", "S", "end"]
    assert [section.page_width > section.page_height for section in document.sections] == [True, True, False]


def test_texts_from_the_data_are_never_read_again() -> None:
    document = filled(
        with_body(p("{{ name }}{{ n }}"), p("bsm0x.1.")),
        report({"name": "bsm1x.1. {{ n }} <?bsm1x 1?>", "n": 3}),
    )
    assert texts(document) == ["bsm1x.1. {{ n }} <?bsm1x 1?>3", "bsm0x.1."]


def test_what_is_repeated_keeps_numbers_and_bookmarks_apart() -> None:
    picture = (
        '<w:r><w:drawing><wp:inline><wp:extent cx="1" cy="1"/>'
        '<wp:docPr id="7" name="x" descr="Area {{ g.grouper }}"/></wp:inline></w:drawing></w:r>'
    )
    marked = '<w:p><w:bookmarkStart w:id="5" w:name="here"/>{}<w:bookmarkEnd w:id="5"/></w:p>'
    document = filled(
        with_body(
            p("{% for g in d.rows | groupby('area') %}"),
            marked.format(picture),
            p("{{ image('logo') }}"),
            p("{% endfor %}"),
        ),
        report(tables=DATA.tables, images={"logo": _SVG}),
    )
    properties = list(document.element.body.iter("{*}docPr"))
    numbers = [e.get("id") for e in properties]
    assert (numbers[0], len(set(numbers))) == ("7", 4)
    assert [e.get("descr") for e in properties][::2] == ["Area N", "Area S"]
    assert len(list(document.element.body.iter("{*}bookmarkStart"))) == 1
    assert len(list(document.element.body.iter("{*}bookmarkEnd"))) == 1


def test_what_blocks_leave_is_a_document_word_opens() -> None:
    cell = "<w:tc><w:tcPr/>{}</w:tc>"
    inner = f"<w:tbl><w:tblPr/><w:tblGrid/><w:tr>{cell.format(p('{{ empty.x }}'))}</w:tr></w:tbl>"
    grid = "<w:tbl><w:tblPr/><w:tblGrid/><w:tr>{}</w:tr></w:tbl>"
    gone = p("{% if n &gt; 5 %}") + p("never") + p("{% endif %}")
    document = filled(
        with_body(grid.format(cell.format(gone) + cell.format(inner + p("after"))), inner, p("last"))
    )
    cells = list(document.element.body.iter("{*}tc"))
    assert [[e.tag.rpartition("}")[2] for e in c] for c in cells] == [["tcPr", "p"], ["tcPr", "p"]]
    assert texts(document) == ["after", "last"], "a table without rows is none"


def test_footnotes_and_comments_are_filled() -> None:
    document = docx.Document()
    run = document.add_paragraph("text").runs[0]
    document.add_comment(run, text="by {{ name }}")
    out = BytesIO()
    document.save(out)
    comments = filled(out.getvalue()).part._comments_part.comments
    assert [c.text for c in comments] == ["by Ada"]


def test_a_picture_asked_for_in_a_branch_not_taken_is_not_in_the_file() -> None:
    document = filled(
        with_body(p("{% if n &gt; 5 %}"), p("{{ image('logo') }}"), p("{% endif %}"), p("x")),
        report({"n": 1}, images={"logo": _SVG}),
    )
    assert [part.partname for part in document.part.package.iter_parts() if "media" in part.partname] == []


def test_a_document_that_would_fill_the_memory_is_refused() -> None:
    big = report(tables={"t": table("n", *((i,) for i in range(3_000)))})
    body = [
        p("{% for a in t.rows %}"),
        p("{% for b in t.rows %}"),
        p("x" * 500),
        p("{% endfor %}"),
        p("{% endfor %}"),
    ]
    with pytest.raises(TemplateError, match="beyond the limit"):
        filled(with_body(*body), big)


LOOP, END, NAME = p("{% for g in d.rows | groupby('area') %}"), "{% endfor %}", p("{{ g.grouper }}")
BREAK = '<w:r><w:br w:type="page"/></w:r>'
BEFORE = "<w:pPr><w:pageBreakBefore/></w:pPr>"


def pages(document: Any) -> list[str]:
    """The texts of the paragraphs in order, and where a page ends."""
    found = []
    for paragraph in document.element.body.iter("{*}p"):
        broken = next(paragraph.iter("{*}br", "{*}pageBreakBefore"), None) is not None
        found.extend(["/"] if broken else [])
        found.extend(text for text in ["".join(t.text or "" for t in paragraph.iter("{*}t"))] if text)
    return found


@pytest.mark.parametrize(
    ("head", "end", "expected"),
    [
        (LOOP, f"<w:p>{r(END)}{BREAK}</w:p>", ["N", "/", "S", "/", "end"]),
        (LOOP, f"<w:p>{BEFORE}{r(END)}</w:p>", ["N", "/", "S", "/", "end"]),
        (f"<w:p>{BEFORE}{LOOP[5:]}", p(END), ["/", "N", "/", "S", "end"]),
        (f"<w:p>{BREAK}{LOOP[5:]}", p(END), ["/", "N", "/", "S", "end"]),
        (f'<w:p><w:pPr><w:pageBreakBefore w:val="0"/></w:pPr>{LOOP[5:]}', p(END), ["N", "S", "end"]),
    ],
)
def test_a_page_break_beside_a_statement_belongs_to_every_turn(
    head: str, end: str, expected: list[str]
) -> None:
    assert expected == pages(filled(with_body(head, NAME, end, p("end"))))


@pytest.mark.parametrize(("condition", "expected"), [("n", ["a", "/", "end"]), ("n == 0", ["b", "/", "end"])])
def test_a_page_break_beside_endif_follows_whatever_branch_is_taken(
    condition: str, expected: list[str]
) -> None:
    body = [p(f"{{% if {condition} %}}"), p("a"), p("{% else %}"), p("b")]
    document = filled(with_body(*body, f"<w:p>{r('{% endif %}')}{BREAK}</w:p>", p("end")))
    assert expected == pages(document)


def test_a_picture_beside_a_statement_is_repeated_and_bookmarks_stand_around_the_block() -> None:
    picture = (
        '<w:r><w:drawing><wp:inline><wp:extent cx="1" cy="1"/>'
        '<wp:docPr id="7" name="x" descr="{{ g.grouper }}"/></wp:inline></w:drawing></w:r>'
    )
    start, stop = '<w:bookmarkStart w:id="5" w:name="b"/>', '<w:bookmarkEnd w:id="5"/>'
    head = f"<w:p>{start}{LOOP[5:-6]}{picture}</w:p>"
    body = filled(with_body(head, NAME, f"<w:p>{r(END)}{stop}</w:p>", p("end"))).element.body
    assert ["N", "S"] == [e.get("descr") for e in body.iter("{*}docPr")]
    assert 2 == len({e.get("id") for e in body.iter("{*}docPr")})
    assert ["bookmarkStart", "p", "p", "p", "p", "bookmarkEnd", "p"] == [
        e.tag.rpartition("}")[2] for e in body
    ][:7]


def test_a_cell_merged_with_the_row_of_endfor_is_one_cell_over_the_rows_of_its_group() -> None:
    document = docx.Document()
    rows = document.add_table(6, 2)
    texts_ = [
        ("Area", "Name"),
        ("{% for g in d.rows | groupby('area') %}", ""),
        ("{% for r in g.rows %}", ""),
        ("{{ g.grouper }}", "{{ r.name }}"),
        ("", "{% endfor %}"),
        ("{% endfor %}", ""),
    ]
    for number, (left, right) in enumerate(texts_):
        rows.cell(number, 0).text, rows.cell(number, 1).text = left, right
    rows.cell(3, 0).merge(rows.cell(4, 0)).text = "{{ g.grouper }}"
    out = BytesIO()
    document.save(out)
    (table_,) = filled(out.getvalue()).tables
    merges = [cell.tcPr.vMerge_val for row in table_._tbl.tr_lst for cell in row.tc_lst[:1]]
    assert [None, "restart", "continue", "restart"] == merges
    assert ["Area", "N", "N", "S"] == [cell.text for cell in table_.columns[0].cells], (
        "merged cells read as one"
    )
    assert ["Name", "a", "b", "c"] == [cell.text for cell in table_.columns[1].cells]
    assert 1 == sum("N" == "".join(t.text or "" for t in p.iter("{*}t")) for p in table_._tbl.iter("{*}p"))
