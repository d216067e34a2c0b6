"""HTML reports as part of a mail's body.

A report is made from a template that users upload, so what it holds is not trusted: everything a mail client
might run or fetch on its own is taken out, by a sanitiser that reads HTML as browsers do. Most clients do the
same, and some do not.
"""

import re
from copy import deepcopy
from html import unescape

import nh3

_HTML_BODY = re.compile(
    r"^\s*<(!doctype|html|body|p|div|table|h[1-6]|ul|ol|span|b|i|strong|em|a|br|img)\b", re.IGNORECASE
)
_STYLE = re.compile(r"<style\b[^>]*>(.*?)</style\s*>", re.IGNORECASE | re.DOTALL)
_BLOCK_END = re.compile(r"<br\b[^>]*>|</(?:p|div|tr|li|h[1-6]|table|ul|ol)\s*>", re.IGNORECASE)
_DROPPED_WITH_CONTENT = {
    "script",
    "style",
    "title",
    "iframe",
    "object",
    "embed",
    "noscript",
    "textarea",
    "svg",
    "math",
}
# Style sheets may fetch by url() and @import; a mail that reports being opened was not asked for.
_FETCHING_CSS = re.compile(r"@import[^;]*;?|url\s*\((?!\s*['\"]?data:image/)[^)]*\)", re.IGNORECASE)


def _attributes() -> dict[str, set[str]]:
    allowed = deepcopy(nh3.ALLOWED_ATTRIBUTES)
    allowed["*"] = {"style", "class", "align", "valign", "bgcolor", "width", "height", "dir", "lang", "title"}
    allowed["table"] |= {"border", "cellpadding", "cellspacing"}
    return allowed


def _kept(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "style":
        return _FETCHING_CSS.sub("none", value)
    # Pictures have to be part of the mail; links may lead to the web, never to data.
    is_data = value.strip().lower().startswith("data:")
    if (tag, attribute) == ("img", "src"):
        return value if value.strip().lower().startswith("data:image/") else None
    return None if is_data else value


_CLEANER = nh3.Cleaner(
    tags=nh3.ALLOWED_TAGS | {"font", "tfoot"},
    clean_content_tags=_DROPPED_WITH_CONTENT,
    attributes=_attributes(),
    attribute_filter=_kept,
    url_schemes={"http", "https", "mailto", "tel", "data"},
    url_relative="deny",
)
_NOTHING_BUT_TEXT = nh3.Cleaner(tags=set(), clean_content_tags=_DROPPED_WITH_CONTENT, attributes={})


def is_html(body: str) -> bool:
    """Return whether the body of a mail was written as HTML: it begins with an element."""
    return bool(_HTML_BODY.match(body))


def fragment(document: bytes | str) -> str:
    """Return the style sheets and the body of an HTML document, without anything active or fetched."""
    text = document.decode("utf-8", errors="replace") if isinstance(document, bytes) else document
    styles = "".join(f"<style>{_FETCHING_CSS.sub('none', css)}</style>" for css in _sheets(text))
    return styles + _CLEANER.clean(text)


def plain_text(document: str) -> str:
    """Return what a reader without HTML gets to see: the text, one line a block."""
    text = unescape(_NOTHING_BUT_TEXT.clean(_BLOCK_END.sub(lambda found: f"{found[0]}\n", document)))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _sheets(text: str) -> list[str]:
    # A style sheet has no use for '<'; whatever has one is trying to end it early.
    return [css for css in _STYLE.findall(text) if "<" not in css]
