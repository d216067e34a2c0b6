"""Charts drawn as SVG: every text inside the picture, none over another, different names told apart."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from rendering import ChartSpec, RenderOptions, Series
from rendering.chart_text import fitted, measure, plain, wrapped
from rendering.charts import PALETTE, drawn, scale, svg

ENGLISH = RenderOptions()
GERMAN = RenderOptions(decimal=",", thousands=".", date_format="%d.%m.%Y", language="de")


@dataclass(frozen=True)
class Shown:
    """A text of a picture and the box it stands in."""

    text: str
    anchor: str
    size: float
    box: tuple[float, float, float, float]

    def covers(self, other: "Shown") -> bool:
        left, top, right, foot = self.box
        x1, y1, x2, y2 = other.box
        return left < x2 - 0.1 and x1 < right - 0.1 and top < y2 - 0.1 and y1 < foot - 0.1


def texts(picture: bytes) -> list[Shown]:
    return [_shown(one) for one in _all(picture, "text") if one.text]


def _all(picture: bytes, name: str) -> Iterator[Any]:
    return etree.fromstring(picture).iter(f"{{*}}{name}")


def _shown(element: Any) -> Shown:
    x, y, size = (float(element.get(name)) for name in ("x", "y", "font-size"))
    width = measure(element.text, size, bold=element.get("font-weight") == "bold")
    anchor = element.get("text-anchor")
    start = {"start": 0.0, "middle": -width / 2, "end": -width}[anchor]
    up, down = 0.8 * size, 0.22 * size
    if "rotate(-90" in element.get("transform", ""):
        box = (x - up, y - start - width, x + down, y - start)
    else:
        box = (x + start, y - up, x + start + width, y + down)
    return Shown(element.text, anchor, size, box)


def read(chart: ChartSpec, options: RenderOptions = ENGLISH) -> list[str]:
    return [one.text for one in texts(svg(chart, options))]


def marks(picture: bytes, name: str, attribute: str) -> set[str]:
    return {one.get(attribute) for one in _all(picture, name)} - {"#ffffff", None, "none"}


def check(chart: ChartSpec, options: RenderOptions) -> None:
    picture, warnings = drawn(chart, options)
    assert (picture, warnings) == drawn(chart, options), "the same bytes every time"
    root: Any = etree.fromstring(picture)
    width, height = float(root.get("width")), float(root.get("height"))
    found = texts(picture)
    for one in found:
        left, top, right, foot = one.box
        assert left >= 0, one
        assert top >= 0, one
        assert right <= width, one
        assert foot <= height, one
    for one, other in combinations(found, 2):
        assert not one.covers(other), (one, other)
    for element in _all(picture, "rect"):
        x, y, w, h = (float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
        assert all(map(math.isfinite, (x, y, w, h)))
        assert (x >= 0, y >= 0, x + w <= width + 0.1, y + h <= height + 0.1) == (True,) * 4


WORDS = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="abc WMi…()1", max_size=60),
    st.sampled_from(
        [
            "Customer name number 7 Ltd",
            "مرحبا بالعالم العربي",
            "東京都千代田区丸の内一丁目",
            "👩‍👩‍👧‍👦🇩🇪👍🏽",
            "<script>alert('x')</script>",
            "e" + "\u0301" * 40,
            "\u202egnirts\u202c",
            "a" * 5_000,
            "",
        ]
    ),
    st.builds("The same long beginning of every name in this list {}".format, st.integers(0, 99)),
    st.dates().map(date.isoformat),
)
NUMBERS = st.one_of(
    st.none(),
    st.floats(),
    st.sampled_from([0.0, 1e308, -1e308, 5e-324, 1e18, 1e-9, 1e15]),
    st.integers(-(10**6), 10**6).map(float),
)


@st.composite
def charts(draw: st.DrawFn) -> ChartSpec:
    names = draw(st.lists(WORDS, max_size=60))
    if draw(st.booleans()) and names:
        names = (names * 40)[: draw(st.integers(1, 90))]
        names = [f"{name} {place}" for place, name in enumerate(names)]
    series = [
        Series(name, tuple(draw(st.lists(NUMBERS, max_size=8))) * 8, draw(st.sampled_from(["bar", "line"])))
        for name in draw(st.lists(WORDS, max_size=14))
    ]
    return ChartSpec(
        tuple(names),
        tuple(series),
        title=draw(WORDS),
        width=draw(st.integers(0, 1_500)),
        height=draw(st.integers(0, 900)),
        y_title=draw(WORDS),
        decimals=draw(st.sampled_from([None, 0, 2])),
    )


@settings(max_examples=150, deadline=None)
@given(chart=charts(), options=st.sampled_from([ENGLISH, GERMAN, RenderOptions(language="ar")]))
def test_no_text_leaves_the_picture_or_stands_over_another(chart: ChartSpec, options: RenderOptions) -> None:
    check(chart, options)


@settings(max_examples=200, deadline=None)
@given(
    names=st.lists(WORDS.map(plain), max_size=40, unique=True),
    width=st.integers(60, 300),
    lines=st.integers(1, 3),
)
def test_different_names_never_read_the_same(names: list[str], width: int, lines: int) -> None:
    shown = fitted(names, width, lines, 11)
    assert len(names) == len({" ".join(one) for one in shown})
    assert all(len(one) <= lines and measure(line, 11) <= width for one in shown for line in one)


def test_fifty_customers_are_told_apart_by_their_whole_names() -> None:
    names = tuple(f"Customer name number {number} Ltd" for number in range(50))
    chart = ChartSpec(
        names, (Series("Revenue", tuple(1000.0 * (1 + n % 7) for n in range(50))),), title="Revenue"
    )
    assert set(names) <= set(read(chart))
    check(chart, ENGLISH)
    assert [] == drawn(chart, ENGLISH)[1]


@pytest.mark.parametrize("kind", ["bar", "line"])
def test_every_series_has_its_name_in_the_legend_and_a_look_of_its_own(kind: Any) -> None:
    for count in (2, 9, 12, 24, 36):
        names = [f"Product line number {number} long name" for number in range(count)]
        chart = ChartSpec(
            ("Q1", "Q2", "Q3", "Q4"),
            tuple(Series(name, (1.0, 2.0, 3.0, 4.0), kind) for name in names),
            title="A rather long title that says what is shown and for which period and region it was made",
            width=640 if count < 12 else 900,
            height=300 if count < 12 else 600,
        )
        assert set(names) <= set(read(chart))
        check(chart, ENGLISH)
        picture = svg(chart, ENGLISH)
        if kind == "bar":
            assert count == len(marks(picture, "rect", "fill"))
        else:
            looks = {(p.get("stroke"), p.get("stroke-dasharray")) for p in _all(picture, "path")}
            assert count == len(looks)


def test_series_beyond_what_can_be_told_apart_are_counted_in_the_picture_and_in_a_warning() -> None:
    chart = ChartSpec(("a", "b"), tuple(Series(f"S{n}", (1.0, 2.0)) for n in range(40)), title="Many")
    assert "and 4 more" in read(chart)
    assert "und 4 weitere" in read(chart, GERMAN)
    assert ["chart 'Many': 4 series are not in the picture. Show fewer, or use a table."] == drawn(
        chart, ENGLISH
    )[1]


def test_categories_beyond_what_fits_are_counted_in_the_picture_and_in_a_warning() -> None:
    names = tuple(f"Customer {number}" for number in range(200))
    chart = ChartSpec(names, (Series("x", (1.0,) * 200),), title="Many")
    found = read(chart)
    named = [text for text in found if text in names]
    assert list(names[: len(named)]) == named
    assert f"and {200 - len(named)} more" in found
    assert f"{200 - len(named)} of 200 categories have no room" in drawn(chart, ENGLISH)[1][0]
    check(chart, ENGLISH)


def test_long_names_of_few_bars_stand_beside_lying_bars() -> None:
    names = tuple(f"Customer name number {number} Ltd and its daughters" for number in range(12))
    chart = ChartSpec(names, (Series("x", tuple(float(n - 4) for n in range(12))),), y_title="Euro")
    found = {one.text: one for one in texts(svg(chart, ENGLISH))}
    assert set(names) <= set(found)
    assert {"end"} == {found[name].anchor for name in names}
    assert 12 == len({found[name].box[1] for name in names}), "one under the other"
    check(chart, ENGLISH)


@pytest.mark.parametrize(("width", "height"), [(200, 120), (300, 150), (120, 100)])
def test_a_small_picture_shows_what_it_can_and_how_much_is_missing(width: int, height: int) -> None:
    names = tuple(f"Item {number}" for number in range(30))
    series = tuple(Series(f"Series {n}", tuple(float(n + place) for place in range(30))) for n in range(3))
    chart = ChartSpec(names, series, title="A long title of a small picture", width=width, height=height)
    check(chart, ENGLISH)
    missing = 30 - sum(text in names for text in read(chart))
    assert missing < 30
    assert {f"and {missing} more", f"+{missing}"} & set(read(chart))


def test_a_long_title_is_broken_over_lines() -> None:
    title = (
        "A rather long title that says what is shown and for which period and region it was made, in words"
    )
    chart = ChartSpec(("a",), (Series("x", (1.0,)),), title=title, width=640, height=300)
    lines = [one.text for one in texts(svg(chart, ENGLISH)) if one.size == 15]
    assert title == " ".join(lines)
    assert len(lines) > 1


def _days(count: int, step: int = 1) -> tuple[date, ...]:
    return tuple(date(2026, 1, 1) + timedelta(days=step * number) for number in range(count))


MONTHS = ["Jan 2026", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def test_many_days_have_a_time_axis_in_the_language_of_the_report() -> None:
    days = _days(336)
    spec = ChartSpec(tuple(map(str, days)), (Series("x", tuple(5000.0 + n for n in range(336)), "line"),))
    assert MONTHS == _below(spec, ENGLISH)
    german = tuple(f"{day:%d.%m.%Y}" for day in days)
    assert "Jan. 2026" == _below(ChartSpec(german, spec.series), GERMAN)[0]
    assert "Mär" in _below(ChartSpec(german, spec.series), GERMAN)
    told = ChartSpec(tuple(f"day {n}" for n in range(336)), spec.series, times=days)
    assert MONTHS == _below(told, ENGLISH)


def _below(chart: ChartSpec, options: RenderOptions) -> list[str]:
    check(chart, options)
    found = texts(svg(chart, options))
    foot = max(one.box[3] for one in found)
    return [one.text for one in sorted(found, key=lambda one: one.box[0]) if one.box[3] > foot - 1]


@pytest.mark.parametrize(
    ("days", "first"),
    [
        (_days(20), ["Jan 5", "Jan 12", "Jan 19"]),
        (_days(40, 30), ["Q1 2026", "Q2 2026", "Q3 2026"]),
        (_days(30, 366), ["2026", "2027", "2028"]),
    ],
)
def test_the_ticks_of_a_time_axis_follow_its_length(days: Sequence[date], first: list[str]) -> None:
    values = tuple(float(n % 5) for n in range(len(days)))
    names = tuple(map(str, days))
    chart = ChartSpec(names, (Series("x", values, "line"),), width=400 if len(days) == 20 else 1_200)
    found = _below(chart, ENGLISH)
    assert first == [text for text in found if text in first]


def test_time_runs_to_the_right_whatever_the_order_of_the_rows() -> None:
    days = _days(60)
    values = tuple(float(n) for n in range(60))
    there = ChartSpec(tuple(map(str, days)), (Series("x", values, "line"),))
    back = ChartSpec(tuple(map(str, days[::-1])), (Series("x", values[::-1], "line"),))
    assert svg(there, ENGLISH) == svg(back, ENGLISH)


def test_rows_without_a_date_do_not_spoil_the_time_axis_and_are_named_in_a_warning() -> None:
    days = tuple(map(str, _days(336)))
    whole = ChartSpec(days, (Series("x", (1.0,) * 336, "line"),), title="T")
    chart = ChartSpec(("-", *days), (Series("x", (5.0, *(1.0,) * 336), "line"),), title="T")
    assert MONTHS == _below(chart, ENGLISH)
    assert ["chart 'T': values without a date (1 of 337) are not on the time axis."] == drawn(chart, ENGLISH)[
        1
    ]
    assert [] == drawn(whole, ENGLISH)[1]


def test_points_of_a_line_stand_at_their_dates() -> None:
    days = (date(2020, 1, 1), date(2021, 1, 1), date(2026, 1, 1))
    chart = ChartSpec(tuple(map(str, days)), (Series("x", (1.0, 2.0, 3.0), "line"),))
    at = [float(one.get("cx")) for one in _all(svg(chart, ENGLISH), "circle")]
    assert (at[2] - at[1]) / (at[1] - at[0]) == pytest.approx(1826 / 366, rel=0.01)


def test_a_point_between_gaps_is_seen_on_a_line_of_many() -> None:
    values = (1.0, None) * 50
    chart = ChartSpec(tuple(f"c{n}" for n in range(100)), (Series("x", values, "line"),))
    assert 50 == len(list(_all(svg(chart, ENGLISH), "circle")))


def test_labels_of_values_are_written_as_the_report_writes_numbers() -> None:
    chart = ChartSpec(("a", "b"), (Series("x", (1500.0, -2500.0)),))
    assert {"-3.000", "-2.000", "-1.000", "0", "1.000", "2.000"} <= set(read(chart, GERMAN))
    quarters = ChartSpec(("a",), (Series("x", (0.75,)),), decimals=0)
    labels = [text for text in read(quarters) if text != "a"]
    assert len(labels) == len(set(labels)), "decimals are added where labels would read the same"


@pytest.mark.parametrize(
    ("values", "label"),
    [((3e18, 1e17), "3E18"), ((2e-9,), "2.0E-9"), ((1.5e308, -1.5e308), "-2E308"), ((5e-324,), "5E-324")],
)
def test_very_large_and_very_small_values_are_written_with_an_exponent(
    values: tuple[float, ...], label: str
) -> None:
    chart = ChartSpec(tuple("ab"[: len(values)]), (Series("x", values),))
    check(chart, ENGLISH)
    assert label in read(chart)


@pytest.mark.parametrize("values", [(0.0, 0.0), (None, None), (), (7.0,), (math.nan, math.inf)])
@pytest.mark.parametrize("kind", ["bar", "line"])
def test_charts_with_next_to_no_data_are_drawn(values: tuple[float | None, ...], kind: Any) -> None:
    check(ChartSpec(("a", "b"), (Series("x", values, kind),)), ENGLISH)
    check(ChartSpec((), (Series("x", values, kind),)), ENGLISH)
    check(ChartSpec((), ()), ENGLISH)


def test_right_to_left_names_are_placed_like_others_and_a_warning_says_how_they_are_drawn() -> None:
    chart = ChartSpec(("مبيعات", "שלום", "Zürich"), (Series("x", (1.0, 2.0, 3.0)),), title="T")
    check(chart, ENGLISH)
    assert set(chart.categories) <= set(read(chart))
    assert "right-to-left" in drawn(chart, ENGLISH)[1][0]
    latin = ChartSpec(("a", "東京", "👍🏽"), (Series("x", (1.0, 2.0, 3.0)),))
    assert [] == drawn(latin, ENGLISH)[1]


def test_hostile_texts_stay_texts() -> None:
    bad = "<script>alert(1)</script>' onload='x\" &amp; \x00\x1b"
    chart = ChartSpec((bad,), (Series(bad, (1.0,)), Series(f"{bad}2", (1.0,))), title=bad, y_title=bad)
    picture = svg(chart, ENGLISH)
    root = etree.fromstring(picture)
    assert {"svg", "rect", "line", "text"} == {etree.QName(one).localname for one in root.iter()}
    assert not [one for one in root.iter() if one.get("onload")]


def test_the_colours_differ_for_all_eyes() -> None:
    assert 12 == len(PALETTE)
    for one, other in combinations(PALETTE, 2):
        for eye in EYES:
            assert math.dist(_lab(one, eye), _lab(other, eye)) > 19, (one, other)


# Normal sight, and the matrices of Machado, Oliveira and Fernandes (2009) for deuteranopia and protanopia.
EYES = (
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
)


def _lab(colour: str, eye: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    seen = [linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5)]
    r, g, b = (min(1, max(0, sum(a * c for a, c in zip(row, seen, strict=True)))) for row in eye)
    white = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505, 0.2126 * r + 0.7152 * g + 0.0722 * b
    x, y, z = (
        t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116
        for t in (*white, (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize(("name", "bold"), [("DejaVuSans", False), ("DejaVuSans-Bold", True)])
def test_no_text_is_wider_in_the_font_than_it_was_measured(name: str, bold: bool) -> None:
    file = Path(f"/usr/share/fonts/truetype/dejavu/{name}.ttf")
    if not file.exists():
        pytest.skip("DejaVu Sans is not installed here")
    font = pytest.importorskip("fontTools.ttLib").TTFont(file)
    glyphs, widths = font.getBestCmap(), font["hmtx"]
    for text in (
        *map(chr, range(32, 127)),
        "Zürich Größe Łódź Çeşme naïve façade 1.234,56 € 50 % (net) “quoted”…",
        "Выручка по регионам",
        "Πωλήσεις ανά περιοχή",
        "مرحبا بالعالم العربي",
    ):
        real = sum(widths[glyphs[ord(char)]][0] for char in text) * 11 / font["head"].unitsPerEm
        assert real <= measure(text, 11, bold=bold) + 0.01, text


def test_scales_hold_all_values_in_round_steps() -> None:
    assert scale([0.0, 9.5]) == (0, 10, 2)
    assert scale([-3.0, 7.0]) == (-4, 8, 2)
    assert scale([98.0, 102.0], zero=False) == (98, 102, 1)


def test_a_text_is_broken_between_words_and_never_inside_what_reads_as_one_character() -> None:
    assert wrapped("one two three", measure("one two", 11) + 1, 3, 11) == ("one two", "three")
    family = "👩‍👩‍👧‍👦"
    assert wrapped(family * 3, measure(family, 11) + 1, 3, 11) == (family,) * 3
