"""HTML reports as part of a mail's body.

A report is made from a template that users upload, so what it holds is not trusted: everything that a mail
client might run or fetch on its own is taken out. Most clients do the same, and some do not.
"""

import re

from lxml import etree, html

_DROPPED = (
    "script",
    "iframe",
    "object",
    "embed",
    "applet",
    "form",
    "input",
    "button",
    "link",
    "meta",
    "base",
    "title",
    "noscript",
    "frame",
    "frameset",
)
_ACTIVE_URL = re.compile(r"^\s*(javascript|vbscript|file|data(?!:image/))\s*:", re.IGNORECASE)
_URL_ATTRIBUTES = ("href", "src", "action", "formaction", "background", "xlink:href", "poster", "data")
_HTML_BODY = re.compile(
    r"^\s*<(!doctype|html|body|p|div|table|h[1-6]|ul|ol|span|b|i|strong|em|a|br|img)\b", re.IGNORECASE
)


def is_html(body: str) -> bool:
    """Return whether the body of a mail was written as HTML: it begins with an element."""
    return bool(_HTML_BODY.match(body))


def fragment(document: bytes | str) -> str:
    """Return the style sheets and the body of an HTML document, without anything active.

    A document that cannot be parsed at all gives an empty text.
    """
    text = document.decode("utf-8", errors="replace") if isinstance(document, bytes) else document
    tree = _parsed(text)
    if tree is None:
        return ""
    _clean(tree)
    styles = [html.tostring(style, encoding="unicode", with_tail=False) for style in tree.iter("style")]
    for style in list(tree.iter("style")):
        style.drop_tree()
    body = tree.find("body")
    if body is None:
        return "".join(styles)
    inner = _escaped(body.text) + "".join(html.tostring(child, encoding="unicode") for child in body)
    return "".join(styles) + inner


def plain_text(document: str) -> str:
    """Return what a reader without HTML gets to see: the text, one line a block."""
    tree = _parsed(document)
    if tree is None:
        return ""
    for element in list(tree.iter("style", "script", "head")):
        element.drop_tree()
    for element in tree.iter("br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6"):
        element.tail = "\n" + (element.tail or "")
    lines = [" ".join(line.split()) for line in tree.text_content().splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _parsed(text: str) -> html.HtmlElement | None:
    # Characters no XML can hold would make lxml refuse the whole document.
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", text)
    # An encoding declaration inside a str is refused, too; the text is decoded already.
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    if not text.strip():
        return None
    try:
        return html.document_fromstring(text, parser=html.HTMLParser(encoding=None, remove_comments=True))
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return None


def _clean(tree: html.HtmlElement) -> None:
    for element in list(tree.iter(*_DROPPED)):
        element.drop_tree()
    for element in tree.iter():
        for name in list(element.attrib):
            lowered = str(name).lower()
            active = lowered in _URL_ATTRIBUTES and _ACTIVE_URL.match(_no_space(str(element.attrib[name])))
            if lowered.startswith("on") or lowered == "srcdoc" or active:
                del element.attrib[name]


def _no_space(value: str) -> str:
    # Browsers ignore control characters and white space inside a scheme: "java\tscript:" is one.
    return re.sub(r"[\x00-\x20]", "", value)


def _escaped(text: str | None) -> str:
    return (text or "").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
