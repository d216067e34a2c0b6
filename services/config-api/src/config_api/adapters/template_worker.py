"""The process that looks into one template: `python -m config_api.adapters.template_worker xlsx < file`."""

import json
import resource
import sys

from rendering import TemplateKind, inspect

_MEMORY_BYTES = 1024 * 1024 * 1024
_CPU_SECONDS = 30


def main() -> int:
    """Write the problems of the template on standard input to standard output, as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    report = inspect(TemplateKind(sys.argv[1]), sys.stdin.buffer.read())
    problems = [
        {"field": f"file: {each.place}", "message": each.message, "remedy": each.remedy}
        for each in report.problems
    ]
    json.dump(problems[:100], sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
