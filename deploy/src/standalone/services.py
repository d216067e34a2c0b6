"""Broadsheet's own services, and the Qlik simulator, as child processes."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from standalone.ports import HOST
from standalone.server import ProcessServer
from standalone.web import answers, http_client


class ServiceProcess(ProcessServer):
    """One service: ready when its own `/ready` says so."""

    port_option = "--port"
    # A service waits for its servers and joins its consumer groups, one rebalance each.
    start_timeout_s = 120.0
    stop_grace_s = 30.0

    def __init__(
        self,
        data: Path,
        *,
        name: str,
        module: Sequence[str],
        environment: Callable[[], Mapping[str, str]],
    ) -> None:
        """Take `python -m` words in `module`, and the variables besides the process's own.

        The variables are asked for at the start: some servers' addresses are not known before they run.
        """
        self.name = name
        self.title = f"broadsheet {name}"
        super().__init__(data, {"health": 0})
        self._module = tuple(module)
        self._variables = environment

    @property
    def health_url(self) -> str:
        """Root of /live, /ready and /metrics."""
        return f"http://{HOST}:{self.ports['health']}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where its health is."""
        return {"health": self.health_url}

    def _environment(self) -> dict[str, str]:
        return {
            **super()._environment(),
            **self._variables(),
            "BROADSHEET_HEALTH_PORT": str(self.ports["health"]),
            "BROADSHEET_REPLICA": self.name,
        }

    async def _argv(self) -> Sequence[str]:
        return [sys.executable, "-m", *self._module]

    async def _ready(self) -> bool:
        return await answers(f"{self.health_url}/ready")

    async def metrics(self) -> str:
        """Return its Prometheus metrics as text."""
        async with http_client(timeout=5.0) as http:
            return (await http.get(f"{self.health_url}/metrics")).text


class Simulator(ProcessServer):
    """The Qlik simulator with the flights of 2013 as its app."""

    name = "qlik"
    title = "Qlik simulator"
    port_option = "--qlik-port"

    def __init__(self, data: Path, *, apps: Sequence[str] = ("flights",)) -> None:
        """Take the apps it serves: built-in names or folders of tables."""
        super().__init__(data, {"engine": 0, "http": 0})
        self._apps = tuple(apps)

    @property
    def engine_url(self) -> str:
        """Base of the engine's web socket addresses."""
        return f"ws://{HOST}:{self.ports['engine']}"

    @property
    def http_url(self) -> str:
        """Base of the repository service and of the simulator's control."""
        return f"http://{HOST}:{self.ports['http']}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """Both sides."""
        return {"engine": self.engine_url, "repository": self.http_url}

    async def _argv(self) -> Sequence[str]:
        ports = ("--port", str(self.ports["engine"]), "--http-port", str(self.ports["http"]))
        apps = [word for app in self._apps for word in ("--data", app)]
        return [sys.executable, "-m", "qlik_simulator", *ports, *apps]

    async def _ready(self) -> bool:
        return await answers(f"{self.http_url}/_sim/health")

    async def reload(self, app_id: str, *, status: str = "success") -> dict[str, object]:
        """Reload an app, as its reload task would; return what the simulator answers."""
        async with http_client(timeout=60.0) as http:
            reply = await http.post(f"{self.http_url}/_sim/reload", json={"app_id": app_id, "status": status})
        reply.raise_for_status()
        answer: dict[str, object] = json.loads(reply.text)
        return answer
