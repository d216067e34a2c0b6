"""The expression language: what is read, what is calculated, what is refused."""

import math

import polars as pl
import pytest

from qlik_simulator.domain.compiler import Context
from qlik_simulator.domain.errors import ExpressionError, UnsupportedError
from qlik_simulator.domain.evaluate import calculated_field, expand, scalar
from qlik_simulator.domain.model import DataModel, model_of
from qlik_simulator.domain.parser import parse
from qlik_simulator.domain.selections import NOTHING, Selection

NOW = 45000.5  # 2023-03-15 12:00


@pytest.fixture(scope="module")
def model() -> DataModel:
    frame = pl.DataFrame(
        {
            "Region": ["North", "South", "North", None, "East"],
            "Sales": [10.0, 20.5, None, 5.0, -3.0],
            "Units": [1, 2, 3, 4, 5],
            "Day": pl.Series(["2024-01-31", "2024-02-01", "2024-02-29", None, "2024-12-31"]).str.to_date(),
            "Two words": ["a", "b", "a", "b", "c"],
        }
    )
    return model_of(frame)


def value(model: DataModel, expression: str, **variables: str) -> object:
    """The number of an expression, else its text, else None."""
    column = scalar(expression, Context(model, {"$": NOTHING}, variables=variables, now=NOW))
    number = float(column.numbers[0])
    return column.text(0) if math.isnan(number) else number


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Sum(Sales)", 32.5),
        ("=Sum(Sales) + 1", 33.5),
        ("Count(Sales)", 4),
        ("Count(Region)", 4),
        ("Count(distinct Region)", 3),
        ("Avg(Units)", 3),
        ("Min(Sales)", -3),
        ("Max(Sales)", 20.5),
        ("Median(Units)", 3),
        ("Sum(distinct Units)", 15),
        ("NullCount(Sales)", 1),
        ("Only(Units)", None),
        ("Only({<Units={2}>} Sales)", 20.5),
        ("Concat(distinct Region, ', ')", "East, North, South"),
        ("Sum({<Region={'North'}>} Units)", 4),
        ("Sum({<Region={North,East}>} Units)", 9),
        ('Sum({<Units={">=2<4"}>} Units)', 5),
        ('Sum({<Region={"*o*"}>} Units)', 6),
        ("Sum({<Region-={'North'}>} Units)", 7),
        ("Sum({1-1<Region={North}>} Units)", 11),
        ("Sum({1<Region={North}>*1<Units={3}>} Units)", 3),
        ("Sum(If(Region='North', Units, 0))", 4),
        ('Sum([Units]) / Count("Two words")', 3),
        ("Count({<[Two words]={a}>} Units)", 2),
        ("2+3*4/2", 8),
        ("-2*2", -4),
        ("(1+2)*-3", -9),
        ("1/0", None),
        ("Sum(Sales)/Count(Units) > 6 and not 1=2", -1),
        ("1=1 or 1/0", -1),
        ("'a' & 'b' & 3", "ab3"),
        ("'it''s'", "it's"),
        ("If(Sum(Sales)>100, 'big', 'small')", "small"),
        ("Alt(Sum(Sales)/0, 7)", 7),
        ("IsNull(Only(Units))", -1),
        ("Round(2.5)", 3),
        ("Round(-2.5)", -2),
        ("Round(7.46, 0.1)", 7.5),
        ("Floor(7.9)", 7),
        ("Ceil(7.1, 5)", 10),
        ("Mod(7, 3)", 1),
        ("Div(7, 2)", 3),
        ("Fabs(-3)", 3),
        ("Num(1234.5, '#,##0.00')", 1234.5),
        ("Text(Num(1234.5, '#,##0.00'))", "1,234.50"),
        ("Text(Date(45000))", "2023-03-15"),
        ("Text(Date(45000, 'DD.MM.YY'))", "15.03.23"),
        ("Year(Max(Day))", 2024),
        ("Text(Month(Max(Day)))", "Dec"),
        ("Day(Min(Day))", 31),
        ("Text(Max(Day))", "2024-12-31"),
        ("Text(MonthStart(MakeDate(2024, 2, 29)))", "2024-02-01"),
        ("Text(WeekDay(MakeDate(2024, 2, 29)))", "Thu"),
        ("Text(Date(WeekStart(MakeDate(2024, 2, 29))))", "2024-02-26"),
        ("Text(Timestamp(MonthEnd(MakeDate(2024, 2, 3))))", "2024-02-29 23:59:59"),
        ("Text(QuarterEnd(MakeDate(2024, 2, 3)))", "2024-03-31"),
        ("Text(YearEnd(MakeDate(2024, 2, 3)))", "2024-12-31"),
        ("Text(AddMonths(MakeDate(2024, 1, 31), 1))", "2024-02-29"),
        ("Text(AddMonths(MakeDate(2024, 1, 31), -2))", "2023-11-30"),
        ("Pick(2, 'a', 'b', 'c')", "b"),
        ("Pick(4, 'a', 'b', 'c')", None),
        ("WildMatch('Nordic', 'S*', 'nor?ic')", 2),
        ("WildMatch('a.c', 'abc')", 0),
        ("Today()", 45000),
        ("Now()", NOW),
        ("Upper(Left('abcdef', 3))", "ABC"),
        ("Mid('abcdef', 3, 2)", "cd"),
        ("Len('abc')", 3),
        ("SubField('a;b;c', ';', 2)", "b"),
        ("Replace('aXbX', 'X', '-')", "a-b-"),
        ("Match('b', 'a', 'b')", 2),
        ("Sum(NoSuchField)", 0),
        ("Avg(NoSuchField)", None),
        ("Sum(Units) // a comment", 15),
        ("Sum(Units)/Sum(TOTAL Units)", 1),
    ],
)
def test_expressions_have_the_values_qlik_gives_them(
    model: DataModel, expression: str, expected: object
) -> None:
    found = value(model, expression)
    if isinstance(expected, int | float):
        assert found == pytest.approx(expected)
    else:
        assert found == expected


def test_aggregations_follow_selections_and_sets_step_out_of_them(model: DataModel) -> None:
    north = NOTHING.put("Region", Selection(frozenset({0})))
    context = Context(model, {"$": north, "Other": NOTHING.put("Units", Selection(frozenset({4})))})
    for expression, expected in (
        ("Sum(Units)", 4),
        ("Sum({1} Units)", 15),
        ("Sum({$} Units)", 4),
        ("Sum({<Region=>} Units)", 15),
        ("Sum({<Region+={'South'}>} Units)", 6),
        ("Sum({<Region*={'South'}>} Units)", 0),
        ("Sum({Other} Units)", 5),
    ):
        assert scalar(expression, context).numbers[0] == expected, expression


def test_variables_are_expanded_and_read_by_name(model: DataModel) -> None:
    assert value(model, "$(v)*2", v="1+2") == 5  # text, not value
    assert value(model, "v*2", v="=1+2") == 6
    assert value(model, "Sum({<Units={$(=Max(Units))}>} Units)") == 5
    assert (
        expand("Sum($(field))", Context(model, {"$": NOTHING}, variables={"field": "Units"})) == "Sum(Units)"
    )
    with pytest.raises(ExpressionError, match="do not come to an end"):
        value(model, "$(v)", v="$(v)$(v)")
    with pytest.raises(ExpressionError, match="itself"):
        value(model, "v", v="=v+1")


@pytest.mark.parametrize(
    ("expression", "construct"),
    [
        ("Aggr(Sum(Units), Region)", "aggr"),
        ("Sum(total <Units> Units)", "TOTAL with a list of fields"),
        ("Above(Sum(Units))", "above"),
        ("Region like 'N*'", "like"),
        ("Sum({<Region=E({1})>} Units)", "E()"),
        ("Sum({$1} Units)", "$1"),
        ('Sum({<Region={"=Sum(Units)>2"}>} Units)', "search by expression"),
        ("FirstSortedValue(Units, Sales)", "firstsortedvalue"),
        ("Max(Units, 2)", "max()"),
    ],
)
def test_what_is_not_there_is_refused_by_name(model: DataModel, expression: str, construct: str) -> None:
    with pytest.raises(UnsupportedError) as refusal:
        value(model, expression)
    assert construct in str(refusal.value)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "Sum(",
        "1 +",
        "Sum(Units))",
        "Sum({<Region={} Units)",
        "#",
        "2^2",
        "Sum(Sum(Units))",
        "If(1)",
        ")(",
    ],
)
def test_what_cannot_be_read_is_an_error(model: DataModel, expression: str) -> None:
    with pytest.raises(ExpressionError) as error:
        value(model, expression)
    assert not isinstance(error.value, UnsupportedError)


def test_nesting_has_an_end() -> None:
    with pytest.raises(ExpressionError, match="nested too deeply"):
        parse("(" * 500 + "1" + ")" * 500)


def test_a_calculated_dimension_is_a_field_with_numbers_and_texts(model: DataModel) -> None:
    context = Context(model, {"$": NOTHING})
    field = calculated_field("=Month(Day)", parse("Month(Day)"), context)
    assert field.texts == ("Jan", "Feb", "Dec")
    assert list(field.numbers) == [1, 2, 12]
    assert list(field.codes) == [0, 1, 1, 3, 2]  # 3: no value
    mixed = calculated_field("=x", parse("If(Units>3, 'many', Units)"), context)
    assert mixed.texts == ("1", "2", "3", "many")
    assert math.isnan(mixed.numbers[3])
