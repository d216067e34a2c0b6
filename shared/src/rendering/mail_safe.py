"""HTML made fit for mail: styles inside the elements, nothing that runs, nothing fetched.

Reports are made from templates that users upload, and bodies of mails are written by users, so neither is
trusted. Mail programs drop style sheets, scripts and pictures from elsewhere; a page without them looks the
same everywhere. What is kept is listed, never what is dropped: elements and attributes by a sanitiser that
reads HTML as browsers do, functions and rules of styles by a parser of CSS, so no spelling hides anything.

This module is the one place that decides what is safe, for files and for mails. It imports nothing heavy: the
distributor installs the extra `mail` of the shared package alone.
"""

import re
from collections.abc import Callable
from html import escape, unescape
from typing import Any

import css_inline
import nh3
import tinycss2  # type: ignore[import-untyped]

from rendering.model import TemplateError

_GONE = {
    "script",
    "style",
    "title",
    "iframe",
    "object",
    "embed",
    "noscript",
    "textarea",
    "select",
    "svg",
    "math",
}
_TAGS = {"font", "tfoot", "colgroup", "col", "caption", "section", "main", "header", "footer", "article",
         "figure", "figcaption"}  # fmt: skip
_EVERYWHERE = {
    "style",
    "class",
    "id",
    "align",
    "valign",
    "bgcolor",
    "width",
    "height",
    "dir",
    "lang",
    "title",
}
_TABLE = {"border", "cellpadding", "cellspacing"}
_BLOCK_END = re.compile(
    r"<br\b[^>]*>|</(?:p|div|tr|li|h[1-6]|table|ul|ol|section|article)\s*>", re.IGNORECASE
)
_HTML = re.compile(r"\s*<(?:!doctype|!--|[a-z][a-z0-9-]*[\s>/])", re.IGNORECASE)
_SCHEMES = {"http", "https", "mailto", "tel", "data"}
_LOUD = re.compile(
    r"<\s*(script|iframe|object|embed|form|svg|math|link|base)\b|\s(on[a-z]+)\s*=", re.IGNORECASE
)
_STYLE = re.compile(r"<style\b[^>]*>(.*?)</style\s*>", re.IGNORECASE | re.DOTALL)
_ELEMENT = re.compile(r"<[a-z!/?]", re.IGNORECASE)
_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title\s*>", re.IGNORECASE | re.DOTALL)
_LANGUAGE = re.compile(r"<html\b[^>]*\slang\s*=\s*[\"']?([A-Za-z0-9-]{2,20})", re.IGNORECASE)
_BODY = re.compile(r"<body\b[^>]*?\sstyle\s*=\s*\"([^\"]*)\"", re.IGNORECASE)
_WHOLE = re.compile(r"<(?:!doctype|html|head|body)\b", re.IGNORECASE)
_ROUNDS = 5
_RULES = {"media", "supports", "font-face", "keyframes", "page", "container", "layer"}
_PREFIX = re.compile(r"^-(?:webkit|moz|ms|o)-")
_FUNCTIONS = frozenset(
    {
        "rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "color", "color-mix",
        "light-dark", "calc", "min", "max", "clamp", "round", "mod", "rem", "abs", "sign", "var", "env",
        "linear-gradient", "radial-gradient", "conic-gradient", "repeating-linear-gradient",
        "repeating-radial-gradient", "repeating-conic-gradient", "translate", "translatex",
        "translatey", "translatez", "translate3d", "rotate", "rotatex", "rotatey", "rotatez",
        "rotate3d", "scale", "scalex", "scaley", "scalez", "scale3d", "skew", "skewx", "skewy",
        "matrix", "matrix3d", "perspective", "cubic-bezier", "steps", "linear", "minmax", "repeat",
        "fit-content", "counter", "counters", "symbols", "rect", "inset", "circle", "ellipse",
        "polygon", "blur", "brightness", "contrast", "drop-shadow", "grayscale", "hue-rotate", "invert",
        "opacity", "saturate", "sepia", "format", "not", "is", "where", "has", "lang", "dir",
        "nth-child", "nth-last-child", "nth-of-type", "nth-last-of-type", "host", "slotted",
    }
)  # fmt: skip
"""Functions of styles and selectors that compute something from what they are given, and fetch nothing."""


def mail_safe(page: str) -> tuple[str, list[str]]:
    """The page as mail takes it, and what was taken out of it. A page without ``<html>`` stays a fragment.

    Raises TemplateError for styles that cannot be read.
    """
    warnings = [f"taken out of the page: {word}" for word in _loud(page)]
    whole = _WHOLE.search(page) is not None
    try:
        inlined = _inlined(page, whole=whole, keep_sheets=False)
    except css_inline.InlineError as error:
        raise TemplateError(
            "template", f"its styles cannot be read ({error})"[:200], "Check the CSS"
        ) from error
    sheet, body = _parts(inlined, warnings)
    if not whole:
        return sheet + body, list(dict.fromkeys(warnings))
    title = _TITLE.search(inlined)
    language = _LANGUAGE.search(inlined)
    css = _body_style(inlined, warnings)
    style = f' style="{escape(css)}"' if css else ""
    return (
        f'<!DOCTYPE html>\n<html lang="{language[1] if language else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(unescape(title[1].strip())) if title else ''}</title>{sheet}</head>\n"
        f"<body{style}>{body}</body></html>\n"
    ), list(dict.fromkeys(warnings))


def mail_fragment(page: str) -> str:
    """A page or fragment as a part of a mail's body, made safe as `mail_safe` does it.

    Never raises: styles that cannot be inlined stay in their sheet.
    """
    whole = _WHOLE.search(page) is not None
    try:
        inlined = _inlined(page, whole=whole, keep_sheets=True)
    except css_inline.InlineError:
        inlined = page
    sheet, body = _parts(inlined, [])
    css = _body_style(inlined, []) if whole else ""
    return sheet + (f'<div style="{escape(css)}">{body}</div>' if css else body)


def plain_text(page: str) -> str:
    """What a reader without HTML gets to see: the text, one line for a block."""
    text = unescape(_NOTHING_BUT_TEXT.clean(_BLOCK_END.sub(lambda found: f"{found[0]}\n", page)))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def is_html(body: str) -> bool:
    """Whether the body of a mail was written as HTML: it begins with an element."""
    return _HTML.match(body) is not None


def _inlined(page: str, *, whole: bool, keep_sheets: bool) -> str:
    inliner = css_inline.CSSInliner(
        keep_at_rules=True, keep_style_tags=keep_sheets, load_remote_stylesheets=False
    )
    return inliner.inline(page) if whole else inliner.inline_fragment(page, "")


def _parts(page: str, warnings: list[str]) -> tuple[str, str]:
    """The style sheets of a page as one, and its body."""
    # One text, as it will be read: a string left open in one sheet could swallow the beginning of the next.
    sheets = [css for css in _STYLE.findall(page) if not _ELEMENT.search(css)]
    styles = harmless_css("\n".join(sheets), warnings)
    sheet = f"<style>{styles}</style>" if styles.strip() else ""
    return sheet, _cleaner(warnings).clean(page).strip()


def _body_style(page: str, warnings: list[str]) -> str:
    own = _BODY.search(page)
    return harmless_css(unescape(own[1]), warnings).strip(" ;") if own else ""


def _loud(page: str) -> list[str]:
    found = (tag or attribute for tag, attribute in _LOUD.findall(page))
    return sorted({word.lower() for word in found})


def _cleaner(warnings: list[str]) -> nh3.Cleaner:
    attributes = {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()}
    attributes["*"] = attributes.get("*", set()) | _EVERYWHERE
    attributes["a"] = attributes["a"] | {"name"}
    attributes["table"] = attributes.get("table", set()) | _TABLE
    return nh3.Cleaner(
        tags=nh3.ALLOWED_TAGS | _TAGS,
        clean_content_tags=_GONE,
        attributes=attributes,
        attribute_filter=_kept(warnings),
        url_schemes=_SCHEMES,
        url_relative="pass_through",
    )


def _kept(warnings: list[str]) -> Callable[[str, str, str], str | None]:
    """Links may lead to the web; pictures have to be in the page."""

    def kept(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "style":
            return harmless_css(value, warnings)
        address = value.strip().lower()
        if attribute in {"src", "background", "poster", "srcset", "cite", "longdesc"}:
            if tag == "img" and attribute == "src" and address.startswith("data:image/"):
                return value
            warnings.append(f"not in the page: {value[:100]} (embed pictures as data)")
            return None
        if attribute == "href" and not address.startswith(("http:", "https:", "mailto:", "tel:", "#")):
            return None
        return value

    return kept


def harmless_css(css: str, warnings: list[str]) -> str:
    """Styles without anything that fetches or runs: read as a browser reads them."""
    for _ in range(_ROUNDS):
        if "(" not in css and "@" not in css:  # nothing is fetched without one of them
            break
        before = css
        css = str(tinycss2.serialize(_tokens(tinycss2.parse_component_value_list(css), warnings)))
        if css == before:
            break
    else:
        return ""  # it reads differently each time it is written, so nobody knows how a mail program reads it
    # Styles have no use for elements: whatever has one is trying to end early.
    return "" if _ELEMENT.search(css) else css


def _tokens(tokens: list[Any], warnings: list[str]) -> list[Any]:
    result = []
    skipping = False  # a rule that is not kept, up to its end
    for token in tokens:
        if token.type == "at-keyword" and not skipping:
            skipping = _PREFIX.sub("", str(token.value).lower()) not in _RULES
            if skipping:
                warnings.append(f"taken out of the styles: @{token.value}")
        if skipping:
            skipping = token.type != "{} block" and not (token.type == "literal" and token.value == ";")
            continue
        if token.type in {"error", "comment"}:
            continue
        if not _is_harmless(token):
            warnings.append(f"taken out of the styles: {tinycss2.serialize([token])[:100]}")
            result.extend(tinycss2.parse_component_value_list("none"))
            continue
        for inner in ("content", "arguments"):
            if isinstance(getattr(token, inner, None), list):
                setattr(token, inner, _tokens(getattr(token, inner), warnings))
        result.append(token)
    return result


def _is_harmless(token: Any) -> bool:
    if token.type == "url":
        return str(token.value).strip().lower().startswith("data:image/")
    if token.type != "function":
        return True
    if token.lower_name != "url":
        return _PREFIX.sub("", str(token.lower_name)) in _FUNCTIONS
    inside = [t for t in token.arguments if t.type != "whitespace"]
    return (
        len(inside) == 1
        and inside[0].type == "string"
        and str(inside[0].value).strip().lower().startswith("data:image/")
    )


_NOTHING_BUT_TEXT = nh3.Cleaner(tags=set(), clean_content_tags=_GONE, attributes={})
