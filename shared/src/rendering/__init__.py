"""Reports from templates: plain data in, bytes out.

``render`` makes a file, ``inspect`` says what a template asks for, ``gate`` refuses hostile files.
"""

from rendering.engine import render
from rendering.file_names import safe_file_name
from rendering.gate import gate
from rendering.inspection import inspect
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
    "safe_file_name",
]
