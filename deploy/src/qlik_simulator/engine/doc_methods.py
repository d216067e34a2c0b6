"""Methods of Doc: its layout, its objects, selections as a whole."""

import copy
from typing import Any, Final

from qlik_simulator.apps.app import GenericObject, add_tree
from qlik_simulator.domain.errors import Code, QixError
from qlik_simulator.domain.formats import DAYS, LONG_DAYS, LONG_MONTHS, MONTHS
from qlik_simulator.domain.selections import NOTHING, clear_all, lock
from qlik_simulator.engine import lists
from qlik_simulator.engine.bookmarks import BOOKMARK_METHODS
from qlik_simulator.engine.calls import NO_OBJECT, Call, Method, Target, method
from qlik_simulator.engine.expression_methods import EXPRESSION_METHODS
from qlik_simulator.engine.variable_methods import DOC_VARIABLE_METHODS

Json = dict[str, Any]


def get_app_layout(call: Call) -> Json:
    """What the app is and when it was loaded; flags that are false are left out."""
    document = call.document
    layout: Json = {
        "qTitle": document.app.name,
        "qFileName": document.app.id,
        "qLastReloadTime": document.last_reload_time,
        "qHasScript": True,
        "qStateNames": [name for name in document.states if name != "$"],
        "qMeta": {
            "description": document.app.description,
            "published": True,
            "stream": {"name": document.app.stream},
        },
        "qLocaleInfo": locale_info(call.site.now().year),
        "qThumbnail": {},
        "qUnsupportedFeatures": [],
        "qUsage": "ANALYTICS",
    }
    if document.no_data:
        layout["qIsOpenedWithoutData"] = True
    elif document.app.without_data.isdisjoint({call.session.key.user}):
        layout["qHasData"] = True
    if document.is_session_app:
        layout["qIsSessionApp"] = True
    return {"qLayout": layout}


def locale_info(year: int) -> Json:
    """How the app writes numbers and dates."""
    return {
        "qDecimalSep": ".",
        "qThousandSep": ",",
        "qListSep": ",",
        "qMoneyDecimalSep": ".",
        "qMoneyThousandSep": ",",
        "qCurrentYear": year,
        "qMoneyFmt": "$#,##0.00;-$#,##0.00",
        "qTimeFmt": "hh:mm:ss",
        "qDateFmt": "YYYY-MM-DD",
        "qTimestampFmt": "YYYY-MM-DD hh:mm:ss[.fff]",
        "qCalendarStrings": {
            "qDayNames": list(DAYS),
            "qMonthNames": list(MONTHS),
            "qLongDayNames": list(LONG_DAYS),
            "qLongMonthNames": list(LONG_MONTHS),
        },
        "qReferenceDay": 4,
        "qFirstMonthOfYear": 1,
        "qCollation": "en-US",
    }


def get_all_infos(call: Call) -> Json:
    """Ids and types of everything in the app."""
    document = call.document
    infos = [{"qId": found.id, "qType": found.type} for found in document.objects().values()]
    infos += [
        dict(item["qInfo"]) for item in (*document.app.dimensions.values(), *document.app.measures.values())
    ]
    infos += [{"qId": found.id, "qType": "variable"} for found in document.variables.values()]
    infos += [dict(item["qInfo"]) for item in document.app.bookmarks.values()]
    return {"qInfos": infos}


def get_object(call: Call) -> Json:
    """A handle for an object; null members when there is none."""
    found = call.document.object(call.text("qId"))
    return {"qReturn": NO_OBJECT if found is None else object_handle(call, found)}


def object_handle(call: Call, found: GenericObject) -> Json:
    """The interface of an object."""
    return call.handles.give(Target("GenericObject", found.id, type=found.type))


def get_objects(call: Call) -> Json:
    """Layout entries of the objects of some types."""
    options = call.structure("qOptions")
    types = options.get("qTypes") or []
    document = call.document
    found = document.objects() if options.get("qIncludeSessionObjects") else document.app.objects
    return {
        "qList": [
            {
                "qInfo": dict(entry.properties["qInfo"]),
                "qMeta": lists.meta(entry.properties),
                "qData": {},
            }
            for entry in found.values()
            if not types or entry.type in types
        ]
    }


def create_session_object(call: Call) -> Json:
    """An object of this session only."""
    properties = copy.deepcopy(call.structure("qProp"))
    info = properties.setdefault("qInfo", {})
    info.setdefault("qId", call.site.new_id())
    info.setdefault("qType", "")
    made = GenericObject(properties, is_session=True)
    if call.document.object(made.id) is not None:
        raise QixError(Code.ALREADY_EXISTS, made.id)
    call.document.session_objects[made.id] = made
    return {"qReturn": object_handle(call, made)}


def destroy_session_object(call: Call) -> Json:
    """Take a session object away; its handle is closed."""
    object_id = call.text("qId")
    found = call.document.session_objects.pop(object_id, None)
    if found is None:
        raise QixError(Code.NOT_FOUND, object_id)
    call.handles.release({object_id})
    return {"qSuccess": True}


def create_object(call: Call) -> Json:
    """An object of the app, kept until the simulator stops."""
    properties = copy.deepcopy(call.structure("qProp"))
    info = properties.setdefault("qInfo", {})
    info.setdefault("qId", call.site.new_id())
    info.setdefault("qType", "")
    if call.document.object(str(info["qId"])) is not None:
        raise QixError(Code.ALREADY_EXISTS, str(info["qId"]))
    add_tree(call.document.app.objects, {"qProperty": properties})
    made = call.document.app.objects[str(info["qId"])]
    return {"qInfo": dict(made.properties["qInfo"]), "qReturn": object_handle(call, made)}


def destroy_object(call: Call) -> Json:
    """Take an object of the app away, with its children."""
    object_id = call.text("qId")
    if object_id not in call.document.app.objects:
        raise QixError(Code.NOT_FOUND, object_id)
    gone = {object_id}
    waiting = [object_id]
    while waiting:
        found = call.document.app.objects.pop(waiting.pop(), None)
        if found is not None:
            gone |= set(found.children)
            waiting += found.children
    call.handles.release(gone)
    return {"qSuccess": True}


def get_field(call: Call) -> Json:
    """A handle for a field in a state; null members when there is no such field."""
    of = call.document.model.field(call.text("qFieldName"))
    state = call.text("qStateName") or "$"
    if of is None or state not in call.document.states:
        return {"qReturn": NO_OBJECT}
    return {"qReturn": call.handles.give(Target("Field", of.name, state))}


def get_field_description(call: Call) -> Json:
    """What is known about a field."""
    of = call.document.model.field(call.text("qFieldName"))
    if of is None:
        raise QixError(Code.NOT_FOUND, call.text("qFieldName"))
    return {"qReturn": lists.field_description(of)}


def _state(call: Call) -> str:
    state = call.text("qStateName") or "$"
    if state not in call.document.states:
        raise QixError(Code.NOT_FOUND, state)
    return state


def clear_everything(call: Call) -> Json:
    """Clear all selections of a state; locked ones only when asked."""
    state = _state(call)
    after = clear_all(call.document.states[state], locked_also=call.flag("qLockedAlso"))
    if call.document.select(state, after):
        call.changed()
    return {}


def lock_all(call: Call) -> Json:
    """Lock every field with a selection."""
    return _lock_all(call, locked=True)


def unlock_all(call: Call) -> Json:
    """Unlock every field."""
    return _lock_all(call, locked=False)


def _lock_all(call: Call, *, locked: bool) -> Json:
    state = _state(call)
    after = call.document.states[state]
    for name, _ in after.by_field:
        after = lock(after, name, locked=locked).selections
    if call.document.select(state, after):
        call.changed()
    return {}


def step_back(call: Call) -> Json:
    """Undo the latest selection."""
    document = call.document
    if document.back:
        document.forward.append(document.states["$"])
        document.states["$"] = document.back.pop()
        call.changed()
    return {}


def step_forward(call: Call) -> Json:
    """Redo what was undone."""
    document = call.document
    if document.forward:
        document.back.append(document.states["$"])
        document.states["$"] = document.forward.pop()
        call.changed()
    return {}


def add_alternate_state(call: Call) -> Json:
    """A state of its own beside the current selections, empty or as a copy."""
    name = call.text("qStateName")
    document = call.document
    if not name or name in document.states:
        raise QixError(Code.ALREADY_EXISTS if name else Code.EMPTY_PARAMETERS, name)
    document.states[name] = document.states.get(call.text("qSourceStateName"), NOTHING)
    call.changed()
    return {}


def remove_alternate_state(call: Call) -> Json:
    """Take an alternate state away."""
    name = call.text("qStateName")
    if name == "$" or name not in call.document.states:
        raise QixError(Code.NOT_FOUND, name)
    del call.document.states[name]
    call.changed()
    return {"qSuccess": True}


def abort_modal(call: Call) -> Json:
    """End selection mode, keeping what was selected or not."""
    document = call.document
    if document.before_modal is not None and not call.flag("qAccept"):
        document.states = {**document.states, **document.before_modal}
    document.modal, document.before_modal = frozenset(), None
    call.changed()
    return {}


def get_tables_and_keys(call: Call) -> Json:
    """The data model: one table."""
    model = call.document.model
    fields = [
        {
            "qName": of.name,
            "qOriginalFields": [of.name],
            "qPresent": True,
            "qHasNull": of.has_nulls,
            "qnRows": model.rows,
            "qnTotalDistinctValues": of.size,
            "qnPresentDistinctValues": of.size,
            "qKeyType": "NOT_KEY",
            "qTags": list(of.tags),
        }
        for of in model.fields.values()
    ]
    return {"qtr": [{"qName": model.table, "qNoOfRows": model.rows, "qFields": fields, "qPos": {}}], "qk": []}


def get_dimension(call: Call) -> Json:
    """A handle for a master dimension."""
    item_id = call.text("qId")
    known = item_id in call.document.app.dimensions
    target = Target("GenericDimension", item_id, type="dimension")
    return {"qReturn": call.handles.give(target) if known else NO_OBJECT}


def get_measure(call: Call) -> Json:
    """A handle for a master measure."""
    item_id = call.text("qId")
    known = item_id in call.document.app.measures
    return {
        "qReturn": call.handles.give(Target("GenericMeasure", item_id, type="measure"))
        if known
        else NO_OBJECT
    }


def clear_undo_buffer(call: Call) -> Json:
    """Forget what was selected before."""
    call.document.back.clear()
    call.document.forward.clear()
    return {}


def script(call: Call) -> str:
    """A load script that names what the app is made of."""
    model = call.document.model
    return f"// made by the simulator\n[{model.table}]:\nLOAD [{'], ['.join(model.fields)}];\n"


METHODS: Final[dict[str, Method]] = {
    "ClearUndoBuffer": method(clear_undo_buffer),
    "GetScriptEx": method(lambda call: {"qScript": {"qScript": script(call), "qMeta": {}}}),
    "GetAppLayout": method(get_app_layout),
    "GetAppProperties": method(lambda call: {"qProp": {"qTitle": call.document.app.name}}),
    "GetAllInfos": method(get_all_infos),
    "GetObject": method(get_object, "qId"),
    "GetObjects": method(get_objects, "qOptions"),
    "CreateSessionObject": method(create_session_object, "qProp"),
    "DestroySessionObject": method(destroy_session_object, "qId"),
    "CreateObject": method(create_object, "qProp"),
    "DestroyObject": method(destroy_object, "qId"),
    "GetField": method(get_field, "qFieldName", "qStateName?"),
    "GetFieldDescription": method(get_field_description, "qFieldName"),
    "GetDimension": method(get_dimension, "qId"),
    "GetMeasure": method(get_measure, "qId"),
    "ClearAll": method(clear_everything, "qLockedAlso?", "qStateName?"),
    "LockAll": method(lock_all, "qStateName?"),
    "UnlockAll": method(unlock_all, "qStateName?"),
    "Back": method(step_back),
    "Forward": method(step_forward),
    "BackCount": method(lambda call: {"qReturn": len(call.document.back)}),
    "ForwardCount": method(lambda call: {"qReturn": len(call.document.forward)}),
    "AddAlternateState": method(add_alternate_state, "qStateName"),
    "AddSessionAlternateState": method(add_alternate_state, "qStateName", "qSourceStateName?"),
    "RemoveAlternateState": method(remove_alternate_state, "qStateName"),
    "RemoveSessionAlternateState": method(remove_alternate_state, "qStateName"),
    "AbortModal": method(abort_modal, "qAccept"),
    "GetTablesAndKeys": method(
        get_tables_and_keys,
        "qWindowSize",
        "qNullSize",
        "qCellHeight",
        "qSyntheticMode",
        "qIncludeSysVars",
        "qIncludeProfiling?",
    ),
    "GetLocaleInfo": method(lambda call: {"qReturn": locale_info(call.site.now().year)}),
    "Resume": method(lambda _: {}),
    **BOOKMARK_METHODS,
    **EXPRESSION_METHODS,
    **DOC_VARIABLE_METHODS,
}
