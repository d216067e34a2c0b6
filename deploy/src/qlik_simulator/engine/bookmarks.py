"""Bookmarks: saved selections, of the app or of the session."""

import copy
from typing import Any, Final

from qlik_simulator.domain.errors import Code, QixError
from qlik_simulator.domain.search import literal
from qlik_simulator.domain.selections import NOTHING, Selection, Selections
from qlik_simulator.engine.calls import NO_OBJECT, Call, Method, Target, method
from qlik_simulator.engine.document import Document

Json = dict[str, Any]


def stored(document: Document) -> Json:
    """The selections of every state as a bookmark keeps them.

    By field and text, so that a reload does not matter.
    """
    return {
        state: {
            name: [of.texts[code] for code in sorted(chosen.elements)]
            for name, chosen in selections.by_field
            if (of := document.model.field(name)) is not None
        }
        for state, selections in document.states.items()
    }


def restored(document: Document, selections: Json) -> Selections:
    """The selections of one state of a bookmark; what is not in the data any more is left out."""
    found = NOTHING
    for name, texts in selections.items():
        of = document.model.field(name)
        if of is None:
            continue
        elements = frozenset[int]().union(*(literal(of, str(text)) for text in texts))
        if elements:
            found = found.put(of.name, Selection(elements))
    return found


def _bookmark(document: Document, bookmark_id: str) -> Json | None:
    return document.app.bookmarks.get(bookmark_id) or document.temporary_bookmarks.get(bookmark_id)


def apply_to(call: Call, bookmark_id: str) -> bool:
    """Put the selections of a bookmark in place of the current ones; false when there is no such bookmark."""
    document = call.document
    found = _bookmark(document, bookmark_id)
    if found is None:
        return False
    for state in document.states:
        if state in found["selections"] or state == "$":
            document.select(state, restored(document, found["selections"].get(state, {})))
    call.changed()
    return True


def apply_bookmark(call: Call) -> Json:
    """Apply by id."""
    return {"qSuccess": apply_to(call, call.text("qId"))}


def apply_temporary(call: Call) -> Json:
    """Apply a temporary bookmark by id."""
    return {"qReturn": apply_to(call, call.text("qId"))}


def create_bookmark(call: Call) -> Json:
    """Keep the current selections in the app."""
    properties = copy.deepcopy(call.structure("qProp"))
    info = {"qId": call.site.new_id(), **(properties.get("qInfo") or {}), "qType": "bookmark"}
    bookmark = {**properties, "qInfo": info, "selections": stored(call.document)}
    call.document.app.bookmarks[str(info["qId"])] = bookmark
    return {"qInfo": info, "qReturn": _handle(call, str(info["qId"]))}


def create_temporary(call: Call) -> Json:
    """Keep the current selections for this session."""
    bookmark_id = call.site.new_id()
    info = {"qId": bookmark_id, "qType": "temporarybookmark"}
    call.document.temporary_bookmarks[bookmark_id] = {"qInfo": info, "selections": stored(call.document)}
    return {"qId": bookmark_id, "qReturn": True}


def destroy_bookmark(call: Call) -> Json:
    """Take a bookmark of the app away."""
    if call.document.app.bookmarks.pop(call.text("qId"), None) is None:
        raise QixError(Code.NOT_FOUND, call.text("qId"))
    call.handles.release({call.text("qId")})
    return {"qSuccess": True}


def get_bookmark(call: Call) -> Json:
    """A handle for a bookmark; null members when there is none."""
    bookmark_id = call.text("qId")
    known = _bookmark(call.document, bookmark_id) is not None
    return {"qReturn": _handle(call, bookmark_id) if known else NO_OBJECT}


def get_bookmarks(call: Call) -> Json:
    """The bookmarks of the app."""
    data = call.structure("qOptions").get("qData") or {}
    return {
        "qList": [
            {"qInfo": item["qInfo"], "qMeta": dict(item.get("qMetaDef") or {}), "qData": dict.fromkeys(data)}
            for item in call.document.app.bookmarks.values()
        ]
    }


def _handle(call: Call, bookmark_id: str) -> Json:
    return call.handles.give(Target("GenericBookmark", bookmark_id, type="bookmark"))


def _mine(call: Call) -> Json:
    found = _bookmark(call.document, call.target.id)
    if found is None:
        raise QixError(Code.NOT_FOUND, call.target.id)
    return found


def get_layout(call: Call) -> Json:
    """What the bookmark keeps."""
    bookmark = _mine(call)
    states = [
        {
            "qStateName": state,
            "qFieldItems": [
                {"qDef": {"qName": name, "qType": "PRESENT"}, "qValues": [{"qText": text} for text in texts]}
                for name, texts in fields.items()
            ],
        }
        for state, fields in bookmark["selections"].items()
    ]
    layout = {"qInfo": bookmark["qInfo"], "qMeta": dict(bookmark.get("qMetaDef") or {})}
    return {"qLayout": {**layout, "qBookmark": {"qStateData": states, "qVariableItems": [], "qPatches": []}}}


def get_properties(call: Call) -> Json:
    """The properties of the bookmark."""
    return {"qProp": {name: value for name, value in _mine(call).items() if name != "selections"}}


BOOKMARK_METHODS: Final[dict[str, Method]] = {
    "ApplyBookmark": method(apply_bookmark, "qId"),
    "ApplyTemporaryBookmark": method(apply_temporary, "qId"),
    "CreateBookmark": method(create_bookmark, "qProp"),
    "CreateTemporaryBookmark": method(create_temporary, "qOptions", "qObjectIdsToPatch?"),
    "DestroyBookmark": method(destroy_bookmark, "qId"),
    "GetBookmark": method(get_bookmark, "qId"),
    "GetBookmarks": method(get_bookmarks, "qOptions"),
}
METHODS: Final[dict[str, Method]] = {
    "GetLayout": method(get_layout),
    "GetProperties": method(get_properties),
    "GetInfo": method(lambda call: {"qInfo": _mine(call)["qInfo"]}),
    "Apply": method(lambda call: {"qSuccess": apply_to(call, call.target.id)}),
}
