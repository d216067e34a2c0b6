"""What Excel displays for a number under a format code: a stand-in for where Node and `ssf` are not at hand.

It knows the codes that `qlik.excel` makes, and no others.
"""

import re
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

_PART = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|(?P<elapsed>\[h+\]|\[m+\]|\[s+\])|(?P<half>AM/PM)'
    r"|(?P<fraction>\.0+)|(?P<unit>y+|m+|d+|h+|s+)|(?P<other>.)",
    re.IGNORECASE,
)


def display(code: str, value: float) -> str:
    """The text in the cell."""
    if code == "General":
        return _general(value)
    bare = re.sub(r'"[^"]*"|\\.', "", code)
    if re.search(r"[ymdhs]", bare.replace("AM/PM", "h")):
        return _time(code, value)
    sections = re.findall(r'(?:"[^"]*"|[^;"])+', code)
    if value == 0 and len(sections) > 2:
        return _number(sections[2], 0)
    if value < 0:
        return _number(sections[1], -value) if len(sections) > 1 else "-" + _number(sections[0], -value)
    return _number(sections[0], value)


def _general(value: float) -> str:
    if float(value).is_integer() and abs(value) < 1e11:
        return str(int(value))
    if abs(value) >= 1e11 or abs(value) < 1e-4:
        mantissa, exponent = f"{value:.5e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}E{exponent}"
    whole = len(str(int(abs(value))))
    text = f"{value:.{max(0, 10 - whole)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(section: str, value: float) -> str:
    parts = re.findall(r'"[^"]*"|\\.|E\+0+|[#0,.]+|.', section)
    percent = sum(part == "%" for part in parts)
    bodies = [i for i, part in enumerate(parts) if re.fullmatch(r"[#0,.]+", part)]
    amount = Decimal(repr(value)) * 100**percent
    if len(bodies) > 1:  # 0000-0000: literals between the digits
        digits = str(amount.quantize(Decimal(1))).rjust(sum(len(parts[i]) for i in bodies), "0")
        for i in reversed(bodies[1:]):
            digits, parts[i] = digits[: -len(parts[i])], digits[-len(parts[i]) :]
        parts[bodies[0]] = digits
        return "".join(_literal(part) for part in parts)
    for i in bodies:
        exponent = parts[i + 1] if i + 1 < len(parts) and parts[i + 1].startswith("E+") else ""
        if exponent:
            decimals = parts[i].partition(".")[2].count("0")
            mantissa, power = f"{float(amount):.{decimals}e}".split("e")
            parts[i], parts[i + 1] = mantissa, "E" + power[0] + power[1:].zfill(len(exponent) - 2)
        else:
            parts[i] = _digits(parts[i], amount)
    return "".join(_literal(part) for part in parts)


def _literal(part: str) -> str:
    return part[1:-1] if part.startswith('"') else part.removeprefix("\\")


def _digits(code: str, amount: Decimal) -> str:
    shorter = len(code) - len(code.rstrip(","))
    amount /= Decimal(1000) ** shorter
    whole_code, dot, fraction_code = code.rstrip(",").partition(".")
    text = str(amount.quantize(Decimal(1).scaleb(-len(fraction_code)), ROUND_HALF_UP))
    whole, _, fraction = text.partition(".")
    least = fraction_code.count("0")
    while len(fraction) > least and fraction.endswith("0"):
        fraction = fraction[:-1]
    whole = whole.lstrip("0").rjust(whole_code.count("0"), "0")
    if "," in whole_code:
        whole = re.sub(r"(?<=\d)(?=(\d{3})+$)", ",", whole)
    return whole + ("." if dot else "") + fraction


def _time(code: str, value: float) -> str:
    if value < 0:
        return "#" * 8
    moment = datetime(1899, 12, 30) + timedelta(milliseconds=round(value * 86_400_000))
    out, minutes = [], False
    units = list(_PART.finditer(code))
    for place, match in enumerate(units):
        unit = (match["unit"] or "").lower()
        later = (
            next((each["unit"] or each["elapsed"] for each in units[place + 1 :] if each["unit"]), "") or ""
        )
        if match["quoted"] is not None or match["escaped"] is not None:
            out.append(match["quoted"] or match["escaped"] or "")
        elif match["elapsed"]:
            total = value * {"h": 24, "m": 1440, "s": 86400}[match["elapsed"][1].lower()]
            out.append(str(int(total + 1e-6)).rjust(len(match["elapsed"]) - 2, "0"))
            minutes = match["elapsed"][1].lower() == "h"
        elif match["half"]:
            out.append("AM" if moment.hour < 12 else "PM")
        elif match["fraction"]:
            out.append(f".{moment.microsecond // 1000:03d}"[: len(match["fraction"])])
        elif unit:
            is_minute = unit[0] == "m" and (minutes or later.lower().startswith("s"))
            if unit in {"d", "dd"} and value < 61:
                out.append(str(int(value)).rjust(len(unit), "0"))
                continue
            out.append(_unit("n" * len(unit) if is_minute else unit, moment, half="AM/PM" in code))
            minutes = unit[0] == "h"
        else:
            out.append(match["other"])
    return "".join(out)


def _unit(unit: str, moment: datetime, *, half: bool) -> str:
    length = len(unit)
    names = {"m": ("%b", "%B"), "d": ("%a", "%A")}
    if unit[0] in names and length > 2:
        return moment.strftime(names[unit[0]][length > 3])
    number = {
        "y": moment.year if length > 2 else moment.year % 100,
        "m": moment.month,
        "d": moment.day,
        "h": (moment.hour - 1) % 12 + 1 if half else moment.hour,
        "n": moment.minute,
        "s": moment.second,
    }[unit[0]]
    return str(number).rjust(min(length, 4), "0")
