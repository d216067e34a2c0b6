"""What the distributor counts. The list is the documentation (docs/architecture/delivery.md)."""

from prometheus_client import Counter, Gauge, Histogram

SETTLED = Counter(
    "broadsheet_deliveries_total",
    "Deliveries settled by a worker, by channel and final state.",
    ["channel", "outcome"],
)
SWEPT = Counter(
    "broadsheet_deliveries_swept_total",
    "Deliveries that no worker finished: overdue ones, and mails left behind while being handed over.",
    ["kind"],
)
ATTEMPTS = Counter(
    "broadsheet_delivery_attempts_total",
    "Attempts by channel and what came of them: a final state, again, or lease-lost.",
    ["channel", "outcome"],
)
DURATION = Histogram(
    "broadsheet_delivery_attempt_seconds",
    "Duration of an attempt in seconds.",
    ["channel"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
LEASES_LOST = Counter(
    "broadsheet_delivery_leases_lost_total",
    "Attempts whose outcome could not be written because somebody else owned the row.",
    ["channel"],
)
OLDEST_READY = Gauge(
    "broadsheet_delivery_oldest_ready_seconds",
    "Age of the oldest row that is due and unclaimed.",
    ["channel"],
)
OPEN_CIRCUITS = Gauge(
    "broadsheet_delivery_open_circuits", "Targets left alone because they did not answer.", ["channel"]
)
