"""A Qlik simulator in this process, and clients for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from qlik import CertificateAuth, Limits, QlikClient, QlikSite
from qlik_simulator.app import Running, running
from qlik_simulator.options import Options

FLIGHTS = "3b1c6a52-9f0d-4c9e-8a0b-f11640201301"


@dataclass
class SimulatedSite:
    """A running simulator and how to reach it."""

    simulator: Running

    @property
    def engine_url(self) -> str:
        return f"ws://127.0.0.1:{self.simulator.engine_port}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.simulator.http_port}"

    def site(self, *, user: str = "sa_engine", **limits: Any) -> QlikSite:
        return QlikSite(
            kind="client-managed",
            engine_url=self.engine_url,
            qrs_url=self.http_url,
            auth=CertificateAuth(user_directory="INTERNAL", user_id=user),
            limits=Limits(**{"connect_s": 5, "open_s": 20, "call_s": 20, "ttl_s": 0, **limits}),
        )

    def client(self, **limits: Any) -> QlikClient:
        return QlikClient(self.site(**limits))

    async def control(self, method: str, path: str, **options: Any) -> Any:
        """A command to the simulator, not to Qlik."""
        async with httpx.AsyncClient(base_url=self.http_url, trust_env=False) as http:
            answer = await http.request(method, path, **options)
            answer.raise_for_status()
            return answer.json() if answer.content else None


@asynccontextmanager
async def simulated_site(**options: Any) -> AsyncIterator[SimulatedSite]:
    async with running(Options(port=0, http_port=0, **options)) as simulator:
        yield SimulatedSite(simulator)
