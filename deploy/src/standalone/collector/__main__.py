"""`python -m standalone.collector`: the collector as a process of its own."""

import argparse
from pathlib import Path

import uvicorn

from standalone.collector.store import TraceStore
from standalone.collector.web import build_web
from standalone.ports import HOST


def main() -> None:
    """Read the arguments and serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m standalone.collector", description=__doc__)
    parser.add_argument("--port", type=int, default=4318, help="OTLP/HTTP, API and pages")
    parser.add_argument("--file", type=Path, required=True, help="spans are appended here, one JSON per line")
    arguments = parser.parse_args()
    store = TraceStore(arguments.file)
    print(f"collector: http://{HOST}:{arguments.port}", flush=True)
    try:
        uvicorn.run(build_web(store), host=HOST, port=arguments.port, log_level="warning", lifespan="off")
    finally:
        store.close()


if __name__ == "__main__":
    main()
