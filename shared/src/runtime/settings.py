"""Settings every service shares. Read once, in `__main__`, and passed down."""

import json
import os
import socket
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from runtime.hosts import is_entry

MAX_PLAN_BYTES = 64 * 1024 * 1024


def _replica() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class RuntimeSettings(BaseSettings):
    """Where the servers are and how patient the runtime is. Environment variables start with BROADSHEET_."""

    model_config = SettingsConfigDict(env_prefix="BROADSHEET_", frozen=True, extra="ignore")

    replica: str = Field(default_factory=_replica, description="name of this process in logs and leases")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    health_host: str = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65535, description="0 turns the health server off")] = 0

    http_head_timeout_s: Annotated[
        float, Field(gt=0, le=300, description="for the head of an HTTP request to arrive")
    ] = 10.0
    http_body_timeout_s: Annotated[
        float, Field(gt=0, le=3600, description="for its body, besides a second for every 16 KiB")
    ] = 30.0
    http_max_connections: Annotated[
        int,
        Field(ge=8, le=100_000, description="of one HTTP server; above it the longest silent one ends"),
    ] = 512

    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_idempotent: bool = Field(
        default=True,
        description="off only for the embedded broker, which has no idempotent producer and answers wrongly "
        "when it is asked for the end of a partition",
    )
    kafka_security: Literal["plaintext", "ssl", "sasl_ssl"] = "plaintext"
    kafka_ca_file: str | None = None
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_request_timeout_s: Annotated[float, Field(gt=0)] = 20.0
    # A killed replica's partitions stand still this long; 10 s is the least many brokers accept in practice.
    kafka_session_timeout_s: Annotated[float, Field(ge=6)] = 10.0
    # A handler that takes longer is taken for dead, and its message goes to another replica.
    kafka_max_poll_interval_s: Annotated[float, Field(ge=10)] = 600.0
    consumer_stalled_after_s: Annotated[
        float,
        Field(
            ge=1,
            description="a consumer that moves nothing for this long although messages wait, or fails on the "
            "same message for this long, makes the service not ready",
        ),
    ] = 60.0
    # Longer than the slowest handler, shorter than the container's grace period (60 s in deploy/).
    graceful_timeout_s: Annotated[float, Field(gt=0)] = 45.0

    max_event_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    # 20,000 files with 30,000 deliveries take 15 MiB; a larger plan is a task that should be several.
    max_plan_bytes: Annotated[
        int,
        Field(ge=10_000, description="size of the plan of one execution; the same for every service"),
    ] = MAX_PLAN_BYTES
    transient_pause_s: Annotated[float, Field(ge=0)] = 1.0
    bug_attempts: Annotated[int, Field(ge=1)] = 3
    # A bad deploy stops after this many dead letters in a row instead of emptying the topic overnight.
    stop_after_failures: Annotated[int, Field(ge=1)] = 20
    # Messages that are no events are the sender's fault; many in a row are borne, a flood is not.
    stop_after_malformed: Annotated[int, Field(ge=1)] = 5_000

    mongo_uri: SecretStr = SecretStr("mongodb://127.0.0.1:27017/?replicaSet=broadsheet")
    mongo_database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")] = "broadsheet"
    store_driver: Literal["motor", "pymongo"] = "motor"

    s3_endpoint: str | None = Field(default=None, description="unset: the cloud provider's own endpoint")
    s3_region: str = "us-east-1"
    s3_access_key: SecretStr | None = Field(default=None, description="unset: the SDK's own credential chain")
    s3_secret_key: SecretStr | None = None
    s3_bucket: str = "broadsheet"

    otlp_endpoint: str | None = Field(default=None, description="OTLP/HTTP base address; unset: no export")

    egress_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description=(
            "hosts, domains (`*.example.com`), addresses and networks (`10.1.0.0/16`) that connections and "
            "storage spaces may lead to, with commas; opens private addresses, which are closed otherwise"
        ),
    )
    egress_public: bool = Field(
        default=True,
        description="whether public addresses are open besides; off: only what egress_hosts lists",
    )
    storage_folder_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="folders below which storage spaces may lie, with commas; empty: none",
    )

    secret_key: SecretStr | None = Field(
        default=None, description="Fernet key, or several with commas (newest first), for secrets at rest"
    )

    @field_validator("egress_hosts", "storage_folder_roots", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return [each.strip() for each in value.split(",") if each.strip()]

    @field_validator("egress_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not is_entry(each):
                raise ValueError(
                    f"{each!r} is not a host, a domain such as *.example.com, an address or a network; "
                    "write it without scheme and port"
                )
        return value

    @field_validator("storage_folder_roots")
    @classmethod
    def _folders(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for each in value:
            if not each.is_absolute() or ".." in each.parts:
                raise ValueError(f"{str(each)!r} is not an absolute path without '..'")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.graceful_timeout_s >= self.kafka_max_poll_interval_s:
            raise ValueError("graceful_timeout_s has to be below kafka_max_poll_interval_s")
        if self.kafka_security == "sasl_ssl" and not (self.kafka_username and self.kafka_password):
            raise ValueError("kafka_security 'sasl_ssl' needs kafka_username and kafka_password")
        return self
