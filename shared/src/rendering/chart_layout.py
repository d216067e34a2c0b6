"""Where everything of a chart stands: title, legend, axes and plot.

Texts are measured first and the kind of layout is chosen by what fits: names along the bottom, names beside
bars that lie, names that stand, or a time axis. What does not fit is counted in the picture and in a warning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from math import ceil, floor, isfinite
from typing import Literal

from rendering.chart_axis import ValueAxis, exponent_of, scaled, time_ticks, times_of, value_axis
from rendering.chart_text import all_whole, fitted, measure, plain, right_to_left, shortened, wrapped
from rendering.model import ChartSpec, RenderOptions, Series

INK, MUTED = "#22303c", "#5b6b7a"
MAX_POINTS = 2_000
MAX_SERIES = 36
_LABEL, _TITLE = 11, 15  # font sizes
_LINE, _TITLE_LINE = 14, 19  # heights of a line
_EDGE = 12  # free space at the edges of the picture
_GAP = 8  # free space between two labels
_STANDING = 14  # width of a standing label with the space beside it
_SHORTEST = 58  # room for a number behind an ellipsis: below that names cannot be told apart
_TITLED = 80  # height that leaves room for a title of the values
_ROW = 15  # height of a lying bar with its name
_BOTTOM = 26  # height of one line of labels under the plot
_LEAST_PLOT = 18
_SWATCH = 16

_MORE = {
    "en": "and {} more", "de": "und {} weitere", "fr": "et {} autres", "es": "y {} más", "it": "e altri {}",
    "nl": "en nog {}", "pt": "e mais {}", "sv": "och {} till", "da": "og {} mere", "pl": "i {} innych",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; `x` and `y` are where its anchor stands on the baseline."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "middle"
    size: int = _LABEL
    fill: str = MUTED
    bold: bool = False
    standing: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """The sign of a series in the legend."""

    x: float
    y: float
    series: int


@dataclass(slots=True)
class Layout:
    """A chart ready to be drawn. Places along an axis are pixels from its start.

    `at` has the middle of each category, None where there was no room for it. `lying` bars go from left to
    right, others from bottom to top.
    """

    width: int
    height: int
    series: list[Series]
    axis: ValueAxis
    x: float = 0
    y: float = 0
    plot_width: float = 0
    plot_height: float = 0
    lying: bool = False
    band: float = 0
    at: list[float] = field(default_factory=list)
    marks: list[float] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def along(self, value: float) -> float:
        """How far a value is along the value axis, in pixels from the lowest."""
        length = self.plot_width if self.lying else self.plot_height
        return length * (value - self.axis.low) / (self.axis.high - self.axis.low)

    def place(self, value: float) -> float:
        """The x of a value where bars lie, else its y."""
        return self.x + self.along(value) if self.lying else self.y + self.plot_height - self.along(value)


def laid_out(chart: ChartSpec, options: RenderOptions) -> Layout:
    """The places of everything, for a picture of 120 by 80 to 4,000 by 4,000 pixels."""
    return _Planner(chart, options).plan()


class _Planner:
    """Takes the picture apart from the top: title, legend, and what is left for the plot."""

    def __init__(self, chart: ChartSpec, options: RenderOptions) -> None:
        self.chart, self.options = chart, options
        self.width, self.height = min(max(chart.width, 120), 4_000), min(max(chart.height, 80), 4_000)
        self.title = plain(chart.title)
        self.warnings: list[str] = []
        self.categories = [plain(category) for category in chart.categories[:MAX_POINTS]]
        self.names = [plain(one.name) for one in chart.series[:MAX_SERIES]]
        cut = [_cut(one, len(self.categories)) for one in chart.series[:MAX_SERIES]]
        self._leave_out(len(chart.categories) - len(self.categories), "categories")
        self._leave_out(len(chart.series) - len(cut), "series")
        if any(map(right_to_left, (self.title, *self.categories, *self.names))):
            self.warn(
                "the picture shows the letters of right-to-left texts one by one, from left to right. "
                "Use a native chart of the template for these."
            )
        values = [value for one in cut for value in one.values if value is not None]
        self.exponent = exponent_of(values, short=False)
        widest = max(measure(label, _LABEL) for label in self._axis(self._counted(values), 5).labels)
        if widest > 0.3 * self.width:
            self.exponent = exponent_of(values, short=True)
        self.series = [Series(one.name, tuple(self._counted(one.values)), one.kind) for one in cut]
        self.values = [value for one in self.series for value in one.values if value is not None]
        self.bars = sum(one.kind == "bar" for one in self.series)
        self.only_bars = self.bars == len(self.series)
        self.texts: list[Text] = []
        self.keys: list[Key] = []

    def plan(self) -> Layout:
        top = self._legend(self._heading())
        layout = Layout(self.width, self.height, self.series, self._axis(self.values, 5))
        layout.y = top + _GAP
        _Plot(self, layout).choose()
        layout.texts[:0] = self.texts
        layout.keys, layout.warnings = self.keys, self.warnings
        return layout

    def _counted(self, values: Sequence[float | None]) -> list[float | None]:
        return [None if value is None else scaled(value, self.exponent) for value in values]

    def _axis(self, values: Sequence[float | None], ticks: int) -> ValueAxis:
        zero = any(one.kind == "bar" for one in self.chart.series)
        return value_axis(values, ticks, self.exponent, self.chart.decimals, self.options, zero=zero)

    def axis(self, ticks: int) -> ValueAxis:
        """The value axis with about so many ticks."""
        return self._axis(self.values, max(ticks, 1))

    def warn(self, what: str) -> None:
        """Say in the task log what the picture does not show."""
        name = self.title or ", ".join(self.names)[:80]
        self.warnings.append(f"chart {name!r}: {what}")

    def more(self, count: int) -> str:
        """How the picture says that something is left out, in the report's language."""
        return _MORE.get(self.options.language.lower().partition("-")[0], _MORE["en"]).format(count)

    def _leave_out(self, count: int, what: str) -> None:
        if count > 0:
            self.warn(f"{count} {what} are not in the picture. Show fewer, or use a table.")

    def _heading(self) -> float:
        """Place the title over as many lines as it needs and the picture has; returns where it ends."""
        if not self.title:
            return 4
        lines = max(1, min(4, (self.height - 100) // _TITLE_LINE))
        shown = wrapped(self.title, self.width - 2 * _EDGE, lines, _TITLE, bold=True)
        if not all_whole([shown], [self.title]):
            self.warn("the title is too long for the picture and was shortened.")
        for number, line in enumerate(shown):
            y = 22 + number * _TITLE_LINE
            self.texts.append(Text(_EDGE, y, line, "start", _TITLE, INK, bold=True))
        return 28 + (len(shown) - 1) * _TITLE_LINE

    def _legend(self, top: float) -> float:
        """Place the legend in rows; returns where it ends."""
        if len(self.names) < 2:  # noqa: PLR2004 - one series needs no legend
            return top
        left = self.height - top - _BOTTOM - _GAP
        room = max(min(0.4 * self.height, left - 3 * _ROW), min(_ROW + 1, left - 2 * _ROW))
        most = floor(room / (_ROW + 1))
        hidden = len(self.chart.series) - len(self.names)
        rows: list[list[tuple[float, str]]] = []
        for width in (self.width - 2 * _EDGE - _SWATCH, 240, 180, 140, 110, 90, 70):
            limit = min(width, self.width - 2 * _EDGE - _SWATCH)
            entries = [" ".join(lines) for lines in fitted(self.names, limit, 1, _LABEL)]
            rows = self._rows([*entries, self.more(hidden)] if hidden else entries)
            if len(rows) <= most:
                break
        shown = entries
        while len(rows) > most and shown:
            shown = shown[:-1]
            rows = self._rows([*shown, self.more(len(self.chart.series) - len(shown))])
        if len(shown) < len(entries):
            self.warn(
                f"the legend names {len(shown)} of {len(self.chart.series)} series, as there is no room "
                "for more. Make the picture larger, or show fewer series."
            )
        if not shown:
            return top
        series = 0
        for number, row in enumerate(rows):
            y = top + 12 + number * 16
            for x, name in row:
                if series < len(shown):
                    self.keys.append(Key(x, y, series))
                self.texts.append(Text(x + (_SWATCH if series < len(shown) else 0), y, name, "start"))
                series += 1
        return top + 16 * len(rows) + 2

    def _rows(self, entries: Sequence[str]) -> list[list[tuple[float, str]]]:
        rows: list[list[tuple[float, str]]] = [[]]
        x = float(_EDGE)
        for entry in entries:
            needs = _SWATCH + measure(entry, _LABEL)
            if rows[-1] and x + needs > self.width - _EDGE:
                rows.append([])
                x = _EDGE
            rows[-1].append((x, entry))
            x += needs + 18
        return rows


class _Plot:
    """Chooses how the categories are named and places both axes."""

    def __init__(self, planner: _Planner, layout: Layout) -> None:
        self.planner, self.layout = planner, layout
        self.names = planner.categories
        self.count = len(self.names)
        self.room = planner.height - layout.y  # for plot and labels
        self.y_title = plain(planner.chart.y_title) if self.room >= _TITLED else ""
        labels = [label for ticks in range(1, 7) for label in planner.axis(ticks).labels]
        self.left = 10 + max(measure(label, _LABEL) for label in labels) + 6 + (18 if self.y_title else 0)
        self.upright_width = max(planner.width - self.left - _EDGE, 20)
        self.thinnest = 2 * planner.bars  # of a category, so that each bar is seen
        self.standing_room = min(0.5 * self.room, self.room - _LEAST_PLOT - 16)

    def choose(self) -> None:
        """The first of the ways that shows every name whole; else the one that shows most."""
        band = self.upright_width / max(self.count, 1)
        roomy = band >= self.thinnest
        times = times_of(self.names, self.planner.chart.times[: self.count], self.planner.options)
        widest = max((measure(name, _LABEL) for name in self.names), default=0)
        stands = self.standing_room >= min(widest, _SHORTEST)
        if widest <= band - _GAP and roomy and not (times and self._uneven(times)):
            self._upright([(name,) for name in self.names])
        elif times:
            self._timed(times)
        elif roomy and (lines := self._in_lines(band)):
            self._upright(lines)
        elif self._lying_capacity() >= self.count and self.planner.only_bars:
            self._lie(self.count)
        elif stands and band >= max(self.thinnest, _STANDING):
            self._stand(range(self.count))
        elif self.planner.only_bars:
            standing = floor(self.upright_width / max(self.thinnest, _STANDING))
            if stands and standing > self._lying_capacity():
                self._stand(range(standing - 1), hidden=self.count - standing + 1)
            else:
                self._lie(self._lying_capacity() - 1)
        else:
            self._thin(band, stands=stands)

    def _uneven(self, times: Sequence[datetime | None]) -> bool:
        """Whether dates side by side would bend a line: gaps that differ by more than months do."""
        dated = [moment for moment in times if moment is not None]
        gaps = [abs(after - before) for before, after in pairwise(dated)]
        backwards = any(after < before for before, after in pairwise(dated))
        return not self.planner.only_bars and (backwards or max(gaps) > 1.25 * min(gaps))

    def _in_lines(self, band: float) -> list[tuple[str, ...]] | None:
        most = min(3, floor((self.room * 0.4 - 12) / _LINE))
        if most < 1 or band < 5 * _GAP:
            return None
        lines = fitted(self.names, band - _GAP, most, _LABEL)
        unbroken = all(" ".join(shown) == name for shown, name in zip(lines, self.names, strict=True))
        return lines if unbroken else None

    # Upright charts

    def _upright_box(self, bottom: float) -> None:
        layout = self.layout
        layout.x, layout.plot_width = self.left, self.upright_width
        layout.plot_height = max(self.room - bottom, _LEAST_PLOT - 2)
        layout.axis = self.planner.axis(min(5, floor(layout.plot_height / 24)))
        self._title_of_values(layout.plot_height)
        last = float("inf")
        for value, label in zip(layout.axis.ticks, layout.axis.labels, strict=True):
            y = layout.place(value)
            if last - y >= _LINE:
                layout.texts.append(Text(layout.x - 6, y + 4, label, "end"))
                last = y

    def _title_of_values(self, height: float) -> None:
        if self.y_title:
            middle = self.layout.y + height / 2
            shown = shortened(self.y_title, height, _LABEL)
            self.layout.texts.append(Text(18, middle, shown, standing=True))

    def _bands(self, count: int) -> None:
        layout = self.layout
        layout.band = layout.plot_width / max(count, 1)
        layout.at = [layout.x + layout.band * (place + 0.5) for place in range(count)]

    def _upright(self, lines: Sequence[tuple[str, ...]]) -> None:
        most = max((len(one) for one in lines), default=1)
        self._upright_box(_BOTTOM + (most - 1) * _LINE)
        self._bands(self.count)
        foot = self.layout.y + self.layout.plot_height + 18
        for x, one in zip(self.layout.at, lines, strict=True):
            self.layout.texts += [Text(x, foot + n * _LINE, line) for n, line in enumerate(one)]

    def _stand(self, shown: range, *, hidden: int = 0) -> None:
        """Names that stand under the plot; every `shown.step` one, or the first and how many follow."""
        names = [self.names[place] for place in shown]
        limit = self.standing_room
        texts = [one[0] for one in fitted(names, limit, 1, _LABEL)]
        self._tell_shortened(texts, names)
        word = self._word(hidden, limit)
        longest = max(measure(text, _LABEL) for text in [*texts, word])
        self._upright_box(longest + 16)
        self._bands(shown.stop + (1 if hidden else 0))
        layout = self.layout
        foot = layout.y + layout.plot_height + 7
        for place, text in zip(shown, texts, strict=True):
            layout.texts.append(Text(layout.at[place] + 4, foot, text, "end", standing=True))
        layout.marks = [layout.at[place] for place in shown] if shown.step > 1 else []
        if hidden:
            layout.texts.append(Text(layout.at.pop() + 4, foot, word, "end", fill=INK, standing=True))
            self._tell_hidden(hidden)

    def _thin(self, band: float, *, stands: bool) -> None:
        """Lines with more points than names have room: every so many of them is named."""
        names = [one[0] for one in fitted(self.names, 0.4 * self.upright_width, 1, _LABEL)]
        flat = ceil((max(measure(name, _LABEL) for name in names) + _GAP) / band)
        standing = ceil(_STANDING / band)
        every = standing if stands and flat > 2 * standing else flat
        if every > 1:
            named = len(range(0, self.count, every))
            self.planner.warn(
                f"only {named} of {self.count} categories are named, as there is no room for more names; "
                "all values are drawn. Make the picture wider, or show fewer categories."
            )
        if every != flat:
            self._stand(range(0, self.count, every))
            return
        self._upright_box(_BOTTOM)
        self._bands(self.count)
        layout = self.layout
        layout.marks = layout.at[::flat]
        texts = [Text(x, layout.y + layout.plot_height + 18, name)
                 for x, name in zip(layout.marks, names[::flat], strict=True)]  # fmt: skip
        layout.texts += [text for text in texts if self._inside(text)]

    def _inside(self, text: Text) -> bool:
        half = measure(text.text, _LABEL) / 2
        return half <= min(text.x, self.planner.width - text.x) - 2

    def _timed(self, times: Sequence[datetime | None]) -> None:
        """A time axis: every point at its time, round times named."""
        self._upright_box(_BOTTOM)
        layout = self.layout
        ordered = sorted((moment, place) for place, moment in enumerate(times) if moment is not None)
        moments = [moment for moment, _ in ordered]
        if missing := len(times) - len(moments):
            self.planner.warn(f"values without a date ({missing} of {len(times)}) are not on the time axis.")
        first, span = moments[0], (moments[-1] - moments[0]).total_seconds()
        gap = min((after - before).total_seconds() for before, after in pairwise(moments))
        layout.band = layout.plot_width * gap / (span + gap)
        start, length = layout.x + layout.band / 2, layout.plot_width - layout.band

        def at(moment: datetime) -> float:
            return start + length * ((moment - first).total_seconds() / span)

        layout.at = [at(moment) for moment in moments]
        layout.series = [
            Series(one.name, tuple(one.values[place] for _, place in ordered), one.kind)
            for one in layout.series
        ]
        foot = layout.y + layout.plot_height + 18
        for marks in time_ticks(moments, self.planner.options.language):
            placed = [(at(moment), self._pushed_in(at(moment), label)) for moment, label in marks]
            texts = [Text(x, foot, label) for (_, x), (_, label) in zip(placed, marks, strict=True)]
            if _apart(texts):
                break
        else:
            texts = texts[:1]
        layout.marks = [x for x, _ in placed[: len(texts)]]  # where it is, though its label was pushed in
        layout.texts += texts

    def _pushed_in(self, x: float, label: str) -> float:
        half = measure(label, _LABEL) / 2 + 3
        return min(max(x, half), self.planner.width - half)

    # Bars that lie

    def _axis_height(self) -> float:
        return _BOTTOM + (_LINE if self.y_title else 0)

    def _lying_capacity(self) -> int:
        row = max(_ROW, self.thinnest + 4)
        return max(floor((self.room - self._axis_height()) / row), 1)

    def _lie(self, count: int) -> None:
        """Bars from left to right, the names beside them; and how many follow where not all fit."""
        layout, hidden = self.layout, self.count - count
        layout.lying = True
        layout.plot_height = max(self.room - self._axis_height(), _LEAST_PLOT - 2)
        layout.band = layout.plot_height / max(count + (1 if hidden else 0), 1)
        lines = max(1, min(3, floor(layout.band / _LINE)))
        names = self.names[:count]
        shown = fitted(names, 0.42 * self.planner.width, lines, _LABEL)
        self._tell_shortened([" ".join(one) for one in shown], names)
        word = self._word(hidden, 0.42 * self.planner.width)
        column = max(measure(line, _LABEL) for line in [word, *(line for one in shown for line in one)])
        layout.x = _EDGE + column + 8
        layout.at = [layout.y + layout.band * (place + 0.5) for place in range(count)]
        for y, one in zip(layout.at, shown, strict=True):
            first = y + 4 - (len(one) - 1) * _LINE / 2
            layout.texts += [Text(layout.x - 8, first + n * _LINE, line, "end") for n, line in enumerate(one)]
        if hidden:
            y = layout.y + layout.band * (count + 0.5)
            layout.texts.append(Text(layout.x - 8, y + 4, word, "end", fill=INK))
            self._tell_hidden(hidden)
        self._lying_values()

    def _lying_values(self) -> None:
        layout, width = self.layout, self.planner.width
        foot = layout.y + layout.plot_height + 18
        for ticks in range(5, 0, -1):
            layout.axis = self.planner.axis(ticks)
            half = measure(layout.axis.labels[-1], _LABEL) / 2
            layout.plot_width = max(width - layout.x - max(half + 4, _EDGE), 20)
            texts = [
                Text(layout.place(value), foot, label)
                for value, label in zip(layout.axis.ticks, layout.axis.labels, strict=True)
            ]
            if _apart(texts):
                break
        else:
            texts = [text for text in texts[:: max(len(texts) - 1, 1)] if self._inside(text)]
            texts = texts if _apart(texts) else texts[:1]
        layout.texts += [text for text in texts if self._inside(text)]
        if self.y_title:
            title = shortened(self.y_title, width - 2 * _EDGE, _LABEL)
            x = self._pushed_in(layout.x + layout.plot_width / 2, title)
            layout.texts.append(Text(x, foot + _LINE, title))

    # What the picture could not show

    def _tell_shortened(self, shown: Sequence[str], names: Sequence[str]) -> None:
        cut = sum(not all_whole([(text,)], [name]) for text, name in zip(shown, names, strict=True))
        if cut:
            self.planner.warn(
                f"names of categories are too long for the picture and were shortened: {cut} of {len(names)}."
            )

    def _word(self, hidden: int, width: float) -> str:
        """How the picture says that categories are left out: in words if they fit."""
        if not hidden:
            return ""
        word = self.planner.more(hidden)
        return word if measure(word, _LABEL) <= width else f"+{hidden}"

    def _tell_hidden(self, hidden: int) -> None:
        self.planner.warn(
            f"{hidden} of {self.count} categories have no room in the picture and are left out. "
            "Make it larger, or show fewer."
        )


def _apart(texts: Sequence[Text]) -> bool:
    """Whether texts of one line leave room between each other and read differently."""
    ends = [(t.x - measure(t.text, _LABEL) / 2, t.x + measure(t.text, _LABEL) / 2) for t in texts]
    different = len({text.text for text in texts}) == len(texts)
    return different and all(before[1] + _GAP <= after[0] for before, after in pairwise(ends))


def _cut(series: Series, count: int) -> Series:
    values = tuple(v if v is not None and isfinite(v) else None for v in series.values[:count])
    return Series(series.name, values + (None,) * (count - len(values)), series.kind)
