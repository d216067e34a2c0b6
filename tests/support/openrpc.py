"""A judge for QIX frames: the OpenRPC description that Qlik publishes, made usable as JSON Schema.

The description (QIX 12.2528.0) lies outside of the repository, at ``$BROADSHEET_SHARED/qlik/engine-
rpc.json`` or ``../shared/qlik/engine-rpc.json``. Three rewrites make it fit what engines really send:
constants may be given by their short or their long name; a number may be one of the texts for not-a-number
and infinity; and the list of members that layouts and properties may have besides the fixed ones is read
for what it means (a schema by member name, next to anything the author of an object likes), since as JSON
Schema it says something else.
"""

import functools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema_rs import Draft7Validator

Json = dict[str, Any]
_ROOT: Final = Path(__file__).resolve().parents[2]
_NO_OBJECT: Final = {"qType": None, "qHandle": None}  # what engines answer for an object that is not there
_NO_REQUEST: Final = (-32700, -32600)
_NOT_NUMBERS: Final = ["NaN", "Infinity", "+Infinity", "-Infinity"]


def description_path() -> Path:
    """Where the description should be."""
    shared = os.environ.get("BROADSHEET_SHARED")
    return (Path(shared) if shared else _ROOT.parent / "shared") / "qlik" / "engine-rpc.json"


@functools.cache
def _load(path: Path) -> "OpenRpc":
    return OpenRpc(json.loads(path.read_text(encoding="utf-8")))


def openrpc() -> "OpenRpc":
    """The description; skips the test, saying why, where it is not there."""
    path = description_path()
    if not path.exists():
        pytest.skip(
            f"NOT CHECKED against Qlik's OpenRPC description: {path} is missing; set BROADSHEET_SHARED"
        )
    return _load(path)


def _rewritten(node: Any) -> Any:
    if isinstance(node, list):
        return [_rewritten(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    choices = node.get("oneOf")
    if isinstance(choices, list) and any("x-qlik-const" in choice for choice in choices):
        names = [choice[key] for choice in choices for key in ("title", "description") if choice.get(key)]
        return {"enum": names}
    if node.get("type") == "number":
        return {"anyOf": [{"type": "number"}, {"enum": _NOT_NUMBERS}]}
    return {name: _rewritten(value) for name, value in node.items() if name != "additionalProperties"}


def _named_parts(description: Json) -> dict[str, str]:
    """Member name to schema name, from the lists of dynamic members."""
    found = {}
    for schema in description["components"]["schemas"].values():
        for entry in schema.get("additionalProperties", {}).get("anyOf", []):
            found[entry["name"]] = entry["schema"]["$ref"].rpartition("/")[2]
    return found


class OpenRpc:
    """The description, ready to judge parameters, results and layouts.

    Every check gives a list of complaints.
    """

    def __init__(self, description: Json) -> None:
        components = _rewritten(description["components"]["schemas"])
        self._components: Json = {"schemas": components}
        self._parts = _named_parts(description)
        self.methods: dict[str, Json] = {method["name"]: method for method in description["methods"]}
        self.errors: dict[int, set[str]] = {}
        for error in description["components"]["errors"].values():
            if "code" in error:
                self.errors.setdefault(error["code"], set()).add(error["message"])
        self._validators: dict[str, Draft7Validator] = {}

    def method(self, kind: str, name: str) -> Json | None:
        """A method of a receiver such as ``Doc``; generic objects share the methods of ``GenericObject``."""
        return self.methods.get(f"{kind}.{name}")

    def check_parameters(self, kind: str, name: str, params: Any) -> list[str]:
        """What is wrong with the parameters of a request, given by position or by name."""
        method = self.method(kind, name)
        if method is None:
            return [f"there is no method {kind}.{name}"]
        known = [param["name"] for param in method["params"]]
        if isinstance(params, list):
            if len(params) > len(known):
                return [f"{kind}.{name}: {len(params)} parameters, {len(known)} known"]
            params = dict(zip(known, params, strict=False))
        unknown = [f"{kind}.{name}: unknown parameter {given}" for given in params if given not in known]
        schema = {
            "type": "object",
            "properties": {param["name"]: param["schema"] for param in method["params"]},
            "required": [param["name"] for param in method["params"] if param.get("required")],
        }
        return unknown + self._check(f"parameters of {kind}.{name}", schema, params)

    def check_result(self, kind: str, name: str, result: Any) -> list[str]:
        """What is wrong with a result, and with the parts of the layout in it."""
        method = self.method(kind, name)
        if method is None:
            return [f"there is no method {kind}.{name}"]
        given = {key: value for key, value in result.items() if value != _NO_OBJECT}
        schema = method["result"]["schema"]
        declared = schema.get("properties", {})
        unknown = [f"{kind}.{name}: unknown result member {key}" for key in given if key not in declared]
        complaints = unknown + self._check(f"result of {kind}.{name}", schema, given)
        for part, value in self._find_parts(given):
            complaints += self.check_schema(self._parts[part], value)
        return complaints

    def check_schema(self, schema: str, value: Any) -> list[str]:
        """What is wrong with a value that should follow one of the named schemas."""
        return self._check(schema, {"$ref": f"#/components/schemas/{schema}"}, value)

    def check_error(self, error: Json) -> list[str]:
        """Whether an error has a published code and its message."""
        code = error.get("code")
        if not isinstance(code, int) or code not in self.errors:
            return [f"error code {code} is not in the published table"]
        if error.get("message") not in self.errors[code]:
            return [f"error {code} has the message {error.get('message')!r}, not {self.errors[code]}"]
        return []

    def _find_parts(self, node: Any) -> Iterator[tuple[str, Any]]:
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            if name in self._parts and isinstance(value, dict):
                yield name, value
            if isinstance(value, dict | list):
                yield from self._find_parts(value)

    def _check(self, name: str, schema: Json, value: Any) -> list[str]:
        validator = self._validators.get(name)
        if validator is None:
            validator = Draft7Validator({"allOf": [_rewritten(schema)], "components": self._components})
            self._validators[name] = validator
        return [
            f"{name} at /{'/'.join(str(part) for part in error.instance_path)}: {error.message[:200]}"
            for error in validator.iter_errors(value)
        ]


@dataclass(frozen=True)
class _Asked:
    """A request that waits for its reply."""

    kind: str
    name: str
    delta: bool
    handle: int


class FrameJudge:
    """Looks at every frame of one socket, in both directions, and collects complaints.

    Feed it the text of frames with `sent` (client to engine) and `received` (engine to client).
    """

    def __init__(self, description: OpenRpc, *, wrong_on_purpose: bool = False) -> None:
        self._description = description
        self._wrong_on_purpose = wrong_on_purpose
        self._kinds: dict[int, str] = {-1: "Global"}
        self._waiting: dict[int, _Asked] = {}
        self._values: dict[tuple[int, str, str], Any] = {}
        self.complaints: list[str] = []
        self.on_purpose: list[str] = []  # complaints about the requests of a client that means to be wrong
        self.requests = 0
        self.judged = 0  # frames from the engine

    def sent(self, frame: str) -> None:
        """Judge a request."""
        self.requests += 1
        try:
            request = json.loads(frame)
            name, request_id = request["method"], request["id"]
        except (ValueError, TypeError, KeyError):
            (self.on_purpose if self._wrong_on_purpose else self.complaints).append(
                f"no request: {frame[:200]}"
            )
            return
        handle = request.get("handle", -1)
        kind = self._kinds.get(handle, "unknown handle")
        complaints = self._description.check_parameters(kind, name, request.get("params", []))
        if self._wrong_on_purpose:
            self.on_purpose += complaints
        else:
            self.complaints += complaints
        self._waiting[request_id] = _Asked(kind, name, request.get("delta") is True, handle)

    def received(self, frame: str) -> None:
        """Judge a reply, a push or a notification."""
        reply = json.loads(frame)
        self.judged += 1
        if reply.get("jsonrpc") != "2.0":
            self.complaints.append(f"not JSON-RPC 2.0: {frame[:200]}")
        self._check_lists(reply)
        for handle in reply.get("close", []):
            self._values = {key: value for key, value in self._values.items() if key[0] != handle}
        if "method" in reply:
            return
        if "id" not in reply:
            if not set(reply) <= {"jsonrpc", "change", "close", "suspend"}:
                self.complaints.append(f"a push with members {sorted(reply)}")
            return
        if "error" in reply:
            self.complaints += self._description.check_error(reply["error"])
        known = self._waiting.pop(reply["id"], None)
        if known is None:
            # What is no request has no id, or one that nobody waits for.
            if reply.get("error", {}).get("code") not in _NO_REQUEST:
                self.complaints.append(f"a reply to nothing that was asked: {frame[:200]}")
        elif "error" not in reply:
            self._check_result(reply, known)

    def _check_lists(self, reply: Json) -> None:
        for name in ("change", "close", "suspend"):
            handles = reply.get(name, [])
            if not isinstance(handles, list) or not all(isinstance(handle, int) for handle in handles):
                self.complaints.append(f"{name} is no list of handles: {handles}")

    def _check_result(self, reply: Json, asked: "_Asked") -> None:
        kind, name = asked.kind, asked.name
        if not isinstance(reply.get("result"), dict):
            self.complaints.append(f"{kind}.{name}: the result is no object")
            return
        result = reply["result"]
        if reply.get("delta") is True:
            if not asked.delta:
                self.complaints.append(f"{kind}.{name}: delta was not asked for")
            result = {key: self._patched(asked.handle, name, key, patches) for key, patches in result.items()}
        self.complaints += self._description.check_result(kind, name, result)
        interface = result.get("qReturn")
        if isinstance(interface, dict) and isinstance(interface.get("qHandle"), int):
            self._kinds[interface["qHandle"]] = interface["qType"]

    def _patched(self, handle: int, method: str, key: str, patches: list[Json]) -> Any:
        value = apply_patches(self._values.get((handle, method, key)), patches)
        self._values[handle, method, key] = value
        return json.loads(json.dumps(value))


def apply_patches(value: Any, patches: list[Json]) -> Any:
    """Apply the patches of a delta reply to the last value, as the official JavaScript client does."""
    for patch in patches:
        if patch["path"] == "/":
            value = json.loads(json.dumps(patch["value"]))
            continue
        parts = [part.replace("~1", "/").replace("~0", "~") for part in patch["path"].split("/")[1:]]
        holder = value
        for part in parts[:-1]:
            holder = holder[int(part)] if isinstance(holder, list) else holder[part]
        _apply(holder, parts[-1], patch)
    return value


def _apply(holder: Any, name: str, patch: Json) -> None:
    match patch["op"], holder:
        case "add", list():
            holder.insert(int(name), patch["value"])
        case "replace", list():
            holder[int(name)] = patch["value"]
        case "remove", list():
            del holder[int(name)]
        case "add" | "replace", dict():
            holder[name] = patch["value"]
        case "remove", dict():
            del holder[name]
        case operation, _:
            message = f"a patch {operation} at {patch['path']} cannot be applied"
            raise ValueError(message)
