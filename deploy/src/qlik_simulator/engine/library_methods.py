"""Methods of GenericDimension and GenericMeasure: master items."""

from collections.abc import Mapping
from typing import Any, Final

from qlik_simulator.domain.errors import Code, QixError
from qlik_simulator.engine.calls import Call, Method, method

Json = dict[str, Any]


def library_layout(call: Call) -> Json:
    """The layout of a master item."""
    item = _item(call)
    layout: Json = {"qInfo": dict(item["qInfo"]), "qMeta": dict(item.get("qMetaDef") or {})}
    if call.target.kind == "GenericDimension":
        return {"qLayout": {**layout, "qDim": item["qDim"], "qDimInfos": []}}
    return {"qLayout": {**layout, "qMeasure": item["qMeasure"]}}


def _item(call: Call) -> Mapping[str, Any]:
    app = call.document.app
    item = (app.dimensions if call.target.kind == "GenericDimension" else app.measures).get(call.target.id)
    if item is None:
        raise QixError(Code.NOT_FOUND, call.target.id)
    return item


_SHARED: Final[dict[str, Method]] = {
    "GetLayout": method(library_layout),
    "GetProperties": method(lambda call: {"qProp": dict(_item(call))}),
    "GetInfo": method(lambda call: {"qInfo": dict(_item(call)["qInfo"])}),
    "GetLinkedObjects": method(lambda _: {"qItems": []}),
}
DIMENSION_METHODS: Final[dict[str, Method]] = {
    **_SHARED,
    "GetDimension": method(lambda call: {"qDim": _item(call)["qDim"]}),
}
MEASURE_METHODS: Final[dict[str, Method]] = {
    **_SHARED,
    "GetMeasure": method(lambda call: {"qMeasure": _item(call)["qMeasure"]}),
}
