"""Qlik Sense from Python: a session of its own per job, filters that prove themselves, tables as they are."""

from qlik.client import QlikClient
from qlik.errors import (
    Aborted,
    CalculationFailed,
    ConfigurationError,
    LimitReached,
    PermissionDenied,
    ProtocolError,
    QlikError,
    SelectionNotProved,
    SiteBusy,
    Transient,
)
from qlik.formats import moment
from qlik.gate import LocalBreaker, LocalGate, SiteBreaker, SiteGate
from qlik.lists import FieldInfo, MasterItem, SheetInfo
from qlik.model import (
    AppInfo,
    AppLayout,
    Cell,
    Column,
    Dimension,
    Measure,
    ProvedSelection,
    QlikNumberFormat,
    Row,
    RowPage,
    Selection,
    Sort,
    Table,
    Value,
)
from qlik.objects import ObjectInfo
from qlik.pivot import Header, Pivot
from qlik.reloads import ReloadSeen
from qlik.session import AppSession
from qlik.site import (
    ApiKeyAuth,
    CertificateAuth,
    Impersonation,
    JwtAuth,
    Limits,
    OAuthM2MAuth,
    QlikSite,
    TicketAuth,
)

__all__ = [
    "Aborted",
    "ApiKeyAuth",
    "AppInfo",
    "AppLayout",
    "AppSession",
    "CalculationFailed",
    "Cell",
    "CertificateAuth",
    "Column",
    "ConfigurationError",
    "Dimension",
    "FieldInfo",
    "Header",
    "Impersonation",
    "JwtAuth",
    "LimitReached",
    "Limits",
    "LocalBreaker",
    "LocalGate",
    "MasterItem",
    "Measure",
    "OAuthM2MAuth",
    "ObjectInfo",
    "PermissionDenied",
    "Pivot",
    "ProtocolError",
    "ProvedSelection",
    "QlikClient",
    "QlikError",
    "QlikNumberFormat",
    "QlikSite",
    "ReloadSeen",
    "Row",
    "RowPage",
    "Selection",
    "SelectionNotProved",
    "SheetInfo",
    "SiteBreaker",
    "SiteBusy",
    "SiteGate",
    "Sort",
    "Table",
    "TicketAuth",
    "Transient",
    "Value",
    "moment",
]
