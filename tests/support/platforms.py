"""A whole platform for tests: servers, services, an app of customers, and ways to see what happened."""

import csv
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from contracts.base import Event
from runtime.bus import Bus
from standalone.broker import BrokerServer
from standalone.choose import Choice, choose_broker, preference_from_environment
from standalone.demo.checks import Inbox
from standalone.demo.configuration import Places
from standalone.demo.run import rest_of
from standalone.demo.seed import Rest
from standalone.platform import Platform
from standalone.web import http_client
from support.waiting import until

CUSTOMERS_APP = "customers"
ARCHIVE = "report-archive"
BROKER_MESSAGE_BYTES = 10 * 1024 * 1024

# Rendered to HTML: small enough that the pipeline, not the renderer, is what is tested.
CUSTOMER_TEMPLATE = b"""<!doctype html><html><head><meta charset="utf-8"><title>{{ customer }}</title></head>
<body><h1 style="overflow-wrap: anywhere">{{ customer }}</h1><p id="total">{{ total }}</p><table>
{% for row in orders.rows %}<tr><td>{{ row.product }}</td><td>{{ row.amount }}</td></tr>
{% endfor %}</table></body></html>
"""


def customer_names(count: int) -> list[str]:
    """Return the customers of the test app."""
    return [f"C{number:04d}" for number in range(count)]


def write_customers_app(folder: Path, count: int) -> dict[str, int]:
    """Write a Qlik app's table with six orders for each customer; return the total of each."""
    folder.mkdir(parents=True, exist_ok=True)
    pick = random.Random(11)
    totals: dict[str, int] = {}
    with (folder / "orders.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["customer", "product", "amount"])
        for name in customer_names(count):
            for product in ("anvil", "bolt", "crate", "drill", "easel", "flask"):
                amount = pick.randint(1, 999)
                totals[name] = totals.get(name, 0) + amount
                table.writerow([name, product, amount])
    (folder / "app.json").write_text(f'{{"id": "{CUSTOMERS_APP}", "name": "Customers"}}', encoding="utf-8")
    return totals


@dataclass(slots=True)
class Stage:
    """A running platform and what tests do with it."""

    platform: Platform
    rest: Rest
    choice: Choice
    totals: Mapping[str, int]
    inbox: Inbox = field(init=False)

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.platform.inbox.api_url)

    @property
    def places(self) -> Places:
        platform = self.platform
        return Places(
            engine_url=platform.qlik.engine_url,
            qrs_url=platform.qlik.http_url,
            s3_endpoint=platform.objects.endpoint,
            s3_access_key=platform.objects.access_key,
            s3_secret_key=platform.objects.secret_key,
            archive_bucket=ARCHIVE,
        )

    async def create(self, path: str, **body: Any) -> dict[str, Any]:
        """Create an object through REST."""
        answer: dict[str, Any] = await self.rest.call("POST", f"/api/v1/{path}", json=body)
        return answer

    async def customers(self) -> None:
        """Create the connection, template and report over the customers app, once."""
        await self.create(
            "connections",
            id="customers-site",
            name="Customers",
            kind="client-managed",
            settings={
                "engine_url": self.places.engine_url,
                "qrs_url": self.places.qrs_url,
                "auth": {"kind": "certificate", "user_directory": "INTERNAL", "user_id": "sa_engine"},
                # A simulator on loopback bears more than a real site's proxy does.
                "limits": {"sessions_per_user": 16, "ttl_s": 0},
            },
        )
        await self.create(
            "storage-spaces",
            id="customers-archive",
            name="Archive",
            kind="s3",
            settings={
                "endpoint": self.places.s3_endpoint,
                "region": "us-east-1",
                "bucket": ARCHIVE,
                "prefix": "customers",
                "access_key": self.places.s3_access_key,
            },
            secrets={"secret_key": self.places.s3_secret_key},
        )
        await self.rest.call(
            "POST",
            "/api/v1/templates",
            data={"id": "customer", "name": "Customer"},
            files={"file": ("customer.html", CUSTOMER_TEMPLATE)},
        )
        for report_id, iteration in (("per-customer", {"field": "customer"}), ("all-customers", None)):
            await self.create(
                "reports",
                id=report_id,
                name=report_id,
                connection_id="customers-site",
                app_id=CUSTOMERS_APP,
                template_id="customer",
                data=[
                    {"kind": "expression", "name": "customer", "expression": "Concat(distinct customer)"}
                    if iteration is None
                    else {"kind": "expression", "name": "customer", "expression": "Only(customer)"},
                    {"kind": "expression", "name": "total", "expression": "Sum(amount)"},
                    {
                        "kind": "table",
                        "name": "orders",
                        "dimensions": [{"name": "product", "expression": "product"}],
                        "measures": [{"name": "amount", "expression": "Sum(amount)"}],
                        "sort": ["product"],
                    },
                ],
                iteration=iteration,
                file_name="{{ report.name }} {{ iteration.value }}" if iteration else "{{ report.name }}",
            )

    async def run(self, task_id: str, *, seconds: float = 120) -> dict[str, Any]:
        """Run a task now and return its execution once it is over."""
        asked = await self.rest.call("POST", f"/api/v1/tasks/{task_id}/runs")
        return await self.finished(asked["execution_id"], seconds=seconds)

    async def finished(self, execution_id: str, *, seconds: float = 120) -> dict[str, Any]:
        """Return an execution once its TaskCompleted has reached the read models, and what it counts.

        Topics are recorded side by side: the end may be known before all that it ended.
        """
        found: dict[str, Any] = {}

        async def over() -> bool:
            found.update(await self.execution(execution_id) or {})
            return found.get("state") == "completed" and (found["outcome"] == "error" or _counted(found))

        await until(over, seconds=seconds, every=0.25, what=f"the end of execution {execution_id}")
        return found

    async def execution(self, execution_id: str) -> dict[str, Any] | None:
        """Return an execution as the status shows it; None while it is not known."""
        headers = {"Authorization": f"Bearer {self.rest.key}"}
        async with http_client(base_url=self.rest.base_url, timeout=30.0, headers=headers) as http:
            try:
                reply = await http.get(f"/api/v1/executions/{execution_id}")
            except httpx.TransportError:
                return None
        if reply.status_code != httpx.codes.OK:
            return None
        answer: dict[str, Any] = reply.json()
        return answer

    async def audit(self, **query: str) -> list[dict[str, Any]]:
        """Return every audit record that matches."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = await self.rest.call(
                "GET", "/api/v1/audit", params={**query, "after": after, "limit": 1000}
            )
            found += page["items"]
            if len(page["items"]) < 1000:
                return found
            after = page["items"][-1]["seq"]

    async def publish(self, event: Event) -> None:
        """Publish an event as a service would."""
        async with Bus(self.platform.settings(), service="test") as bus:
            await bus.publish(event)

    async def mails_for(self, address: str) -> list[dict[str, Any]]:
        """Return the mails that name an address in the envelope."""
        return [each for each in await self.inbox.messages() if address in each["rcpt_to"]]


def _counted(execution: Mapping[str, Any]) -> bool:
    """Return whether each unit and delivery that was planned stands in the counts as settled."""
    return all(
        counts["planned"] == sum(number for name, number in counts.items() if name != "planned")
        for counts in (execution["units"], execution["deliveries"])
    )


@asynccontextmanager
async def staged(
    folder: Path,
    *,
    customers: int = 40,
    generators: int = 1,
    replicas: int = 1,
    variables: Mapping[str, str] | None = None,
    broker: BrokerServer | None = None,
) -> AsyncIterator[Stage]:
    """Start a platform of its own under a folder; stop it at the end."""
    choice = choose_broker(
        folder / "broker", prefer=preference_from_environment(), message_max_bytes=BROKER_MESSAGE_BYTES
    )
    if broker is not None:
        choice = Choice(broker, "given")
    totals = write_customers_app(folder / "customers-app", customers)
    platform = Platform(
        data=folder / "platform",
        broker=choice.server,
        generators=generators,
        replicas=replicas,
        buckets=(ARCHIVE,),
        apps=("flights", str(folder / "customers-app")),
        restart="on-failure",
        variables={
            "BROADSHEET_LOG_LEVEL": "info",
            "BROADSHEET_RELOAD_POLL_S": "1",
            "BROADSHEET_CONNECTIONS_REFRESH_S": "1",
            "BROADSHEET_TICK_S": "0.5",
            **(variables or {}),
        },
    )
    async with platform:
        stage = Stage(platform, await rest_of(platform), choice, totals)
        await stage.customers()
        yield stage
