"""``python -m qlik_simulator``: runs until SIGINT or SIGTERM; prints one line of JSON when it is ready."""

import asyncio
import json
import signal
import sys

from qlik_simulator.app import running
from qlik_simulator.apps.loader import AppError
from qlik_simulator.options import Options, read_options


async def _run(options: Options) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(options) as simulator:
        ready = {
            "event": "ready",
            "host": simulator.host,
            "engine_port": simulator.engine_port,
            "http_port": simulator.http_port,
            "apps": [{"id": app.id, "name": app.name} for app in simulator.site.apps.values()],
        }
        print(json.dumps(ready), flush=True)
        await stop.wait()


def main() -> int:
    """Run until told to stop; 2 when an app cannot be loaded."""
    options = read_options(sys.argv[1:])
    try:
        asyncio.run(_run(options))
    except (AppError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
