"""WeasyPrint, loaded when it is first needed, and kept from reaching anything."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rendering.model import TemplateError


@contextmanager
def font_time(seconds: int) -> Iterator[None]:
    """Fonts in a PDF carry the time they were cut; this is the only way to tell the library which."""
    before = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = str(max(seconds, 0))
    try:
        yield
    finally:
        if before is None:
            del os.environ["SOURCE_DATE_EPOCH"]
        else:
            os.environ["SOURCE_DATE_EPOCH"] = before


def weasyprint_module() -> Any:
    """The library, loaded when the first PDF is made; tells what to install if Pango is missing."""
    try:
        with warnings.catch_warnings():
            # Where HarfBuzz-Subset is missing fonts are cut by fontTools: slower, and the same to look at.
            warnings.filterwarnings("ignore", "HarfBuzz-Subset", DeprecationWarning)
            import weasyprint  # noqa: PLC0415 - needs Pango, which only PDF reports need
    except OSError as error:
        raise TemplateError(
            "PDF", f"the text layout library is missing on this machine ({str(error)[:80]})",
            "Install it: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0",
        ) from error  # fmt: skip
    return weasyprint


def data_only(weasyprint: Any, refused: list[str]) -> Any:
    """A fetcher that knows data addresses only: no network, no files."""

    class DataOnly(weasyprint.urls.URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: Any = None) -> Any:
            if not url.lower().startswith("data:"):
                refused.append(f"not fetched: {url[:100]} (reports take pictures and styles as data only)")
                raise ValueError("reports take pictures and styles as data only")
            return super().fetch(url, headers)

    return DataOnly(allowed_protocols=("data",), allow_redirects=False)
