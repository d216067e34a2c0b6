"""What the demo configures, as bodies of the REST interface."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

APP_ID = "3b1c6a52-9f0d-4c9e-8a0b-f11640201301"
TASK_ID = "carrier-punctuality"
XLSX_REPORT = "carrier-punctuality-excel"
PDF_REPORT = "carrier-punctuality-pdf"
OWNER = "bi-team@example.com"
MANAGERS = ("dana.reyes@example.com", "lee.morgan@example.com")
MINIMUM_FLIGHTS = 100
SKIPPED_CARRIER = "OO"

CARRIERS = {
    "9E": "Endeavor Air",
    "AA": "American Airlines",
    "AS": "Alaska Airlines",
    "B6": "JetBlue Airways",
    "DL": "Delta Air Lines",
    "EV": "ExpressJet Airlines",
    "F9": "Frontier Airlines",
    "FL": "AirTran Airways",
    "HA": "Hawaiian Airlines",
    "MQ": "Envoy Air",
    "OO": "SkyWest Airlines",
    "UA": "United Air Lines",
    "US": "US Airways",
    "VX": "Virgin America",
    "WN": "Southwest Airlines",
    "YV": "Mesa Airlines",
}

_ON_TIME = "Sum(If(arr_delay <= 15, 1, 0)) / Count(arr_delay)"
_DATA: list[dict[str, Any]] = [
    {"kind": "expression", "name": "airline", "expression": "Only(name)"},
    {"kind": "expression", "name": "carrier", "expression": "Only(carrier)"},
    {"kind": "expression", "name": "flights", "expression": "Count(flight)"},
    {"kind": "expression", "name": "avg_arr_delay", "expression": "Avg(arr_delay)"},
    {"kind": "expression", "name": "on_time_share", "expression": _ON_TIME},
    {"kind": "expression", "name": "cancelled", "expression": "Sum(cancelled)"},
    {
        "kind": "table",
        "name": "by_month",
        "dimensions": [{"name": "month", "expression": "month", "label": "Month"}],
        "measures": [
            {"name": "flights", "expression": "Count(flight)", "label": "Flights"},
            {"name": "avg_dep_delay", "expression": "Avg(dep_delay)", "label": "Departure delay, min"},
            {"name": "avg_arr_delay", "expression": "Avg(arr_delay)", "label": "Arrival delay, min"},
            {"name": "on_time_share", "expression": _ON_TIME, "label": "On time"},
        ],
        "sort": ["month"],
    },
    {
        "kind": "table",
        "name": "destinations",
        "dimensions": [{"name": "dest", "expression": "dest", "label": "Destination"}],
        "measures": [
            {"name": "flights", "expression": "Count(flight)", "label": "Flights"},
            {"name": "avg_arr_delay", "expression": "Avg(arr_delay)", "label": "Arrival delay, min"},
        ],
        "sort": ["-flights", "dest"],
    },
    {
        "kind": "chart",
        "name": "delay_by_month",
        "chart": "line",
        "table": "by_month",
        "category": "month",
        "series": ["avg_dep_delay", "avg_arr_delay"],
        "title": "Average delay by month, minutes",
    },
]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the demo's servers are."""

    engine_url: str
    qrs_url: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    archive_bucket: str = "report-archive"


@dataclass(frozen=True, slots=True)
class Demo:
    """Everything to be created, in the order of its references: (path, body)."""

    objects: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    templates: list[tuple[str, str, bytes]] = field(default_factory=list)


def address_of(carrier: str) -> str:
    """Return the address of a carrier's recipient."""
    return f"{carrier.lower()}@carriers.example.com"


def recipient_id(carrier: str) -> str:
    """Return the id of a carrier's recipient."""
    return f"carrier-{carrier.lower()}"


def template(name: str) -> bytes:
    """Return one of the demo's template files."""
    return (files("standalone.demo") / "templates" / name).read_bytes()


def demo(places: Places, *, started: datetime) -> Demo:
    """Return the demo's configuration; `started` is when its schedule begins."""
    objects = [_connection(places), _storage(places), *_people(), *_reports(), _task(started)]
    return Demo(
        objects=objects,
        templates=[
            ("carrier-punctuality-xlsx", "carrier-punctuality.xlsx", template("carrier-punctuality.xlsx")),
            ("carrier-punctuality-html", "carrier-punctuality.html", template("carrier-punctuality.html")),
        ],
    )


def _connection(places: Places) -> tuple[str, dict[str, Any]]:
    return (
        "connections",
        {
            "id": "qlik",
            "name": "Qlik Sense (simulated)",
            "kind": "client-managed",
            "settings": {
                "engine_url": places.engine_url,
                "qrs_url": places.qrs_url,
                "auth": {"kind": "certificate", "user_directory": "INTERNAL", "user_id": "sa_engine"},
            },
        },
    )


def _storage(places: Places) -> tuple[str, dict[str, Any]]:
    return (
        "storage-spaces",
        {
            "id": "archive",
            "name": "Report archive",
            "kind": "s3",
            "settings": {
                "endpoint": places.s3_endpoint,
                "region": "us-east-1",
                "bucket": places.archive_bucket,
                "prefix": "punctuality",
                "access_key": places.s3_access_key,
            },
            "secrets": {"secret_key": places.s3_secret_key},
        },
    )


def _people() -> list[tuple[str, dict[str, Any]]]:
    carriers = [
        (
            "recipients",
            {
                "id": recipient_id(code),
                "name": name,
                "email": address_of(code),
                "attributes": {"carrier": code},
            },
        )
        for code, name in CARRIERS.items()
    ]
    managers = [
        (
            "recipients",
            {
                "id": f"manager-{number}",
                "name": address.split("@")[0].replace(".", " ").title(),
                "email": address,
            },
        )
        for number, address in enumerate(MANAGERS, 1)
    ]
    groups = [
        (
            "groups",
            {"id": "carriers", "name": "Carriers", "members": [recipient_id(code) for code in CARRIERS]},
        ),
        ("groups", {"id": "managers", "name": "Managers", "members": ["manager-1", "manager-2"]}),
    ]
    return [*carriers, *managers, *groups]


def _reports() -> list[tuple[str, dict[str, Any]]]:
    def report(report_id: str, template_id: str) -> tuple[str, dict[str, Any]]:
        return (
            "reports",
            {
                "id": report_id,
                "name": "Carrier punctuality",
                "connection_id": "qlik",
                "app_id": APP_ID,
                "template_id": template_id,
                "data": _DATA,
                "iteration": {"field": "carrier"},
                "file_name": "Punctuality {{ iteration.value }} {{ date }}",
            },
        )

    return [
        report(XLSX_REPORT, "carrier-punctuality-xlsx"),
        report(PDF_REPORT, "carrier-punctuality-html"),
    ]


def _task(started: datetime) -> tuple[str, dict[str, Any]]:
    enough = {
        "name": "Enough flights",
        "per_iteration": True,
        "rules": [{"left": "=Count(flight)", "operator": ">=", "right": str(MINIMUM_FLIGHTS)}],
    }

    def task_report(name: str, report_id: str, output: str) -> dict[str, Any]:
        return {
            "id": name,
            "report_id": report_id,
            "format": output,
            "attach": True,
            "conditions": [enough],
            "storage": [{"storage_id": "archive", "path": "{{ iteration.value }}"}],
            "hub": {"publish": True, "keep": 5},
        }

    own = {"scope": "own", "scope_attribute": "carrier"}
    return (
        "tasks",
        {
            "id": TASK_ID,
            "name": "Carrier punctuality",
            "description": "One Excel and one PDF report per airline, to that airline and to the managers.",
            "reports": [
                task_report("excel", XLSX_REPORT, "xlsx"),
                task_report("pdf", PDF_REPORT, "pdf"),
            ],
            "recipients": [
                {"group_id": "carriers", "email": True, "hub": True, **own},
                {"group_id": "managers", "email": True, "hub": True, "zip_email": True},
            ],
            "triggers": [
                {
                    "kind": "qlik-reload",
                    "id": "flights-reloaded",
                    "name": "Flights reloaded",
                    "connection_id": "qlik",
                    "app_id": APP_ID,
                    "timezone": "America/New_York",
                },
                {
                    "kind": "schedule",
                    "id": "monday-morning",
                    "name": "Monday 07:30",
                    "rule": {"kind": "cron", "expression": "30 7 * * 1"},
                    "timezone": "America/New_York",
                    "start": started.astimezone(UTC).isoformat(),
                },
            ],
            "mail": {
                "subject": "{{ task.name }}: {{ recipient.name }}",
                "body": "Dear {{ recipient.name }},\n\nplease find the punctuality report attached.\n",
            },
            "notification": {"on_success": True, "on_warning": True, "on_error": True, "to": [OWNER]},
            "timezone": "America/New_York",
            "deadline": 900,
        },
    )
