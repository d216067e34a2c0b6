"""The trace collector as a child process."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from standalone.ports import HOST
from standalone.server import ProcessServer, connects
from standalone.web import http_client


class Collector(ProcessServer):
    """An OTLP/HTTP receiver for traces, with pages. The spans are in `spans.jsonl` of the data folder."""

    name = "collector"
    title = "OTLP collector"
    port_option = "--collector-port"

    def __init__(self, data: Path, *, port: int = 0) -> None:
        super().__init__(data, {"http": port})

    @property
    def url(self) -> str:
        """Root of API and pages, and the OTLP endpoint (exporters add `/v1/traces`)."""
        return f"http://{HOST}:{self.ports['http']}"

    @property
    def spans_file(self) -> Path:
        """One span per line, as JSON."""
        return self.data / "spans.jsonl"

    @property
    def addresses(self) -> Mapping[str, str]:
        """The one address."""
        return {"otlp, web": self.url}

    async def _argv(self) -> Sequence[str]:
        port = str(self.ports["http"])
        return [sys.executable, "-m", "standalone.collector", "--port", port, "--file", str(self.spans_file)]

    async def _ready(self) -> bool:
        if not await connects(self.ports["http"]):
            return False
        headers = {"Content-Type": "application/x-protobuf"}
        async with http_client(timeout=2.0) as http:
            try:
                reply = await http.post(f"{self.url}/v1/traces", content=b"", headers=headers)
            except httpx.TransportError:
                return False
        return reply.status_code == httpx.codes.OK
