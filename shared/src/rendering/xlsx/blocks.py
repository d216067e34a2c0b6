"""Open and stray blocks of a workbook, before there is any data."""

import re
from collections.abc import Iterator
from typing import Any

from rendering.autocorrect import holds_opening
from rendering.model import Problem, TemplateError
from rendering.opc import Package, descendants, local
from rendering.tags import Statement, has_tags, opens_statement, pieces, statement
from rendering.xlsx.anchors import ONCE, fixed_parts, in_a_loop

Element = Any
_MAIN = "xl/workbook.xml"
_SHEET_FOR = re.compile(r"\s*\{%[-+]?\s*sheet\s+for\b")


def block_problems(package: Package) -> list[Problem]:
    """What is wrong with the blocks of all sheets: never closed, closing nothing, beside other cells."""
    main = next(iter(package.related("", "officeDocument")), _MAIN)
    targets = {rel.id: rel.target for rel in package.rels(main)}
    strings = [
        _text(item)
        for part in package.related(main, "sharedStrings")
        for item in descendants(package.xml(part), "si")
    ]
    some = any(has_tags(text) for text in strings)
    problems: list[Problem] = []
    for sheet in descendants(package.xml(main), "sheet"):
        part = targets.get(next((str(v) for k, v in sheet.attrib.items() if k.endswith("}id")), ""), "")
        if part in package and (some or holds_opening(package.read(part))):
            rows = list(_rows(package.xml(part), strings))
            name = str(sheet.get("name", ""))
            problems.extend(_of_sheet(rows, name))
            problems.extend(_fixed(package, part, rows, name))
    return problems


def _fixed(package: Package, part: str, rows: list[list[tuple[str, str]]], name: str) -> Iterator[Problem]:
    """Parts that cannot repeat: Excel tables and pivot tables in loops, slicers on a sheet that repeats."""
    loops = list(_loops(rows, name))
    for kind, _, table, row in fixed_parts(package, part) if loops else ():
        if any(first < row < last for first, last in loops):
            yield in_a_loop(kind, table, name, row)
    repeats = any(_SHEET_FOR.match(text) for cells in rows for _, text in cells)
    if repeats and any(rel.kind in ONCE for rel in package.rels(part)):
        yield Problem(name, "a sheet with slicers or timelines cannot be repeated", "Remove them")


def _loops(rows: list[list[tuple[str, str]]], name: str) -> Iterator[tuple[int, int]]:
    """First and last row of every loop."""
    stack: list[tuple[str, int]] = []
    for reference, text in (cell for cells in rows for cell in cells):
        found = _statement(text, name)
        row = int(reference.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") or 0)
        if found is not None and found.word in {"for", "if"}:
            stack.append((found.word, row))
        elif found is not None and found.word.startswith("end") and stack:
            word, first = stack.pop()
            if word == "for":
                yield first, row


def _rows(root: Element, strings: list[str]) -> Iterator[list[tuple[str, str]]]:
    """The cells of every row that have something in them, with their references."""
    for row in root.iter("{*}row"):
        cells = [(str(cell.get("r", "")), _content(cell, strings)) for cell in row if local(cell) == "c"]
        yield [(reference, text) for reference, text in cells if text]


def _content(cell: Element, strings: list[str]) -> str:
    if cell.get("t") == "s":
        number = next((each.text or "" for each in cell if local(each) == "v"), "")
        return strings[int(number)] if number.isdigit() and int(number) < len(strings) else ""
    return _text(cell) or "".join(each.text or "" for each in cell if local(each) in {"v", "f"})


def _text(holder: Element) -> str:
    return "".join(t.text or "" for t in holder.iter("{*}t"))


def _of_sheet(rows: list[list[tuple[str, str]]], name: str) -> Iterator[Problem]:
    stack: list[tuple[Statement, str]] = []
    for cells in rows:
        for reference, text in cells:
            place = f"{name}!{reference}"
            found = _statement(text, place)
            if found is None:
                continue
            if len(cells) > 1:
                yield Problem(
                    place, "a statement shares its row with other cells", "Give it a row of its own"
                )
            elif found.word in {"for", "if"}:
                stack.append((found, place))
            elif not stack or (found.word.startswith("end") and found.word[3:] != stack[-1][0].word):
                yield Problem(place, f"{found.word!r} closes nothing", "Open the block before it")
            elif found.word.startswith("end"):
                stack.pop()
    for found, place in stack:
        yield Problem(
            place, f"{found.word!r} is never closed", f"Add {{% end{found.word} %}} in a row of its own"
        )


def _statement(text: str, place: str) -> Statement | None:
    """The statement a cell consists of; what is wrong with its words is told elsewhere."""
    if not opens_statement(text.strip()):
        return None
    try:
        found = list(pieces(text.strip(), place))
        alone = len(found) == 1 and found[0].kind == "statement" and not found[0].body.startswith("sheet ")
        return statement(found[0].body, place) if alone else None
    except TemplateError:
        return None
