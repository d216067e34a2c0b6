"""The engine's published error codes: what each one means for a report, and what to do about it. Data only.

All 332 codes of `NxLocalizedErrorCode` (QIX 12.2528.0) are here, and those seen in use beside them. A code is
`transient` if the same report may succeed later, `denied` if somebody lacks a right or licence, `wrong` if
something named in a report, an app or the site's settings is wrong, `calculation` if a chart or expression has
no result, `limit` if more was asked for than allowed, `aborted` if what was read is void, and `request` if
Broadsheet asked for what the engine does not do.
"""
# ruff: noqa: E501 - a table is read best with one entry a line

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

Kind = Literal["transient", "denied", "wrong", "calculation", "limit", "aborted", "request"]


class Meaning(NamedTuple):
    """What a code means, and what a person can do; without a remedy the one of its class holds."""

    kind: Kind
    remedy: str = ""


class _Family(NamedTuple):
    """Codes of one part of the engine: what most of them mean, which mean something else, and one remedy."""

    codes: Iterable[int]
    kind: Kind
    remedy: str
    others: Mapping[Kind, Iterable[int]]


_BUG: Final = (
    "Report this to the maintainers of Broadsheet, with the engine's version and the log of the same moment."
)
_SCRIPT: Final = (
    "The load script of the app or one of its data sources failed. Reload the app in Qlik, read the script log, and "
    "correct the script or the data source."
)
_CONNECTION: Final = "Check the data connection that the app uses in Qlik: its name, its credentials, and whether its source is reachable."
_DOWNLOAD: Final = (
    "The engine could not fetch data over the network. Check the address, certificate and credentials of the data "
    "connection in Qlik, and whether its source is reachable from the engine."
)
_EXTENSION: Final = (
    "An analytic connection (server-side extension) did not give a result. Check that the extension engine runs and is "
    "reachable from Qlik, and the expression that calls it."
)
_LICENCE: Final = "The user of this connection has no Qlik licence. Assign one in the management console, or use another user."
_STORAGE: Final = "Check the disk and the storage of the Qlik site. The app itself may have to be repaired or imported again."
_MIGRATION: Final = (
    "The app is of another version than the engine. Open it once in Qlik so that it is migrated."
)
_DIRECT: Final = (
    "The app reads its data by direct query. Check the measures and the database behind it in Qlik."
)
_EXPORT: Final = (
    "The engine could not write the export. Narrow it with filters, and check the disk of the engine."
)
_QUEUE: Final = "A message queue inside of the Qlik site did not answer. Check the services of the site."
_LINKED: Final = (
    "The object or one it is linked to is gone. Open it in Qlik, and link it again or choose another object."
)
_FORMULA: Final = (
    "Open the chart in Qlik with the same filters, and correct its dimensions, measures and sort order."
)
_VARIABLE: Final = (
    "Correct the variable in the app: its name has to be unique and its definition has to be valid."
)
_MEDIA: Final = "Check the media library of the app, and whether the content service of the site runs."

_FAMILIES: Final = (
    _Family(range(1010, 1013), "transient", _MIGRATION, {"wrong": [1012]}),
    _Family([*range(2000, 2006), 2300, 2301], "wrong", _CONNECTION, {"transient": [2002], "limit": [2301]}),
    _Family(range(3000, 3007), "wrong", _SCRIPT, {"denied": [3000]}),
    _Family([5000, 5001, 5002, 5003, 5004, 5007, 5008, 5009], "denied", _LICENCE, {}),
    _Family([7006, 7007, 7008, 7010, 7012, 7013, 25000, 25001], "calculation", _FORMULA, {}),
    _Family(range(8000, 8003), "wrong", _LINKED, {}),
    _Family(range(9000, 9013), "transient", _STORAGE, {"wrong": [9003, 9009]}),
    _Family([9004, 9005, 9007], "wrong", _MIGRATION, {}),
    _Family([10000, *range(11001, 11049)], "wrong", _SCRIPT,
            {"denied": [10000, 11048], "transient": [*range(11033, 11039), *range(11040, 11044)]}),
    _Family(range(16000, 16009), "calculation", _DIRECT, {"transient": [16003], "denied": [16008], "limit": [16001]}),
    _Family([17000, 17001, 30101], "wrong", _SCRIPT, {}),
    _Family(range(18000, 18005), "wrong", _VARIABLE, {}),
    _Family(range(19000, 19005), "wrong", _MEDIA, {"transient": [19000, 19001]}),
    _Family([21000, 21001], "limit", _SCRIPT, {}),
    _Family(range(22000, 22017), "calculation", _EXTENSION,
            {"transient": [22001, 22002, 22004, 22008, 22010, 22013, 22014], "denied": [22007, 22016]}),
    _Family(range(23001, 23018), "wrong", _EXPORT,
            {"transient": range(23006, 23012), "limit": [23013, 23014, 23017], "calculation": [23004]}),
    _Family(range(33000, 33008), "transient", _QUEUE, {}),
    _Family([24000, 24001], "calculation", _DIRECT, {}),
    _Family([700, *range(30000, 30035), 30200, 30201, 30210, 30211, 30212, *range(30220, 30238)], "wrong", _DOWNLOAD,
            {"transient": [700, 30001, 30002, 30004, 30005, 30006, 30007, 30009, 30010, 30011, 30012, 30014, 30015,
                           30021, 30034, 30200, 30211, *range(30220, 30225), 30231, 30237],
             "denied": [30003, 30017, 30031, 30230, 30232]}),
)  # fmt: skip

_SINGLE: Final[dict[int, Meaning]] = {
    -128: Meaning("transient"),
    -1: Meaning("transient"),
    0: Meaning("request", f"The engine reported success as an error. {_BUG}"),
    1: Meaning("request", _BUG),
    2: Meaning("wrong"),
    3: Meaning("wrong"),
    4: Meaning("request", _BUG),
    5: Meaning("denied"),
    6: Meaning("transient", "The engine is out of memory. Wait, or make the report smaller."),
    7: Meaning("transient", "The engine or the app is not ready yet. Wait."),
    8: Meaning("request", _BUG),
    9: Meaning("request", _BUG),
    10: Meaning("transient"),
    11: Meaning("wrong", "The app or one of its files is damaged. Open the app in Qlik; reload or import it again."),
    12: Meaning("transient", "The memory of the engine is inconsistent. Wait; if it lasts, restart the engine service."),
    13: Meaning("transient", "The engine gave the calculation up. Wait."),
    14: Meaning("calculation", _FORMULA),
    15: Meaning("aborted"),
    16: Meaning("transient"),
    17: Meaning("wrong", "The version of this Qlik site does not offer this. Update the site, or leave it out of the report."),
    18: Meaning("transient", "A service behind the engine did not answer. Check the services of the Qlik site."),
    19: Meaning("transient", "The engine has reached its memory limit. Wait, or make the report smaller."),
    20: Meaning("wrong", "This Qlik site does not offer this. Leave it out of the report."),
    21: Meaning("transient", "The engine was ended. Wait until it runs again."),
    402: Meaning("denied", _LICENCE),
    406: Meaning("request", _BUG),
    407: Meaning("denied", "A proxy between the Qlik services asks for a sign-in. Check the site's proxy settings."),
    411: Meaning("request", _BUG),
    413: Meaning("limit"),
    414: Meaning("limit"),
    416: Meaning("request", _BUG),
    417: Meaning("request", _BUG),
    423: Meaning("transient", "Something the engine needs is locked at the moment. Wait."),
    501: Meaning("wrong", "A service of this Qlik site does not offer this. Update the site, or leave it out of the report."),
    505: Meaning("request", _BUG),
    1000: Meaning("wrong"),
    1001: Meaning("wrong", "The name of the app is not valid. Check the app id in the report."),
    1002: Meaning("transient"),
    1003: Meaning("wrong", "The app is not there, or this user does not see it. Check the app id and its stream."),
    1004: Meaning("wrong", _STORAGE),
    1005: Meaning("transient", _STORAGE),
    1006: Meaning("transient", _STORAGE),
    1007: Meaning("request", "No app is open in this session, or it is not valid. Open the app in Qlik to see whether it is."),
    1008: Meaning("transient"),
    1009: Meaning("transient", "The app is open in another mode in this session. Use a session of its own."),
    1013: Meaning("wrong"),
    1014: Meaning("transient", _STORAGE),
    1015: Meaning("wrong", "The app is larger than this user's or site's limit."),
    1016: Meaning("wrong", _DIRECT),
    1017: Meaning("transient"),
    1018: Meaning("transient", "The source of the app's events did not answer in time. Wait."),
    4000: Meaning("denied"),
    4001: Meaning("denied", "The engine could not act as this user. Check the user of the connection and the user directory."),
    5005: Meaning("transient", "The engine is off duty or shutting down. Wait."),
    5006: Meaning("transient", "The engine is busy. Wait."),
    6000: Meaning("wrong"),
    6001: Meaning("limit"),
    6002: Meaning("transient"),
    6003: Meaning("transient", "A selection dialog is open in this session."),
    7000: Meaning("calculation"),
    7001: Meaning("calculation", "A master item the chart uses is gone from the library."),
    7002: Meaning("transient", "The engine ran out of memory for this calculation. Narrow it with filters."),
    7003: Meaning("calculation", "The chart has too many cells. Narrow it with filters."),
    7004: Meaning("transient", "The calculation took longer than the engine allows. Narrow it, or try at a quieter time."),
    7005: Meaning("calculation", "The calculation condition of the chart is not met with these filters."),
    7009: Meaning("request", _BUG),
    7011: Meaning("transient"),
    7014: Meaning("calculation", "The calculation condition of the chart stopped the calculation."),
    9008: Meaning("transient", "The disk of the Qlik site is full. Free some of it."),
    9011: Meaning("transient", "Somebody is saving the app or the object. Wait."),
    9012: Meaning("transient", "The encryption keys of the site are being changed. Wait until that is over."),
    9510: Meaning("request", _BUG),
    9511: Meaning("request", _BUG),
    11000: Meaning("transient", "The app is being reloaded. Wait until that is over."),
    12000: Meaning("wrong", "Qlik Sense Desktop has to be updated. Connect to a Qlik site instead."),
    12001: Meaning("denied", "This version of Qlik Sense Desktop has expired. Connect to a Qlik site instead."),
    12002: Meaning("denied", "Qlik Sense Desktop opens no app with section access. Connect to a Qlik site instead."),
    12003: Meaning("wrong", _STORAGE),
    12004: Meaning("denied", "The sign-in is no longer valid."),
    13000: Meaning("transient", "The export ran out of memory. Narrow it with filters."),
    13001: Meaning("calculation", "There is no data to export with these filters."),
    14000: Meaning("request", _BUG),
    15000: Meaning("transient", "The search took too long."),
    20000: Meaning("wrong", "This feature is switched off on the site."),
    30100: Meaning("limit", "A set expression or a selection has too many values. Narrow the report with other filters."),
    31000: Meaning("limit", "The bookmark holds too much. Make a smaller one, or filter by values."),
    500014: Meaning("transient", "The app did not open within the ten minutes that Qlik Cloud gives it. Wait, or make the app smaller."),
    -32600: Meaning("request", _BUG),
    -32601: Meaning("request", "This version of the engine does not have the call. Update the Qlik site, or report the version."),
    -32602: Meaning("request", _BUG),
    -32603: Meaning("request", "The engine failed while it read the request. Try again; if it lasts, look at the engine's log."),
    -32604: Meaning("limit", "The answer is larger than the engine sends. Ask for fewer rows or columns."),
    -32700: Meaning("request", _BUG),
}  # fmt: skip

UNKNOWN: Final = Meaning(
    "request",
    "Broadsheet does not know this code of the engine. Look it up in the documentation of your Qlik version, and look at "
    "the engine's log for the same moment; please report the code, so that it can be classed.",
)
_BETWEEN: Final = Meaning(
    "transient",
    "The server in front of the engine reported a failure of its own. Wait; if it lasts, look at its log.",
)
_SERVER_ERRORS: Final = range(-32099, -31999)  # JSON-RPC leaves these codes to the server


def _table() -> dict[int, Meaning]:
    found: dict[int, Meaning] = {}
    for family in _FAMILIES:
        found |= {code: Meaning(family.kind, family.remedy) for code in family.codes if code not in found}
        for kind, codes in family.others.items():
            found |= {code: Meaning(kind, family.remedy) for code in codes}
    return found | _SINGLE


_TABLE: Final = _table()


def known(code: int) -> bool:
    """Whether the code is in Qlik's published list, or was seen in use."""
    return code in _TABLE or code in _SERVER_ERRORS


def meaning(code: int) -> Meaning:
    """What a code means; an unknown one says that it is."""
    return _TABLE.get(code) or (_BETWEEN if code in _SERVER_ERRORS else UNKNOWN)
