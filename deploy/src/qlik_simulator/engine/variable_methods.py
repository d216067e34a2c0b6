"""Variables: the methods of Doc that find, make and destroy them, and those of GenericVariable."""

import math
from typing import Any, Final

from qlik_simulator.apps.app import Variable
from qlik_simulator.domain.errors import Code, ExpressionError, QixError
from qlik_simulator.domain.evaluate import scalar
from qlik_simulator.domain.formats import general_text
from qlik_simulator.engine.calls import NO_OBJECT, Call, Method, Target, method

Json = dict[str, Any]


def get_variable_by_name(call: Call) -> Json:
    """A handle for a variable; error 2 when there is none of that name."""
    found = call.document.variable(call.text("qName"))
    if found is None:
        raise QixError(Code.NOT_FOUND, call.text("qName"))
    return {"qReturn": variable_handle(call, found)}


def get_variable_by_id(call: Call) -> Json:
    """A handle for a variable; null members when there is none."""
    found = call.document.variables.get(call.text("qId"))
    return {"qReturn": NO_OBJECT if found is None else variable_handle(call, found)}


def variable_handle(call: Call, found: Variable) -> Json:
    """The interface of a variable."""
    return call.handles.give(Target("GenericVariable", found.id, type="variable"))


def create_session_variable(call: Call) -> Json:
    """A variable of this session only."""
    properties = call.structure("qProp")
    name = str(properties.get("qName") or "")
    if not name:
        raise QixError(Code.EMPTY_PARAMETERS, "qName")
    if call.document.variable(name) is not None:
        raise QixError(Code.ALREADY_EXISTS, name)
    made = Variable(
        id=str((properties.get("qInfo") or {}).get("qId") or call.site.new_id()),
        name=name,
        definition=str(properties.get("qDefinition") or ""),
        comment=str(properties.get("qComment") or ""),
        is_script_created=False,
    )
    call.document.variables[made.id] = made
    call.changed()
    return {"qReturn": variable_handle(call, made)}


def create_variable_ex(call: Call) -> Json:
    """A variable of the app; here it lives as long as the session."""
    reply = create_session_variable(call)
    return {"qInfo": {"qId": reply["qReturn"]["qGenericId"], "qType": "variable"}, **reply}


def destroy_variable(call: Call) -> Json:
    """Take a variable away, by id or by name."""
    found = call.document.variables.get(call.text("qId")) or call.document.variable(call.text("qName"))
    if found is None:
        raise QixError(Code.NOT_FOUND, call.text("qId") or call.text("qName"))
    del call.document.variables[found.id]
    call.handles.release({found.id})
    call.changed()
    return {"qSuccess": True}


def _variable(call: Call) -> Variable:
    found = call.document.variables.get(call.target.id)
    if found is None:
        raise QixError(Code.NOT_FOUND, call.target.id)
    return found


def variable_layout(call: Call) -> Json:
    """Text and number of the variable; a definition that starts with ``=`` is evaluated."""
    found = _variable(call)
    text, number = found.definition, float("nan")
    if text.startswith("="):
        try:
            column = scalar(text, call.document.context(call.now))
            text, number = column.text(0) or "-", float(column.numbers[0])
        except ExpressionError as error:
            text = str(error)
    else:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
    layout: Json = {
        "qInfo": {"qId": found.id, "qType": "variable"},
        "qMeta": {},
        "qText": text,
        "qNum": "NaN" if math.isnan(number) else number,
    }
    if found.is_script_created:
        layout["qIsScriptCreated"] = True
    return {"qLayout": layout}


def variable_properties(call: Call) -> Json:
    """The properties of the variable."""
    found = _variable(call)
    return {
        "qProp": {
            "qInfo": {"qId": found.id, "qType": "variable"},
            "qMetaDef": {},
            "qName": found.name,
            "qComment": found.comment,
            "qNumberPresentation": {},
            "qIncludeInBookmark": False,
            "qDefinition": found.definition,
        }
    }


def set_properties(call: Call) -> Json:
    """Change definition and comment."""
    properties = call.structure("qProp")
    found = _variable(call)
    found.comment = str(properties.get("qComment", found.comment))
    return _set(call, str(properties.get("qDefinition", found.definition)))


def _set(call: Call, definition: str) -> Json:
    found = _variable(call)
    if found.definition != definition:
        found.definition = definition
        call.changed()
    return {}


DOC_VARIABLE_METHODS: Final[dict[str, Method]] = {
    "GetVariableByName": method(get_variable_by_name, "qName"),
    "GetVariableById": method(get_variable_by_id, "qId"),
    "CreateSessionVariable": method(create_session_variable, "qProp"),
    "CreateVariableEx": method(create_variable_ex, "qProp"),
    "DestroySessionVariableById": method(destroy_variable, "qId"),
    "DestroySessionVariableByName": method(destroy_variable, "qName"),
    "DestroyVariableById": method(destroy_variable, "qId"),
    "DestroyVariableByName": method(destroy_variable, "qName"),
}
VARIABLE_METHODS: Final[dict[str, Method]] = {
    "GetLayout": method(variable_layout),
    "GetProperties": method(variable_properties),
    "SetProperties": method(set_properties, "qProp"),
    "GetInfo": method(lambda call: {"qInfo": {"qId": _variable(call).id, "qType": "variable"}}),
    "GetRawContent": method(lambda call: {"qReturn": _variable(call).definition}),
    "SetStringValue": method(lambda call: _set(call, call.text("qVal")), "qVal"),
    "SetNumValue": method(lambda call: _set(call, general_text(call.number("qVal"))), "qVal"),
    "SetDualValue": method(lambda call: _set(call, call.text("qText")), "qText", "qNum"),
}
