"""The engine's error codes that the simulator can answer with, and their published messages.

Codes and messages are those of the QIX OpenRPC description 12.2528.0 (``components.errors``).
"""

from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """Error codes of the engine, named after ``NxLocalizedErrorCode``."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    RPC_INTERNAL = -32603
    RESPONSE_TOO_LARGE = -32604
    UNKNOWN = -1
    NOT_FOUND = 2
    ALREADY_EXISTS = 3
    INVALID_PATH = 4
    ACCESS_DENIED = 5
    INVALID_PARAMETERS = 8
    EMPTY_PARAMETERS = 9
    ABORTED = 15
    NOT_IMPLEMENTED = 20
    APP_ALREADY_OPEN = 1002
    APP_NOT_FOUND = 1003
    APP_INVALID = 1007
    APP_ALREADY_OPEN_IN_DIFFERENT_MODE = 1009
    RESULT_TOO_LARGE = 6001
    MODAL_OBJECT = 6003
    INVALID_DEF = 7000
    NOT_IN_LIBRARY = 7001
    CALC_TIMEOUT = 7004
    CONDITION_UNFULFILLED = 7005
    PAGES_TOO_LARGE = 7009
    RELOAD_IN_PROGRESS = 11000
    EXPORT_NO_DATA = 13001


MESSAGES: Final[dict[int, str]] = {
    Code.PARSE_ERROR: "JSON parse error",
    Code.INVALID_REQUEST: "Invalid JSON request",
    Code.METHOD_NOT_FOUND: "Method does not exist",
    Code.INVALID_PARAMS: "Invalid method parameter(s)",
    Code.RPC_INTERNAL: "Internal JSON-RPC error",
    Code.RESPONSE_TOO_LARGE: "Response too large",
    Code.UNKNOWN: "Unknown error",
    Code.NOT_FOUND: "Resource not found",
    Code.ALREADY_EXISTS: "Resource already exists",
    Code.INVALID_PATH: "Invalid path",
    Code.ACCESS_DENIED: "Access denied",
    Code.INVALID_PARAMETERS: "Invalid parameters",
    Code.EMPTY_PARAMETERS: "Empty parameters",
    Code.ABORTED: "Request aborted",
    Code.NOT_IMPLEMENTED: "Not implemented",
    Code.APP_ALREADY_OPEN: "App already open",
    Code.APP_NOT_FOUND: "App not found",
    Code.APP_INVALID: "App invalid",
    Code.APP_ALREADY_OPEN_IN_DIFFERENT_MODE: "App already open in different mode",
    Code.RESULT_TOO_LARGE: "Result too large",
    Code.MODAL_OBJECT: "Function not allowed on this object in app modal mode",
    Code.INVALID_DEF: "All expressions disabled",
    Code.NOT_IN_LIBRARY: "Dimension or measure not in library",
    Code.CALC_TIMEOUT: "Calculation timed out",
    Code.CONDITION_UNFULFILLED: "Calculation condition unfulfilled",
    Code.PAGES_TOO_LARGE: "Calculation pages too large",
    Code.RELOAD_IN_PROGRESS: "Reload in progress",
    Code.EXPORT_NO_DATA: "No data",
    # what the simulator answers on command only
    -128: "Internal error",
    6: "Out of memory",
    10: "Internal error",
    16: "Unknown error",
    19: "Memory limit reached",
    21: "Engine Terminated",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
    1000: "App already exists",
    1008: "Failed to connect to app",
    1013: "Unknown error",
    1015: "Static App size exceeded",
    1017: "Unknown error",
    4000: "User access denied",
    5000: "Server out of session and usage cals",
    5001: "File not found",
    5002: "File not found",
    5003: "Server out of cals",
    5004: "Server out of named cals",
    5005: "Server off duty",
    5006: "Server busy",
    5007: "License has expired",
    5009: "No user license available for the user of this session",
    6000: "Invalid hypercube object",
    6002: "Invalid hypercube object state",
    7002: "Out of object memory",
    7003: "Too many cells",
    7011: "The object is not in a valid data state",
    7014: "A calculation condition stopped the calculation",
    9003: "Resource not found",
    12004: "User authentication failure",
    13000: "Out of memory",
    15000: "Search timeout",
    20000: "Feature disabled",
}


class QixError(Exception):
    """A request that the engine answers with an error.

    A code of the table and a parameter that names the culprit.
    """

    def __init__(self, code: int, parameter: str = "", message: str | None = None) -> None:
        self.code = code
        self.parameter = parameter
        self.message = MESSAGES.get(code, "Unknown error") if message is None else message
        super().__init__(f"{int(code)} {self.message}: {parameter}")


class ExpressionError(Exception):
    """An expression that has no value: a syntax error, or something the engine itself rejects."""


class UnsupportedError(ExpressionError):
    """A construct that Qlik has and the simulator does not: refused by its name, never guessed."""

    def __init__(self, construct: str) -> None:
        self.construct = construct
        super().__init__(f"{construct} is not supported by this simulator")
