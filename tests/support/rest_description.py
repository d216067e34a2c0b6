"""A config-api with something in every list, on a port; and schemathesis, which judges it by its description.

schemathesis (schemathesis.readthedocs.io) makes requests from the OpenAPI description, valid and invalid
ones, and compares every answer with it. It runs as a process of its own, with a seed, so that a run can be
repeated.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from config_api.domain.rights import Role
from contracts.base import Event
from contracts.events import DeliverySucceeded, PreviewSettled
from runtime.http import serving
from support.config_api_events import ARTIFACT, road
from support.config_api_kit import Kit, config_api, configure

SEED = 20260302
CONFIGURATION = """
[generation]
database = "none"
with-security-parameters = false

[checks]
# What a schema cannot say is refused with 422: references to what does not exist, rules between fields.
positive_data_acceptance.expected-statuses = [
    "2xx", 304, 401, 403, 404, 406, 409, 410, 412, 415, 422, 428, 429, 502
]
negative_data_rejection.expected-statuses = [
    400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429
]
missing_required_header.expected-statuses = [401, 403, 404, 406, 415, 422, 428]
"""


@asynccontextmanager
async def described(uri: str) -> AsyncIterator[tuple[Kit, str]]:
    """Yield a config-api that has an object of every kind, and the URL at which it is served."""
    async with config_api(uri) as kit:
        # The database drops what is old by its own clock: previews and sessions of last spring, for example.
        kit.clock.set(datetime.now(tz=UTC))
        key = await kit.key(Role.ADMIN, "first@example.com")
        async with kit.client(key) as client:
            await configure(client)
            await _history(kit)
            asked = await client.post("/api/v1/reports/delays/preview", json={"format": "html"})
            preview = asked.json()["preview_id"]
        ref = await kit.objects.put("a", b"abc", content_type="text/html")
        artifact = ARTIFACT.model_copy(update=ref.model_dump())
        await kit.record(
            PreviewSettled(preview_id=preview, report_id="delays", report_name="Delays", artifact=artifact)
        )
        async with serving(kit.app, host="127.0.0.1", port=0) as port:
            yield kit, f"http://127.0.0.1:{port}"


async def _history(kit: Kit) -> None:
    ref = await kit.objects.put("a", b"abc", content_type="text/html")
    artifact = ARTIFACT.model_copy(update=ref.model_dump())
    events: list[Event] = []
    for event in road("daily-delays", 1):
        if isinstance(event, DeliverySucceeded):
            files = (event.files[0].model_copy(update={"artifact": artifact}),)
            events.append(event.model_copy(update={"files": files}))
        else:
            has_file = hasattr(event, "artifact")
            events.append(event.model_copy(update={"artifact": artifact}) if has_file else event)
    await kit.record(*events)


async def judge(url: str, key: str, folder: Path, *, examples: int, phases: str, seed: int = SEED) -> str:
    """Return what schemathesis found with the API key of somebody; empty for nothing.

    `examples` is how many requests it makes at most per operation in its fuzzing phase.
    """
    config = folder / "schemathesis.toml"
    config.write_text(CONFIGURATION, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", f"{url}/api/openapi.json", "--header", f"Authorization: Bearer {key}"),
        *("--checks", "all", "--phases", phases, "--max-examples", str(examples)),
        *("--seed", str(seed), "--continue-on-failure", "--no-color"),
        *("--workers", "1", "--suppress-health-check", "all", "--warnings", "off"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return "" if process.returncode == 0 else output.decode(errors="replace")
