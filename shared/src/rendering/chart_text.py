"""How wide the texts of a chart are, and how they are made to fit while staying different from each other.

No font file is opened: charts have to come out as the same bytes on every machine. Widths are those of DejaVu
Sans, the first font a chart asks for and the widest of those it may get, so that a text never needs more room
than it was given. Sizes are CSS pixels.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from rendering.values import clean

ELLIPSIS = "…"
_LONGEST = 300  # characters of a label that are looked at; a picture has no room for more
_MARKS = 3  # combining marks kept on one character: a tower of them would leave its line
_JOINER = "\u200d"

# Thousandths of an em, for the characters from the space to the tilde.
_REGULAR = (
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775,
    752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390,
    337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612,
    635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
)  # fmt: skip
_BOLD = 1.22  # the widest ratio of a bold letter to the regular one, but for the narrow letters
_BOLD_NARROW = 1.34
_NARROW = 420
_WIDE_ONES = {"\ufdfd": 10_000, "\ufdfa": 4_000, "\u2e3a": 2_000, "\u2e3b": 3_000}


def plain(text: str) -> str:
    """A label on one line: no control or direction characters, single spaces, of a bounded length."""
    kept = []
    marks = 0
    for char in unicodedata.normalize("NFC", clean(text)):
        category = unicodedata.category(char)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if marks > _MARKS or (category in {"Cc", "Cf"} and char not in f"{_JOINER}\n\t\r"):
            continue
        kept.append(char)
    line = " ".join("".join(kept).split())
    return line if len(line) <= _LONGEST else f"{line[:200]}{ELLIPSIS}{line[-99:]}"


def right_to_left(text: str) -> bool:
    """Whether a text has letters of a script that is written from right to left."""
    return any(unicodedata.bidirectional(char) in {"R", "AL"} for char in text)


@lru_cache(maxsize=8_192)
def _advance(char: str, *, bold: bool) -> float:
    if char in _WIDE_ONES:
        return _WIDE_ONES[char]
    code = ord(char)
    if " " <= char <= "~":
        regular = _REGULAR[code - 32]
        return regular * (_BOLD_NARROW if regular < _NARROW else _BOLD) if bold else regular
    category = unicodedata.category(char)
    if category in {"Mn", "Me", "Cf"}:
        return 0
    base = unicodedata.normalize("NFD", char)[0]
    if base != char and " " <= base <= "~":
        return _advance(base, bold=bold)
    return _class_width(char, category) * (_BOLD if bold else 1)


def _class_width(char: str, category: str) -> float:
    code = ord(char)
    if 0x12000 <= code <= 0x1254F:  # noqa: PLR2004 - cuneiform
        return 3_000
    if code >= 0x1F000 or unicodedata.east_asian_width(char) in {"W", "F"}:  # noqa: PLR2004 - emoji and the like
        return 1_400 if code >= 0x1F000 else 1_020  # noqa: PLR2004
    if 0x0590 <= code <= 0x08FF:  # noqa: PLR2004 - Hebrew and Arabic
        return 800
    if category == "Ll":
        return 780 if code < 0x0250 else 900  # noqa: PLR2004 - Latin
    return {"Lu": 1_000, "Pd": 1_000, "Pf": 520, "Pi": 520, "Zs": 640}.get(category, 1_050)


def measure(text: str, size: float, *, bold: bool = False) -> float:
    """The pixels a text takes at most in a line of this font size."""
    return sum(_advance(char, bold=bold) for char in text) * size / 1_000


def _clusters(text: str) -> list[str]:
    """What people see as one character each: a letter with its marks, an emoji with its parts, a flag."""
    found: list[str] = []
    for char in text:
        last = found[-1] if found else ""
        flag = 0x1F1E6 <= ord(char) <= 0x1F1FF and len(last) == 1 and 0x1F1E6 <= ord(last) <= 0x1F1FF  # noqa: PLR2004
        joined = unicodedata.category(char)[0] == "M" or char == _JOINER or 0x1F3FB <= ord(char) <= 0x1F3FF  # noqa: PLR2004
        if last and (flag or joined or last.endswith(_JOINER)):
            found[-1] += char
        else:
            found.append(char)
    return found


def _head(parts: Sequence[str], width: float, size: float, *, bold: bool = False) -> int:
    """How many of these characters stand in a width, counted from the first."""
    for count, part in enumerate(parts):
        width -= measure(part, size, bold=bold)
        if width < 0:
            return count
    return len(parts)


def shortened(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """A text that fits a width: itself, or its beginning and an ellipsis."""
    if measure(text, size, bold=bold) <= width:
        return text
    parts = _clusters(text)
    room = width - measure(ELLIPSIS, size, bold=bold)
    return "".join(parts[: _head(parts, room, size, bold=bold)]).rstrip() + ELLIPSIS


def wrapped(text: str, width: float, lines: int, size: float, *, bold: bool = False) -> tuple[str, ...]:
    """A text over at most so many lines: broken between words, long words inside, the last line shortened."""
    result: list[str] = []
    rest = text
    while rest and len(result) < lines - 1 and measure(rest, size, bold=bold) > width:
        parts = _clusters(rest)
        count = _head(parts, width, size, bold=bold)
        if not count:
            return (*result, ELLIPSIS)  # a character wider than the line
        line = "".join(parts[:count])
        if parts[count : count + 1] != [" "] and " " in line.strip():
            line = line[: line.rstrip().rindex(" ")]
        result.append(line.strip())
        rest = rest[len(line) :].strip()
    if rest:
        result.append(shortened(rest, width, size, bold=bold))
    return tuple(result)


def _middle(text: str, width: float, size: float) -> str:
    """Beginning and end of a text, for texts that begin alike."""
    parts = _clusters(text)
    room = width - measure(ELLIPSIS, size)
    tail = _head(parts[::-1], room * 0.6, size)
    end = "".join(parts[len(parts) - tail :]).lstrip()
    head = _head(parts, room - measure(end, size), size)
    return "".join(parts[:head]).rstrip() + ELLIPSIS + end


def _numbered(text: str, number: int, width: float, size: float) -> str:
    """The beginning of a text and its number, where neither its beginning nor its end tells it apart."""
    tail = f"{ELLIPSIS} ({number})"
    parts = _clusters(text)
    return "".join(parts[: _head(parts, width - measure(tail, size), size)]).rstrip() + tail


def fitted(texts: Sequence[str], width: float, lines: int, size: float) -> list[tuple[str, ...]]:
    """Each text in a width and a number of lines, so that different texts never read the same.

    What is too long keeps its beginning; where that reads like another text, its beginning and its end; where
    that still does, its beginning and its number in the list.
    """
    result = [wrapped(text, width, lines, size) or ("",) for text in texts]
    for place in _alike(texts, result):
        result[place] = (_middle(texts[place], width, size),)
    for place in _alike(texts, result):
        result[place] = (_numbered(texts[place], place + 1, width, size),)
    return result


def _alike(texts: Sequence[str], shown: Sequence[tuple[str, ...]]) -> list[int]:
    """The places of changed texts that read like a different one."""
    reads = {text: " ".join(lines) for text, lines in zip(texts, shown, strict=True)}
    counts = Counter(reads.values())
    return [place for place, text in enumerate(texts) if reads[text] != text and counts[reads[text]] > 1]


def _whole(shown: tuple[str, ...], text: str) -> bool:
    return "".join(shown).replace(" ", "") == text.replace(" ", "")


def all_whole(shown: Sequence[tuple[str, ...]], texts: Sequence[str]) -> bool:
    """Whether nothing was left out of any text."""
    return all(_whole(one, text) for one, text in zip(shown, texts, strict=True))
