"""Methods of Global (handle -1)."""

import hashlib
from typing import Any, Final

from qlik_simulator.apps.app import App, Variable
from qlik_simulator.domain.errors import Code, QixError
from qlik_simulator.domain.model import DataModel
from qlik_simulator.engine.calls import Call, Method, Target, method
from qlik_simulator.engine.document import Document
from qlik_simulator.site import ENGINE_VERSION, iso

Json = dict[str, Any]


def engine_version(_: Call) -> Json:
    """Cheap, used as a probe and to keep a connection alive."""
    return {"qVersion": {"qComponentVersion": ENGINE_VERSION}}


def get_doc_list(call: Call) -> Json:
    """The apps the user may open."""
    return {
        "qDocList": [
            _doc_entry(app)
            for app in call.site.apps.values()
            if app.seen_by(call.session.key.user) is not None
        ]
    }


def _doc_entry(app: App) -> Json:
    entry: Json = {
        "qDocName": app.name,
        "qConnectedUsers": 0,
        "qFileTime": 0,
        "qFileSize": 0,
        "qDocId": app.id,
        "qMeta": {"description": app.description, "published": True, "stream": {"name": app.stream}},
        "qLastReloadTime": iso(app.last_reload_time),
        "qTitle": app.name,
        "qThumbnail": {},
    }
    return {**entry, "qHasSectionAccess": True} if app.has_section_access else entry


def get_authenticated_user(call: Call) -> Json:
    """Who the engine takes the caller for."""
    directory, _, user = call.session.key.user.partition("\\")
    return {"qReturn": f"UserDirectory={directory}; UserId={user}"}


def open_doc(call: Call) -> Json:
    """Open an app by id or by name."""
    session = call.session
    no_data = call.flag("qNoData")
    app = call.site.app(call.text("qDocName"))
    if app is None:
        raise QixError(Code.APP_NOT_FOUND, call.text("qDocName"))
    model = app.seen_by(session.key.user)
    if model is None:
        raise QixError(Code.ACCESS_DENIED, app.id)
    if session.document is not None:
        if session.document.app.id == app.id and session.document.no_data != no_data:
            raise QixError(Code.APP_ALREADY_OPEN_IN_DIFFERENT_MODE, app.id)
        raise QixError(Code.APP_ALREADY_OPEN, session.document.app.id)
    if app.id in call.site.reloading:
        raise QixError(Code.RELOAD_IN_PROGRESS, app.id)
    session.document = opened(app, DataModel({}, 0) if no_data else model, no_data=no_data)
    return {"qReturn": call.handles.give(Target("Doc", app.id))}


def opened(app: App, model: DataModel, *, no_data: bool = False) -> Document:
    """A fresh view of an app: the data its user may see as of now, nothing selected."""
    document = Document(
        app=app,
        model=model,
        last_reload_time=iso(app.last_reload_time),
        no_data=no_data,
        variables={found.id: Variable(**vars(found)) for found in app.variables.values()},
    )
    document.states["$"] = document.with_always_one(document.states["$"])
    return document


def get_active_doc(call: Call) -> Json:
    """The app that is open in the session."""
    return {"qReturn": call.handles.give(Target("Doc", call.document.app.id))}


def create_session_app(call: Call) -> Json:
    """An app that exists in this session only."""
    if call.session.document is not None:
        raise QixError(Code.APP_ALREADY_OPEN, call.session.document.app.id)
    app_id = f"SessionApp_{call.site.new_id()}"
    app = App(id=app_id, name=app_id, model=DataModel({}, 0), last_reload_time=call.site.now())
    document = opened(app, app.model)
    document.is_session_app = True
    call.session.document = document
    return {"qSessionAppId": app_id, "qReturn": call.handles.give(Target("Doc", app_id))}


def get_progress(call: Call) -> Json:
    """Nothing takes long enough to have progress."""
    del call
    return {"qProgressData": {"qFinished": True, "qPersistentProgressMessages": [], "qErrorData": []}}


def abort_all(call: Call) -> Json:
    """Everything that is being calculated answers with error 15."""
    call.session.version += 1
    return {}


def abort_request(call: Call) -> Json:
    """One request that is being calculated answers with error 15."""
    call.session.aborted.add(int(call.number("qRequestId")))
    return {}


def get_configuration(_: Call) -> Json:
    """What a client may ask of this engine; older clients ask before anything else."""
    return {"qConfig": {"qFeatures": {"qIsDesktop": False}, "qVersion": ENGINE_VERSION}}


def get_base_bnf_hash(call: Call) -> Json:
    """The hash by which clients know whether they have the grammar of scripts (S) or expressions (E)."""
    kind = call.text("qBnfType")
    if kind not in {"S", "E"}:
        raise QixError(Code.INVALID_PARAMETERS, kind)
    return {"qBnfHash": hashlib.sha256(f"{ENGINE_VERSION} {kind}".encode()).hexdigest()}


METHODS: Final[dict[str, Method]] = {
    "GetConfiguration": method(get_configuration),
    "GetBaseBNFHash": method(get_base_bnf_hash, "qBnfType"),
    "EngineVersion": method(engine_version),
    "ProductVersion": method(lambda _: {"qReturn": ENGINE_VERSION}),
    "QvVersion": method(lambda _: {"qReturn": ENGINE_VERSION}),
    "OSName": method(lambda _: {"qReturn": "Simulator"}),
    "OSVersion": method(lambda _: {"qReturn": "1"}),
    "QTProduct": method(lambda _: {"qReturn": "Qlik Sense"}),
    "IsDesktopMode": method(lambda _: {"qReturn": False}),
    "IsPersonalMode": method(lambda _: {"qReturn": False}),
    "AllowCreateApp": method(lambda _: {"qReturn": False}),
    "GetUniqueID": method(lambda call: {"qUniqueID": call.site.new_id()}),
    "GetStreamList": method(lambda _: {"qStreamList": [{"qName": "Everyone", "qId": "everyone"}]}),
    "GetDocList": method(get_doc_list),
    "GetAuthenticatedUser": method(get_authenticated_user),
    "OpenDoc": method(open_doc, "qDocName", "qUserName?", "qPassword?", "qSerial?", "qNoData?"),
    "GetActiveDoc": method(get_active_doc),
    "CreateSessionApp": method(create_session_app),
    "GetProgress": method(get_progress, "qRequestId"),
    "AbortAll": method(abort_all),
    "AbortRequest": method(abort_request, "qRequestId"),
    "CancelRequest": method(abort_request, "qRequestId"),
}
