"""How a text is written inside a run: escaped, its line ends as the document has them."""

import re
from collections.abc import Callable
from typing import Any

from lxml import etree

from rendering.opc import local, namespace
from rendering.values import clean

Element = Any
_NAMESPACES = re.compile(r' xmlns(?::\w+)?="[^"]*"')
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SPECIAL = re.compile("[&<>\n\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def shape_of(text: Element) -> Callable[[str], str]:
    """The writer of a text element, by what document it stands in."""
    space = namespace(text)
    prefix = f"{text.prefix}:" if text.prefix else ""
    if "wordprocessingml" in space:
        line_end = f'</{prefix}t><{prefix}br/><{prefix}t xml:space="preserve">'
    elif "/drawingml/" in space and space.endswith("/main}"):
        line_end = f"</{prefix}t></{prefix}{local(text.getparent())}><{prefix}br/>{_opening(text, prefix)}"
    else:
        line_end = " "

    def shape(value: str) -> str:
        if _SPECIAL.search(value) is None:
            return value
        lines = clean(value).replace("\r\n", "\n").replace("\r", "\n").translate(_ESCAPED)
        return lines.replace("\n", line_end)

    return shape


def shaped(shape: Callable[[str], str], texts: list[str]) -> list[str]:
    """Many texts written the same way; where none needs it, they are looked at all at once."""
    return texts if _SPECIAL.search("".join(texts)) is None else list(map(shape, texts))


def _opening(text: Element, prefix: str) -> str:
    """A run up to its text, to go on in after a line break."""
    run = text.getparent()
    written = etree.tostring(run, encoding="unicode", with_tail=False)
    opening, _, rest = written.partition(">")
    own = {f' xmlns:{p}="{uri}"' if p else f' xmlns="{uri}"' for p, uri in run.getparent().nsmap.items()}
    kept = _NAMESPACES.sub(lambda match: "" if match.group() in own else match.group(), opening)
    end = re.search(f"<{prefix}t[ >/]", rest)
    return f"{kept}>{rest[: end.start() if end else 0]}<{prefix}t>"
