"""Excel's number format codes for Qlik's formats. Pure.

Two questions are answered: which code a column gets (`code`), and which one a single cell needs because no
one code shows the whole column as Qlik does (`cell_code`). A format Excel has no code for (binary, roman,
the number of a weekday) is said to be one (`shows`); its cells stay texts.

Sources: Qlik's help on format codes for numbers and times, `FieldAttributes` in the engine's published
interface, ECMA-376 part 1, 18.8.31. Excel's codes are always written with '.' and ','; Excel shows the
separators of whoever opens the file.
"""

from __future__ import annotations

import re
from typing import Final

from qlik import times
from qlik.duals import SPACES, Written, written
from qlik.patterns import NumberPattern

GENERAL: Final = "General"
_TIMES: Final = frozenset({"D", "TS", "T", "IV"})
_DEFAULT: Final = {"D": "yyyy-mm-dd", "TS": "yyyy-mm-dd hh:mm:ss", "T": "hh:mm:ss", "IV": "[h]:mm:ss"}
_MAX_CODE: Final = 255  # characters; Excel refuses a workbook with a longer code
_SECTIONS: Final = 3  # positive, negative, zero; a fourth would be one for texts
# Excel shows 11 characters of a number without a format, and larger numbers with an exponent.
_GENERAL_WHOLE: Final = 1e11
_GENERAL_DECIMAL: Final = 1e8
_GROUP: Final = 3
_PLAIN = re.compile(r"-?\d+(?:[.,]\d+)?").fullmatch
_RADIX = re.compile(r"\s*\((?:bin|oct|dec|hex|rom|r\d{2})\)", re.IGNORECASE)


def is_general(fmt: NumberPattern | None) -> bool:
    """Whether a format leaves it to Qlik how a number is written: up to 14 significant digits, as needed.

    Engines describe it as type `R` with a pattern of `#` only, one for each digit.
    """
    if fmt is None:
        return True
    if fmt.type in _TIMES or fmt.type == "A":
        return False
    if fmt.pattern:
        return set(fmt.pattern) <= {"#"}
    return fmt.type in {"U", "R", "I"}


def shows(fmt: NumberPattern | None) -> bool:
    """Whether Excel has a code that shows numbers in this format."""
    if fmt is None or not fmt.pattern:
        return True
    if kind_of_pattern(fmt) in _TIMES:
        return times.in_excel(fmt.pattern)
    return _RADIX.match(fmt.pattern) is None


def varies(fmt: NumberPattern | None) -> bool:
    """Whether cells of a column may need a code of their own; see `cell_code`."""
    if fmt is None or is_general(fmt):
        return True
    if fmt.type in _TIMES or fmt.type == "A" or kind_of_pattern(fmt) in _TIMES:
        return False
    if not fmt.pattern:
        return fmt.type == "M"  # the script's money format, which the layout does not tell
    return any(_optional(section, fmt) or _shortens(section) for section in fmt.pattern.split(";"))


def code(fmt: NumberPattern | None) -> str:
    """The code that shows numbers of a column as Qlik does, or comes closest to it."""
    if fmt is None or is_general(fmt):
        return GENERAL
    if fmt.type == "A":
        return "@"
    kind = kind_of_pattern(fmt)
    if kind in _TIMES:
        found = times.excel_code(fmt.pattern, elapsed=kind == "IV") if fmt.pattern else ""
        return found if found.strip() and len(found) <= _MAX_CODE else _DEFAULT[kind]
    if not shows(fmt):
        return GENERAL
    if not fmt.pattern:
        whole = "#,##0" if fmt.thousand_separator else "0"
        return whole + ("." + "0" * min(fmt.decimals, 30) if fmt.decimals else "")
    sections = fmt.pattern.split(";")[:_SECTIONS]
    found = ";".join(_section(section, fmt) for section in sections)
    if len(found) > _MAX_CODE:
        found = ";".join(_section(section, fmt, bare=True) for section in sections)
    return found if found.strip(";") and len(found) <= _MAX_CODE else GENERAL


def cell_code(fmt: NumberPattern | None, text: str, number: float, *, calculated: bool = True) -> str | None:
    """The code that one cell needs to show `text`, or None if the column's code does.

    To be asked where `varies` is true: where a format has optional decimals (Excel writes `5.` for 5 in
    `0.##`), where it shortens large numbers, or where there is none, and an expression has written the
    number with a unit or as a percentage, or it has more digits than Excel shows by itself.
    """
    if is_general(fmt) and _PLAIN(text) is not None and _by_itself(number):
        return None
    found = written(text, number, fmt, calculated=calculated)
    if found is None:
        return None
    if found.exponent:
        return None
    if is_general(fmt) and _unadorned(found):
        return (
            None if _by_itself(number) else "0" + ("." + "0" * len(found.fraction) if found.fraction else "")
        )
    return _like(found, number)


def kind_of_pattern(fmt: NumberPattern) -> str:
    """The type that counts: where type and pattern do not agree, the engine follows the pattern."""
    if not fmt.pattern or fmt.type == "A":
        return fmt.type
    has_digits = any(sign in fmt.pattern for sign in "#0") or _RADIX.match(fmt.pattern) is not None
    units = {token[:1] for token in times.tokens(fmt.pattern) if times.is_unit(token)}
    if fmt.type in _TIMES:
        return "F" if has_digits and not units else fmt.type
    if has_digits:
        return fmt.type
    day, clock = units & set("YMD"), units & set("hs")
    return "TS" if day and clock else "D" if "Y" in day else "T" if len(clock) > 1 else fmt.type


# --- numbers ----------------------------------------------------------------------------------------------


def _section(section: str, fmt: NumberPattern, *, bare: bool = False) -> str:
    found = _body(section, fmt)
    if found is None:
        return "" if bare else _literal(section)
    start, end = found
    digits, power = section[start:end], ""
    if exponent := re.match(r"[eE][+-]?0+", section[end:]):
        power, end = exponent.group().upper(), end + exponent.end()
        power = power if power[1] in "+-" else "E+" + power[1:]
    if _shortens(section):
        end = section.rindex("A") + 1
    decimal = decimal_of(fmt)
    whole, dot, fraction = digits.rpartition(decimal) if decimal in digits else (digits, "", "")
    fraction = re.sub(r"[^#0]", "", fraction)
    shown = _whole(whole) + ("." + fraction if dot and fraction else "") + power
    if bare:
        return shown + ("%" if "%" in section else "")
    return _literal(section[:start]) + shown + _literal(section[end:])


def _whole(pattern: str) -> str:
    places = re.sub(r"[^#0]", "", pattern)
    separators = re.sub(r"[#0]", "", pattern)
    least = max(1, places.count("0"))
    if not separators:
        return places  # without any 0 before the point Qlik shows .5, too
    groups = re.split(r"[^#0]+", pattern)[1:]
    if any(len(group) != _GROUP for group in groups) and len(set(separators)) == 1 and "#" not in places:
        return _literal(separators[0]).join(re.split(r"[^#0]+", pattern))  # 0000-0000-0000
    digits = "0" * least
    digits = "#" * (4 - len(digits)) + digits
    return re.sub(r"(?<=.)(?=(?:.{3})+$)", ",", digits)


def _body(section: str, fmt: NumberPattern) -> tuple[int, int] | None:
    """Where the digits of a section are, with the separators between them."""
    allowed = {"#", "0", decimal_of(fmt)} | _grouping(fmt)
    positions = [i for i, sign in enumerate(section) if sign in "#0"]
    if not positions:
        return None
    start, end = positions[0], positions[0] + 1
    if start and section[start - 1] == decimal_of(fmt):
        start -= 1  # .00
    while end < len(section) and section[end] in allowed:
        end += 1
    while end > start and section[end - 1] not in "#0":
        end -= 1
    return start, end


def decimal_of(fmt: NumberPattern) -> str:
    """The decimal separator.

    Where the engine does not tell, it is the separator that ends no group of three.
    """
    if fmt.decimal_separator:
        return fmt.decimal_separator
    found = re.search(r"[#0]([.,])(?:[#0]*)(?![#0.,])", fmt.pattern.partition(";")[0])
    if found is None:
        return "."
    groups = re.search(r"#([.,])##0(?![#0])", fmt.pattern)
    return found[1] if groups is None or groups[1] != found[1] else "." if found[1] == "," else ","


def _grouping(fmt: NumberPattern) -> set[str]:
    thousand = fmt.thousand_separator
    if thousand and thousand in SPACES:
        return set(SPACES)
    if thousand:
        return {thousand}
    # The engine leaves it out where it is the script's own.
    return {"," if decimal_of(fmt) == "." else "."} if re.search(r"#[.,]##0", fmt.pattern) else set()


def _optional(section: str, fmt: NumberPattern) -> bool:
    """Whether decimals of a section are shown only where the number has them."""
    found = _body(section, fmt)
    if found is None:
        return False
    _, dot, fraction = section[slice(*found)].rpartition(decimal_of(fmt))
    return bool(dot) and "#" in fraction


def _shortens(section: str) -> bool:
    """Whether a section writes 1.2M for 1,234,567."""
    return re.search(r"[#0]\s?A\s*$", section) is not None


def _by_itself(number: float) -> bool:
    """Whether Excel shows a number without a format to the last digit before the point, and some after it."""
    most = _GENERAL_WHOLE if float(number).is_integer() else _GENERAL_DECIMAL
    return -most < number < most


def _unadorned(found: Written) -> bool:
    return not (found.prefix.strip("-\u2212 ") or found.suffix.strip()) and found.power == 1.0


def _like(found: Written, number: float) -> str | None:
    """A code that shows just what was written."""
    commas = {1.0: "", 1e3: ",", 1e6: ",,", 1e9: ",,,", 1e12: ",,,,"}.get(found.power)
    percent = found.power == 0.01  # noqa: PLR2004 - a hundredth
    if commas is None and not percent:
        return None
    digits = (
        "#,##0" if found.grouped else "0" * max(1, len(found.whole) if found.whole[0] == "0" else 1)
    ) + ("." + "0" * len(found.fraction) if found.fraction else "")
    shown = _literal(found.prefix, percent=percent) + digits + (commas or "")
    shown += _literal(found.suffix, percent=percent)
    if number < 0:
        shown = f"{digits};{shown}"
    return shown if len(shown) <= _MAX_CODE else None


_BARE: Final = frozenset("()-+ $\u20ac\u00a0")


def _literal(text: str, *, percent: bool = True) -> str:
    """Text around the digits.

    Brackets, signs, currencies and spaces stand for themselves, and so does a percent sign if it is to
    multiply by a hundred. The rest is quoted.
    """
    out, quoted = [], ""
    for sign in text:
        if sign in _BARE or (sign == "%" and percent):
            if quoted:
                out.append(f'"{quoted}"')
                quoted = ""
            out.append(sign)
        elif sign == '"':
            quoted += "\u201d"  # nothing can escape it inside of quotation marks
        elif sign.isprintable():
            quoted += sign
    if quoted:
        out.append(f'"{quoted}"')
    return "".join(out)
