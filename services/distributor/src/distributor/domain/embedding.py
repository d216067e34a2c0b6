"""HTML reports and bodies as parts of a mail; what is safe in one is decided by `rendering.mail_safe`."""

from rendering.mail_safe import is_html, mail_fragment, plain_text

__all__ = ["fragment", "is_html", "plain_text"]


def fragment(document: bytes | str) -> str:
    """Return the style sheets and the body of an HTML document, without anything active or fetched."""
    text = document.decode("utf-8", errors="replace") if isinstance(document, bytes) else document
    return mail_fragment(text)
