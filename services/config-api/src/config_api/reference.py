"""The REST reference, written from the OpenAPI description: `python -m config_api reference`."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, cast

from config_api.app import Parts, shell
from config_api.handlers.shell import Pages
from config_api.settings import ConfigApiSettings

_HEAD = """# REST reference

Generated from the OpenAPI description with `python -m config_api reference`; a test holds this page to
it. The description itself is served at `/api/openapi.json`, and to be tried out at `/api/docs`.

**Who asks.** `Authorization: Bearer <API key>`, or the session cookie of a signed-in browser, which for
anything but reading also needs the session's token as `X-CSRF-Token`. Readers may use the Hub; developers
also status, configuration and runs; administrators everything.

**Changes.** An object is replaced as a whole. `If-Match` has to carry the `ETag` that was read: 412 means
that somebody changed the object meanwhile, 428 that the header is missing. What was read can be sent back
as it is.

**Secrets** are sent in `secrets` and come back as `••••`; a mask sent back keeps the secret, `null`
removes it. A secret belongs to the settings it was entered for: changing any of them but the name and the
limits clears it, unless it is sent again in the same request. The answer then names it in
`cleared_secrets`.

**Errors** are `application/problem+json` (RFC 9457) with `remedy`; 422 lists every fault in `problems` as
field, message and remedy.

**Lists** answer `items` and `next`; send `next` as `after` for the following page.
"""


def markdown() -> str:
    """Return the reference page."""
    description = openapi()
    by_tag: dict[str, list[str]] = defaultdict(list)
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            by_tag[operation["tags"][0]].append("\n".join(_operation(path, method, operation)))
    parts = [_HEAD]
    for tag, entries in by_tag.items():
        parts.append(f"## {tag}\n")
        parts += [f"{entry}\n" for entry in entries]
    parts.append("## What is sent\n")
    parts += [f"{entry}\n" for entry in _schemas(description)]
    return "\n".join(parts).rstrip() + "\n"


def openapi() -> dict[str, Any]:
    """Return the OpenAPI description of the service, without starting it."""
    return shell(cast("Parts", _Unbound()), Pages(), ConfigApiSettings()).openapi()


class _Unbound:
    """Stands for use cases that routes are made for and that nobody calls."""

    def __getattr__(self, name: str) -> "_Unbound":
        return self


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`\n"
    yield str(operation.get("description", "")).replace("\n", " ").strip()
    for parameter in operation.get("parameters", ()):
        if parameter["in"] != "path":
            about = parameter.get("description") or parameter["schema"].get("description", "")
            yield f"- `{parameter['name']}` ({parameter['in']}){': ' + about if about else ''}"
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"- body ({kind}): `{_name(content['schema'])}`"


def _schemas(description: Mapping[str, Any]) -> Iterator[str]:
    """Yield what request bodies are made of, each with everything it refers to."""
    schemas = description["components"]["schemas"]
    for name in sorted(_sent(description)):
        schema = schemas[name]
        lines = [f"### {name}\n", f"{schema.get('description', '').partition(chr(10))[0]}\n"]
        if "enum" in schema:
            lines.append("One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".")
        else:
            lines += ["| field | type | |", "|---|---|---|", *_fields(schema)]
        yield "\n".join(lines)


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for field, about in schema.get("properties", {}).items():
        need = "required" if field in required else ""
        note = "; ".join(part for part in (need, about.get("description", "")) if part)
        yield f"| `{field}` | {_name(about)} | {note} |"


def _sent(description: Mapping[str, Any]) -> set[str]:
    """Return the names of the schemas that request bodies reach."""
    bodies = [
        operation.get("requestBody", {})
        for operations in description["paths"].values()
        for operation in operations.values()
    ]
    found: set[str] = set()
    waiting = list(_references(bodies))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(description["components"]["schemas"][name])
    return found


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rpartition("/")[2]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _name(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_name(each) for each in schema[several])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_name(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "object")
