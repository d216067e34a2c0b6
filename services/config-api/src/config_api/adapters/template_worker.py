"""The process that looks into one template: `python -m config_api.adapters.template_worker xlsx < file`."""

import json
import resource
import sys

from rendering import TemplateKind, inspect

_MEMORY_BYTES = 1024 * 1024 * 1024
_CPU_SECONDS = 30
# What a template names is stored beside it, in a document of at most 16 MiB.
_NAMES = 5_000


def main() -> int:
    """Write what the template on standard input asks for, and what is wrong with it, as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    report = inspect(TemplateKind(sys.argv[1]), sys.stdin.buffer.read())
    problems = [
        {"field": f"file: {each.place}", "message": each.message, "remedy": each.remedy}
        for each in report.problems
    ]
    uses = {
        "values": sorted(report.values),
        "tables": {name: sorted(columns) for name, columns in report.tables.items()},
        "images": sorted(report.images),
        "recipient": report.recipient,
        "places": {name[:400]: place[:400] for name, place in report.places.items()},
    }
    if len(report.places) > _NAMES:
        uses, remedy = {}, f"a template may name at most {_NAMES} values, columns and pictures; split it"
        problems.append({"field": "file", "message": "names too many things", "remedy": remedy})
    json.dump({"problems": problems[:100], "uses": uses}, sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
