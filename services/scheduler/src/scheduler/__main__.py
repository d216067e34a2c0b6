"""`python -m scheduler` runs the scheduler, `python -m scheduler listener` the Qlik listener."""

import asyncio
import sys

from runtime.service import Service
from scheduler.app import scheduler
from scheduler.listener import listener
from scheduler.settings import ListenerSettings, SchedulerSettings


def main() -> int:
    """Run the process the arguments name; return its exit status."""
    match sys.argv[1:]:
        case []:
            settings = SchedulerSettings()
            asyncio.run(Service("scheduler", settings).run(scheduler(settings)))
        case ["listener"]:
            listening = ListenerSettings()
            asyncio.run(Service("qlik-listener", listening).run(listener(listening)))
        case _:
            print("usage: python -m scheduler [listener]", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
