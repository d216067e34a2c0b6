"""Write the reference of settings, topics and REST: `python -m standalone.reference write|check`."""

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config_api.reference import markdown, openapi_document
from config_api.settings import ConfigApiSettings
from contracts.catalog import topics
from distributor.settings import DistributorSettings
from generator.settings import GeneratorSettings
from notifier.settings import NotifierSettings
from runtime.mail import SmtpSettings
from runtime.settings import RuntimeSettings
from runtime.topics import MIN_IN_SYNC, OWNED
from scheduler.settings import ListenerSettings, SchedulerSettings

FOLDER = Path(__file__).parents[3] / "docs" / "reference"

_GROUPS: tuple[tuple[str, type[RuntimeSettings], type[RuntimeSettings] | None], ...] = (
    ("Every service", RuntimeSettings, None),
    ("Services that send mail", SmtpSettings, RuntimeSettings),
    ("scheduler", SchedulerSettings, RuntimeSettings),
    ("Qlik listener", ListenerSettings, RuntimeSettings),
    ("generator", GeneratorSettings, RuntimeSettings),
    ("distributor", DistributorSettings, SmtpSettings),
    ("notifier", NotifierSettings, SmtpSettings),
    ("config-api", ConfigApiSettings, RuntimeSettings),
)


def settings_page() -> str:
    """Return the reference of all settings as Markdown."""
    lines = [
        "# Settings",
        "",
        "Environment variables, read once at the start. Generated from the code (`make reference`).",
        "Durations end in `_s` and are seconds, sizes end in `_bytes`. A value that is out of bounds ends",
        "the process with a message that names the variable.",
    ]
    for title, cls, below in _GROUPS:
        inherited = set(below.model_fields) if below else set()
        fields = {name: field for name, field in cls.model_fields.items() if name not in inherited}
        lines += ["", f"## {title}", "", "| variable | default | meaning |", "|---|---|---|"]
        lines += [_row(name, field) for name, field in fields.items()]
    return "\n".join(lines) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    bounds = ", ".join(text for item in field.metadata if (text := _bound(item)))
    meaning = ". ".join(part for part in (field.description or "", bounds) if part)
    return f"| `BROADSHEET_{name.upper()}` | {_default(field)} | {meaning} |"


def _bound(item: Any) -> str:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return " ".join(f"{word} {getattr(item, key)}" for key, word in words.items() if hasattr(item, key))


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "computed"
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or field.default == ():
        return "unset"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return f"`{value}`"


_TOPIC_SETTINGS = (
    "## Settings",
    "",
    "`python -m runtime.topics plan` shows what `apply` would create and change; `apply` does it and",
    "shows what it did; `check` says whether all topics are there. `apply` changes only these settings,",
    "one by one; every other setting of a topic, and the number of its partitions, are left as an",
    "operator made them.",
    "",
    "| setting | value | on a topic that has another |",
    "|---|---|---|",
    *(f"| `{name}` | as in the catalogue | set back (`--no-config` leaves it) |" for name in OWNED),
    f"| `{MIN_IN_SYNC}` | number of replicas minus one, at least 1 | kept and reported |",
    "",
    "Producers wait for all in-sync replicas (`acks=all`). With `--replication 3`, two replicas have to",
    "confirm: no confirmed event is lost with one broker, and one broker may be down without a pause. With",
    "fewer than two in sync nothing can be published, and events wait in the outboxes.",
)


def topics_page() -> str:
    """Return the reference of all topics as Markdown."""
    lines = [
        "# Topics",
        "",
        "Generated from the catalogue in `shared/src/contracts/catalog/topics` (`make reference`). Created",
        "by `python -m runtime.topics apply`; nothing creates topics by itself. Schemas lie beside the",
        "catalogue, and [asyncapi.yaml](asyncapi.yaml) describes them for tools: `npx @asyncapi/cli generate",
        "models typescript docs/reference/asyncapi.yaml -o events` writes models for TypeScript; Java,",
        "Python, C# and others go the same way.",
        "",
        "| topic | owner | written by | read by | key | partitions | days | dead letters (days) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{spec.name}` | {spec.owner} | {', '.join(spec.producers)} | {', '.join(spec.consumers)} "
        f"| {spec.key} | {spec.partitions} | {spec.retention_days} "
        f"| `{spec.dead_letter_topic}` ({spec.dead_letter_retention_days}) |"
        for spec in topics()
    ]
    lines += ["", "| event | topic |", "|---|---|"]
    lines += [f"| `{name}` | `{spec.name}` |" for spec in topics() for name in spec.events]
    lines += ["", *_TOPIC_SETTINGS, "", *_access()]
    return "\n".join(lines) + "\n"


def _access() -> list[str]:
    """Return what each service has to be allowed at the broker, and nothing more."""
    found = topics()
    services = sorted({name for spec in found for name in (*spec.producers, *spec.consumers)})
    lines = [
        "## Access",
        "",
        "What each service needs at the broker, and all it needs: an account of its own with these ACLs, and",
        "besides `Describe` on the same topics, and `Read` on consumer groups that begin with its name. See",
        "[the trust boundary](../operations/trust.md) for why it matters who may write.",
        "",
        "| service | `Write` | `Read` |",
        "|---|---|---|",
    ]
    for service in services:
        reads = [spec for spec in found if service in spec.consumers]
        writes = [spec.name for spec in found if service in spec.producers]
        writes += [spec.dead_letter_topic for spec in reads]
        told = [
            ", ".join(f"`{name}`" for name in names) or "-" for names in (writes, [s.name for s in reads])
        ]
        lines.append(f"| {service} | {told[0]} | {told[1]} |")
    return lines


def pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    return {
        FOLDER / "settings.md": settings_page(),
        FOLDER / "topics.md": topics_page(),
        FOLDER / "rest-api.md": markdown(),
        FOLDER / "openapi.json": openapi_document(),
    }


def stale() -> list[str]:
    """Return the pages that are not as the code would write them."""
    return [
        path.name
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write, or check and return 1 when a page is stale."""
    if sys.argv[1:] == ["check"]:
        for name in stale():
            print(f"docs/reference/{name} is stale; run `make reference`", file=sys.stderr)
        return 1 if stale() else 0
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
