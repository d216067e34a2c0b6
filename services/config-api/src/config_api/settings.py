"""Settings of config-api."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from runtime.hosts import network_of
from runtime.settings import RuntimeSettings


class ConfigApiSettings(RuntimeSettings):
    """What config-api needs beyond what every service does."""

    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535, description="0 takes a free one")] = 8080
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description=(
            "addresses and networks of the proxies in front, with commas, whose X-Forwarded-For is believed; "
            "without it all people behind a proxy share its address"
        ),
    )
    cookie_secure: bool = Field(
        default=True, description="session cookies over TLS only; off only for plain HTTP on loopback"
    )
    session_hours: Annotated[
        float, Field(gt=0, le=24 * 30, description="how long a session lasts in all")
    ] = 12.0
    session_idle_minutes: Annotated[
        float, Field(gt=0, le=24 * 60 * 30, description="a session without a request for so long ends")
    ] = 60.0
    max_template_bytes: Annotated[int, Field(ge=1024)] = 20 * 1024 * 1024
    macro_templates: bool = Field(
        default=True,
        description="whether templates with macros (.xlsm) are taken; reports carry their macros",
    )
    site_apps_timeout_s: Annotated[
        float, Field(gt=0, le=120, description="how long a Qlik site may take to list its apps for a person")
    ] = 10.0
    max_request_bytes: Annotated[int, Field(ge=4096)] = 24 * 1024 * 1024
    template_check_timeout_s: Annotated[float, Field(gt=0, le=300)] = 20.0
    report_check_timeout_s: Annotated[
        float, Field(gt=0, le=300, description="asking Qlik about a report")
    ] = 60.0
    storage_test_timeout_s: Annotated[
        float,
        Field(
            gt=0,
            le=300,
            description="Time a storage space may take to store, return and delete a small file.",
        ),
    ] = 15.0
    # One consumer records about 150 messages a second: each waits for the journals of a majority.
    audit_consumers: Annotated[int, Field(ge=1, le=16, description="per topic, for the audit trail")] = 1
    projection_interval_s: Annotated[float, Field(gt=0)] = 0.25
    bootstrap_admin_email: str | None = Field(
        default=None, description="the first administrator, made at the start while there is no account"
    )
    bootstrap_admin_password: SecretStr | None = None

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _proxies(cls, value: object) -> object:
        given = (
            [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value
        )
        for each in given if isinstance(given, list | tuple) else ():
            if network_of(str(each)) is None:
                raise ValueError(f"{each!r} is not an address or a network, such as 10.1.0.0/16")
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.bootstrap_admin_email is None) != (self.bootstrap_admin_password is None):
            raise ValueError("bootstrap_admin_email and bootstrap_admin_password go together")
        if self.max_template_bytes >= self.max_request_bytes:
            raise ValueError("max_request_bytes has to be above max_template_bytes")
        return self
