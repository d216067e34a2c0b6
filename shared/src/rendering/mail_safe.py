"""A finished page made fit for mail: styles inside the elements, nothing that runs, nothing fetched.

Mail programs drop style sheets, scripts and pictures from elsewhere; a page that has none of them looks the
same everywhere. What is kept is listed, never what is dropped.
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
_SCHEMES = {"http", "https", "mailto", "tel", "data"}
_LOUD = re.compile(
    r"<\s*(script|iframe|object|embed|form|svg|math|link|base)\b|\s(on[a-z]+)\s*=", re.IGNORECASE
)
_STYLE = re.compile(r"<style\b[^>]*>(.*?)</style\s*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title\s*>", re.IGNORECASE | re.DOTALL)
_LANGUAGE = re.compile(r"<html\b[^>]*\slang\s*=\s*[\"']?([A-Za-z0-9-]{2,20})", re.IGNORECASE)
_BODY = re.compile(r"<body\b[^>]*?\sstyle\s*=\s*\"([^\"]*)\"", re.IGNORECASE)
_WHOLE = re.compile(r"<(?:!doctype|html|head|body)\b", re.IGNORECASE)
_FETCHING = {"url", "src", "image", "image-set", "-webkit-image-set", "cross-fade", "-moz-element", "element"}


def mail_safe(page: str) -> tuple[str, list[str]]:
    """The page as mail takes it, and what was taken out of it. A page without ``<html>`` stays a fragment."""
    warnings = [f"taken out of the page: {word}" for word in _loud(page)]
    whole = _WHOLE.search(page) is not None
    inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
    try:
        inlined = inliner.inline(page) if whole else inliner.inline_fragment(page, "")
    except css_inline.InlineError as error:
        raise TemplateError(
            "template", f"its styles cannot be read ({error})"[:200], "Check the CSS"
        ) from error
    cleaner = _cleaner(warnings)
    styles = "".join(harmless_css(css, warnings) for css in _STYLE.findall(inlined))
    styles = styles.replace("</", "<\\/")
    sheet = f"<style>{styles}</style>" if styles.strip() else ""
    body = cleaner.clean(inlined).strip()
    warnings = list(dict.fromkeys(warnings))
    if not whole:
        return sheet + body, warnings
    title = _TITLE.search(inlined)
    language = _LANGUAGE.search(inlined)
    own = _BODY.search(inlined)
    css = harmless_css(unescape(own[1]), warnings).strip(" ;") if own else ""
    style = f' style="{escape(css)}"' if css else ""
    return (
        f'<!DOCTYPE html>\n<html lang="{language[1] if language else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(unescape(title[1].strip())) if title else ''}</title>{sheet}</head>\n"
        f"<body{style}>{body}</body></html>\n"
    ), warnings


def _loud(page: str) -> list[str]:
    found = (tag or attribute for tag, attribute in _LOUD.findall(page))
    return sorted({word.lower() for word in found})


def _cleaner(warnings: list[str]) -> nh3.Cleaner:
    attributes = {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()}
    attributes["*"] = attributes.get("*", set()) | _EVERYWHERE
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
    """Styles without anything that fetches: read as a browser reads them, so that no spelling hides it."""
    if "(" not in css and "@" not in css:
        return css  # nothing is fetched without one of them
    return str(tinycss2.serialize(_tokens(tinycss2.parse_component_value_list(css), warnings)))


def _tokens(tokens: list[Any], warnings: list[str]) -> list[Any]:
    result = []
    skipping = False  # an at-rule that fetches, up to its end
    for token in tokens:
        name = str(getattr(token, "lower_name", ""))
        at_rule = token.type == "at-keyword" and str(token.value).lower() in {
            "import",
            "charset",
            "namespace",
        }
        if at_rule:
            warnings.append(f"taken out of the styles: @{token.value}")
        skipping = (skipping or at_rule) and not (token.type == "literal" and token.value == ";")
        fetches = token.type == "url" or (token.type == "function" and name in _FETCHING)
        if skipping or at_rule:
            continue
        if fetches and not _is_data(token):
            warnings.append(f"taken out of the styles: {tinycss2.serialize([token])[:100]}")
            result.extend(tinycss2.parse_component_value_list("none"))
            continue
        for inner in ("content", "arguments"):
            if isinstance(getattr(token, inner, None), list):
                setattr(token, inner, _tokens(getattr(token, inner), warnings))
        result.append(token)
    return result


def _is_data(token: Any) -> bool:
    if token.type == "url":
        return str(token.value).strip().lower().startswith("data:image/")
    inside = [t for t in token.arguments if t.type != "whitespace"]
    return (
        token.lower_name == "url"
        and len(inside) == 1
        and inside[0].type == "string"
        and str(inside[0].value).strip().lower().startswith("data:image/")
    )
