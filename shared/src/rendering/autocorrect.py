"""Read a tag as it was meant where an editor changed the characters that were typed.

Word, PowerPoint, mail programs and web forms turn straight quotes into typographic ones, hyphens into dashes
and spaces into spaces that do not break; input methods for Chinese and Japanese write wide punctuation. None
of these characters means anything in a tag, so each is read as the plain one. Texts in quotes stay as they
are: only the quotes around them change. Plain characters are never touched.
"""

import re
from html import unescape

MAX_TAG = 2_000
"""Characters of the longest tag, its braces included."""

_INVISIBLE = "\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
OPENING = re.compile(rf"[{{\uff5b][{_INVISIBLE}]*[{{%#\uff5b\uff05\uff03]")
"""Where a tag begins: ``{{``, ``{%`` or ``{#``, also in wide characters."""
_CLOSING = re.compile(rf"[}}%\uff5d\uff05][{_INVISIBLE}]*[}}\uff5d]")
_END_OF_COMMENT = re.compile(rf"[#\uff03][{_INVISIBLE}]*[}}\uff5d]")
_WIDE_BRACE = "\uff5b".encode()

_DOUBLE = '"\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\uff02\u301d\u301e\u301f'
_SINGLE = "'\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a\uff07\u00b4"
_GUILLEMETS = "\u00ab\u00bb\u2039\u203a"
_PLAIN = {
    **dict.fromkeys("\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))), " "),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-"),
    # The wide forms of ASCII punctuation; wide letters and digits may be part of a name.
    **{chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F) if not chr(code).isalnum()},
    "\u2026": "...",
    "\u2260": "!=",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u21d0": "<=",
}
_SEEN_NOWHERE = re.compile(f"[{_INVISIBLE}]")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
_STRAIGHT = re.compile(r"\"[^\"]*\"|'[^']*'")


def may_hold_tags(content: bytes) -> bool:
    """Whether a part of a document has a brace that could begin a tag."""
    return b"{" in content or _WIDE_BRACE in content


def holds_opening(content: bytes) -> bool:
    """Whether a part of a document has a tag that begins in one piece, not cut into runs."""
    return b"{{" in content or b"{%" in content or _WIDE_BRACE in content


def kind_of(opening: str) -> str:
    """Return the plain second character of an opening: ``{``, ``%`` or ``#``."""
    return _PLAIN.get(opening[-1], opening[-1])


def closing_of(tag: str) -> str:
    """Return the last two characters of a tag, plain, such as ``}}``."""
    seen = _SEEN_NOWHERE.sub("", tag)
    return "".join(_PLAIN.get(char, char) for char in seen[-2:])


def end_of_tag(text: str, start: int, opening: re.Match[str]) -> tuple[int, int] | None:
    """Return where the body of a tag ends and where the tag ends; None where it is never closed.

    Braces in a text in quotes, whatever the quotes look like, do not close it.
    """
    if kind_of(opening.group()) == "#":
        found = _END_OF_COMMENT.search(text, opening.end())
        return (found.start(), found.end()) if found else None
    at, limit = opening.end(), min(len(text), start + MAX_TAG)
    while at < limit:
        if text[at] in _DOUBLE or text[at] in _SINGLE:
            closing = _end_of_quote(text, at)
            if closing is None:
                return None
            at = closing + 1
        elif closed := _CLOSING.match(text, at):
            return closed.start(), closed.end()
        else:
            at += 1
    return None


def plain(body: str, *, entities: bool = False) -> str:
    """Return the inside of a tag in plain characters.

    With ``entities``, as in HTML, character references outside texts in quotes are read, too: editors of
    pages write ``&nbsp;``, ``&lt;`` and ``&quot;``.
    """
    if entities and "&" in body:
        body = _without_entities(body)
    if body.isascii():
        return body
    out: list[str] = []
    at = 0
    while at < len(body):
        char = body[at]
        closing = _end_of_quote(body, at) if char in _DOUBLE or char in _SINGLE else None
        if closing is not None:
            out.append(_quoted(body[at : closing + 1]))
            at = closing + 1
            continue
        if char in _DOUBLE or char in _SINGLE:
            out.append('"' if char in _DOUBLE else "'")
        else:
            out.append(_PLAIN.get(char, _SEEN_NOWHERE.sub("", char)))
        at += 1
    return "".join(out)


def _without_entities(body: str) -> str:
    pieces, at = [], 0
    for quoted in _STRAIGHT.finditer(body):
        pieces += [_ENTITY.sub(_character, body[at : quoted.start()]), quoted.group()]
        at = quoted.end()
    return "".join([*pieces, _ENTITY.sub(_character, body[at:])])


def _character(entity: re.Match[str]) -> str:
    found = unescape(entity.group())
    return found if len(found) == 1 else entity.group()


def _quoted(text: str) -> str:
    """Return a text in quotes in straight ones; one that has them already stays as it is."""
    if text[0].isascii() and text[-1] == text[0]:
        return text
    inside = text[1:-1]
    if text[0] in _GUILLEMETS:
        inside = inside.strip("\u00a0\u202f")  # French puts these beside the quotes by itself
    if '"' not in inside:
        return f'"{inside}"'
    return f"'{inside}'" if "'" not in inside else '"' + inside.replace('"', '\\"') + '"'


def _end_of_quote(text: str, at: int) -> int | None:
    """Return where the text in quotes that begins here ends; None if nowhere in reach.

    A text ends at a quote of the same kind (double or single): one that begins straight at the next straight
    one, one that begins typographic at the next typographic one. The other look is taken where the tag would
    end before it, as when only one of two quotes was typed in the editor.
    """
    family = _DOUBLE if text[at] in _DOUBLE else _SINGLE
    straight = text.find(family[0], at + 1, at + MAX_TAG)
    curly = _next_curly(text, at + 1, family[1:])
    first, other = (straight, curly) if text[at] == family[0] else (curly, straight)
    if first < 0 or other < 0:
        found = max(first, other)
        return found if found >= 0 else None
    if other < first and _CLOSING.search(text, other, first):
        return other
    return first


def _next_curly(text: str, at: int, quotes: str) -> int:
    for position in range(at, min(len(text), at + MAX_TAG)):
        if text[position] not in quotes:
            continue
        # The apostrophe of "it's" in a text in single quotes.
        inner = text[position] == "\u2019" and text[position - 1].isalnum()
        if not (inner and text[position + 1 : position + 2].isalnum()):
            return position
    return -1
