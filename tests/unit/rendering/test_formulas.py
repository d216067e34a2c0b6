"""References move; everything else in a formula stays as it is written."""

import pytest

from rendering.language import Scope
from rendering.xlsx.formula import Ref, column_name, column_number, map_formula, translate
from rendering.xlsx.known import Column, Written
from rendering.xlsx.layout import MAX_ROW, Out, Plan, Region, Repeat, Turn
from rendering.xlsx.moves import Plans, downwards, mover
from rendering.xlsx.totals import Place, TableRange, result
from support.report_data import report


def _grow(ref: Ref) -> tuple[int, int] | None:
    """Row 5 became rows 5 to 14, what was below moved by 9, row 99 vanished."""
    first = ref.first if ref.first <= 5 else ref.first + 9
    last = ref.last if ref.last is not None else ref.first
    end = last if last < 5 else last + 9
    if ref.first == 99:
        return None
    return (first, end) if ref.last is not None or ref.argument else (first, first)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SUM(B5:B5)", "SUM(B5:B14)"),
        ("SUM(B5)", "SUM(B5:B14)"),
        ("SUM($B$5)+AVERAGE(C5,D6)", "SUM($B$5:$B$14)+AVERAGE(C5:C14,D15:D15)"),
        ("ROUND(B5,2)*LOG10(B6)", "ROUND(B5,2)*LOG10(B15)"),
        ("IF(A5>1,B$5,\"A5 is 'B6'!\")", "IF(A5>1,B$5,\"A5 is 'B6'!\")"),
        ("'My ''Sheet'!$C$6+Sheet2!D6", "'My ''Sheet'!$C$15+Sheet2!D15"),
        ("Sheet1:Sheet3!A6+[1]Book!A6", "Sheet1:Sheet3!A6+[1]Book!A6"),
        (
            "SUBTOTAL(109,Table1[A6])+Table1[[#This Row],[B6]]",
            "SUBTOTAL(109,Table1[A6])+Table1[[#This Row],[B6]]",
        ),
        ("A99+1", "#REF!+1"),
        ("6:7", "15:16"),
        ("SUM(B:B)+TAX2024(1)+1E6+name_B6", "SUM(B:B)+TAX2024(1)+1E6+name_B6"),
        ("A1048576", "#REF!"),
    ],
)
def test_references_are_mapped(formula: str, expected: str) -> None:
    if "D15:D15" in expected:
        expected = expected.replace("D15:D15", "D15")
    moved = map_formula(
        formula, lambda r: (r.first + 9,) * 2 if r.first == 6 and r.last is None else _grow(r)
    )
    assert moved == expected


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize(
    "formula",
    [
        "B5*2+$B$1", "SUM(B$5:B5)", "SUM($B$5)", "B4-B6", "B3:B5", '100%*B5&"%d"', "$5:$5",
        "Other!A5+'a %b'!C1", "SUM(B1:B9)", "B5:B$5", "$A1048576+B5", "Sales[flights]%",
    ],
)  # fmt: skip
def test_reading_a_formula_once_is_the_same_as_moving_it_for_every_row(formula: str, count: int) -> None:
    root = Turn(1, MAX_ROW, 1)
    out = Out(5, 5, Scope(report()), root, Repeat(5, ("t",)), count)
    root.add(Region(5, 5, 5, 5 + count))
    plans = Plans({"s": Plan([out], root)})
    each = [mover("S", plans)(formula, out, turn) for turn in range(count)]
    once = downwards("S", plans)(formula, out)
    if once is None:
        assert any("#REF!" in text for text in each)
    else:
        assert each == [once[0] % tuple(n + turn for n in once[1]) for turn in range(count)]


def test_sharing_a_formula_means_filling_it() -> None:
    assert translate('A1+$B$2*SUM(C3:C$4)&"A1"', 2, 1) == 'B3+$B$2*SUM(D5:D$4)&"A1"'


@pytest.mark.parametrize(("number", "name"), [(1, "A"), (26, "Z"), (27, "AA"), (702, "ZZ"), (16384, "XFD")])
def test_columns_count_in_letters(number: int, name: str) -> None:
    assert column_name(number) == name
    assert column_number(name) == number


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SUM(B5:B7)", 6),
        ("AVERAGE($B$5:$B$7)", 2),
        ("SUBTOTAL(109,Sales[flights])", 6),
        ("SUBTOTAL(101,Sales[flights])", 2),
        ("MAX(S!B5:B7)", 3),
        ("COUNT(A5:A7)", 0),
        ("B6", 2),
        ("SUM(B5:B8)", None),
        ("SUM(B5:B7)+1", None),
        ("VLOOKUP(B5:B7)", None),
        ("SUM(Other!B5:B7)", None),
    ],
)
def test_only_what_is_certain_has_a_result(formula: str, expected: float | None) -> None:
    numbers, texts = Column(), Column()
    numbers.extend(5, [1, 2])
    numbers.put(7, 3)
    texts.extend(5, ["x", "y", None])
    known = {"s": {"B": numbers, "A": texts}}
    tables = {"sales": TableRange("s", 5, 7, {"flights": "B"})}
    assert expected == result(formula, Place("s", "C", 20), Written(known), tables)
