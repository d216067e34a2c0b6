"""Reports from templates: plain data in, bytes out.

``render`` makes a file, ``inspect`` says what a template asks for, ``gate`` refuses hostile files. They are
loaded when they are first asked for: a service that needs a small part of this package, such as
``rendering.mail_safe``, needs the libraries of that part only.
"""

from typing import TYPE_CHECKING, Any

from rendering.model import (
    Cell,
    ChartSpec,
    ColumnData,
    Formatted,
    Limits,
    Meta,
    OutputFormat,
    Problem,
    RenderData,
    Rendered,
    RenderOptions,
    Scalar,
    Series,
    TableData,
    TemplateError,
    TemplateKind,
    TemplateReport,
)

if TYPE_CHECKING:
    from rendering.engine import render
    from rendering.gating import gate
    from rendering.inspection import inspect

__all__ = [
    "Cell",
    "ChartSpec",
    "ColumnData",
    "Formatted",
    "Limits",
    "Meta",
    "OutputFormat",
    "Problem",
    "RenderData",
    "RenderOptions",
    "Rendered",
    "Scalar",
    "Series",
    "TableData",
    "TemplateError",
    "TemplateKind",
    "TemplateReport",
    "gate",
    "inspect",
    "render",
]


def __getattr__(name: str) -> Any:
    if name == "render":
        from rendering.engine import render  # noqa: PLC0415 - brings the libraries of all renderers

        return render
    if name == "inspect":
        from rendering.inspection import inspect  # noqa: PLC0415 - likewise

        return inspect
    if name == "gate":
        from rendering.gating import gate  # noqa: PLC0415 - likewise

        return gate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
