"""The REST reference, written from the OpenAPI description: `python -m config_api reference`."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, cast

from config_api.app import Parts, shell
from config_api.handlers.shell import Pages
from config_api.settings import ConfigApiSettings

_HEAD = """# REST reference

Generated from the OpenAPI description (`make reference`); a test keeps this page up to date. The description
is [openapi.json](openapi.json); the service serves it at `/api/openapi.json`, and a page to try it out at
`/api/docs`.

"""


def markdown() -> str:
    """Return the reference page."""
    description = openapi()
    by_tag: dict[str, list[str]] = defaultdict(list)
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            by_tag[operation["tags"][0]].append("\n".join(_operation(path, method, operation)))
    about = {tag["name"]: tag["description"] for tag in description["tags"]}
    parts = [_HEAD + description["info"]["description"]]
    for tag, entries in by_tag.items():
        parts.append(f"## {tag}\n\n{about.get(tag, '')}\n")
        parts += [f"{entry}\n" for entry in entries]
    parts.append("## Schemas\n")
    parts += [f"{entry}\n" for entry in _schemas(description)]
    return "\n".join(parts).rstrip() + "\n"


def openapi() -> dict[str, Any]:
    """Return the OpenAPI description of the service, without starting it."""
    return shell(cast("Parts", _Unbound()), Pages(), ConfigApiSettings()).openapi()


def openapi_document() -> str:
    """Return the OpenAPI description as the file that is published."""
    return json.dumps(openapi(), indent=1, ensure_ascii=False) + "\n"


class _Unbound:
    """Stands for use cases that routes are made for and that nobody calls."""

    def __getattr__(self, name: str) -> "_Unbound":
        return self


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {operation['summary']}\n"
    yield f"`{method.upper()} {path}` (`{operation['operationId']}`)\n"
    yield str(operation.get("description", "")).strip()
    yield ""
    for parameter in operation.get("parameters", ()):
        if parameter["in"] != "path":
            about = parameter.get("description") or parameter["schema"].get("description", "")
            yield f"- `{parameter['name']}` ({parameter['in']}){': ' + about if about else ''}"
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"- body ({kind}): {_linked(content['schema'])}"
    for status, answer in operation["responses"].items():
        if status[0] in "23":
            sent = answer.get("content", {}).get("application/json", {}).get("schema")
            yield f"- {status}: {_linked(sent) if sent else answer['description']}"
    yield f"- refused with {', '.join(status for status in operation['responses'] if status[0] in '45')}"


def _schemas(description: Mapping[str, Any]) -> Iterator[str]:
    """Yield what requests and answers are made of."""
    for name, schema in description["components"]["schemas"].items():
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


def _linked(schema: Mapping[str, Any]) -> str:
    name = _name(schema)
    return f"[{name}](#{name.lower()})" if "$ref" in schema else f"`{name}`"


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
