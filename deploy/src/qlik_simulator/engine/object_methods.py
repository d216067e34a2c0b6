"""Methods of GenericObject: layouts, properties, children, selection mode."""

import copy
import json
from typing import Any, Final

from qlik_simulator.apps.app import GenericObject
from qlik_simulator.domain.errors import Code, QixError
from qlik_simulator.engine.calls import NO_OBJECT, Call, Method, Work, method
from qlik_simulator.engine.data_methods import DATA_METHODS
from qlik_simulator.engine.doc_methods import object_handle

Json = dict[str, Any]


def get_layout(call: Call) -> Work:
    """The layout of the object."""
    found, layouts = call.object, call.layouts()
    return lambda: {"qLayout": layouts.layout(found)}


def get_properties(call: Call) -> Json:
    """The properties as they were set."""
    return {"qProp": copy.deepcopy(call.object.properties)}


def get_effective_properties(call: Call) -> Json:
    """The properties with soft patches and with those of the object it extends."""
    return {"qProp": copy.deepcopy(call.layouts().properties(call.object))}


def get_full_property_tree(call: Call) -> Json:
    """The properties with those of all children."""
    return {"qPropEntry": _tree(call, call.object)}


def _tree(call: Call, found: GenericObject) -> Json:
    children = [call.document.object(child) for child in found.children]
    return {
        "qProperty": copy.deepcopy(found.properties),
        "qChildren": [_tree(call, child) for child in children if child is not None],
    }


def set_properties(call: Call) -> Json:
    """Replace the properties."""
    properties = copy.deepcopy(call.structure("qProp"))
    properties["qInfo"] = dict(call.object.properties["qInfo"])
    call.object.properties = properties
    call.object.soft_patched = None
    call.changed()
    return {}


def apply_patches(call: Call) -> Json:
    """Patch the properties, for good or softly."""
    found = call.object
    soft = call.flag("qSoftPatch")
    patched = copy.deepcopy(found.effective if soft else found.properties)
    for patch in call.items("qPatches"):
        _patch(patched, patch)
    if soft:
        found.soft_patched = patched
    else:
        found.properties = patched
    call.changed()
    return {}


def clear_soft_patches(call: Call) -> Json:
    """Take soft patches away."""
    call.object.soft_patched = None
    call.changed()
    return {}


def _patch(properties: Json, patch: Any) -> None:
    if not isinstance(patch, dict):
        raise QixError(Code.INVALID_PARAMS, "qPatches has to be a list of patches")
    path = str(patch.get("qPath", ""))
    operation = {"add": "add", "remove": "remove", "replace": "replace"}.get(
        str(patch.get("qOp", "add")).lower()
    )
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.strip("/").split("/")]
    if operation is None or not path.startswith("/") or not parts[-1]:
        raise QixError(Code.INVALID_PARAMETERS, f"{patch.get('qOp')} {path}")
    holder: Any = properties
    for part in parts[:-1]:
        holder = _inside(holder, part, path)
    try:
        value = None if operation == "remove" else json.loads(str(patch.get("qValue", "null")))
    except ValueError as error:
        raise QixError(Code.INVALID_PARAMETERS, f"qValue of {path} is not JSON") from error
    _put(holder, parts[-1], operation, value, path)


def _inside(holder: Any, part: str, path: str) -> Any:
    if isinstance(holder, dict) and part in holder:
        return holder[part]
    if isinstance(holder, list) and part.isdigit() and int(part) < len(holder):
        return holder[int(part)]
    raise QixError(Code.INVALID_PATH, path)


def _put(holder: Any, name: str, operation: str, value: Any, path: str) -> None:
    if isinstance(holder, dict):
        if operation == "remove":
            holder.pop(name, None)
        else:
            holder[name] = value
        return
    if not isinstance(holder, list) or not (name.isdigit() or name == "-"):
        raise QixError(Code.INVALID_PATH, path)
    index = len(holder) if name == "-" else int(name)
    if operation == "add" and index <= len(holder):
        holder.insert(index, value)
    elif operation == "replace" and index < len(holder):
        holder[index] = value
    elif operation == "remove" and index < len(holder):
        del holder[index]
    else:
        raise QixError(Code.INVALID_PATH, path)


def get_child_infos(call: Call) -> Json:
    """Ids and types of the children."""
    children = [call.document.object(child) for child in call.object.children]
    return {"qInfos": [{"qId": child.id, "qType": child.type} for child in children if child is not None]}


def get_child(call: Call) -> Json:
    """A handle for a child; null members when it is none."""
    child_id = call.text("qId")
    found = call.document.object(child_id) if child_id in call.object.children else None
    return {"qReturn": NO_OBJECT if found is None else object_handle(call, found)}


def get_parent(call: Call) -> Json:
    """A handle for the parent; error 2 for an object without one."""
    found = call.document.object(call.object.parent or "")
    if found is None:
        raise QixError(Code.NOT_FOUND, call.object.id)
    return {"qReturn": object_handle(call, found)}


def create_child(call: Call) -> Json:
    """A new object below this one; of the session when this one is."""
    properties = copy.deepcopy(call.structure("qProp"))
    info = properties.setdefault("qInfo", {})
    info.setdefault("qId", call.site.new_id())
    info.setdefault("qType", "")
    made = GenericObject(properties, parent=call.object.id, is_session=call.object.is_session)
    if call.document.object(made.id) is not None:
        raise QixError(Code.ALREADY_EXISTS, made.id)
    home = call.document.session_objects if made.is_session else call.document.app.objects
    home[made.id] = made
    call.object.children.append(made.id)
    call.changed()
    return {"qInfo": dict(info), "qReturn": object_handle(call, made)}


def begin_selections(call: Call) -> Json:
    """Enter selection mode; another object being in it is error 6003."""
    document = call.document
    wanted = frozenset((call.object.id, str(path)) for path in call.items("qPaths"))
    if document.modal and document.modal != wanted:
        raise QixError(Code.MODAL_OBJECT, call.object.id)
    document.modal = wanted
    document.before_modal = dict(document.states)
    call.changed()
    return {}


def end_selections(call: Call) -> Json:
    """Leave selection mode, keeping what was selected or not."""
    document = call.document
    if document.before_modal is not None and not call.flag("qAccept"):
        document.states = {**document.states, **document.before_modal}
    document.modal, document.before_modal = frozenset(), None
    call.changed()
    return {}


METHODS: Final[dict[str, Method]] = {
    "GetLayout": method(get_layout),
    "GetProperties": method(get_properties),
    "GetEffectiveProperties": method(get_effective_properties),
    "GetFullPropertyTree": method(get_full_property_tree),
    "GetInfo": method(lambda call: {"qInfo": dict(call.object.properties["qInfo"])}),
    "SetProperties": method(set_properties, "qProp"),
    "ApplyPatches": method(apply_patches, "qPatches", "qSoftPatch?"),
    "ClearSoftPatches": method(clear_soft_patches),
    "GetChildInfos": method(get_child_infos),
    "GetChild": method(get_child, "qId"),
    "GetParent": method(get_parent),
    "CreateChild": method(create_child, "qProp", "qPropForThis?"),
    "BeginSelections": method(begin_selections, "qPaths"),
    "EndSelections": method(end_selections, "qAccept"),
    "GetLinkedObjects": method(lambda _: {"qItems": []}),
    **DATA_METHODS,
}
