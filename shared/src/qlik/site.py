"""Where a Qlik site is, how to sign in, and how much may be asked of it."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CertificateAuth(_Frozen):
    """Straight to the engine (4747) and the repository (4242) with a certificate exported from the QMC.

    The certificate may speak for any user, so it is the most powerful secret of the site. The PEM texts may
    be missing only for a development engine over plain `ws://`.
    """

    kind: Literal["certificate"] = "certificate"
    user_directory: str = Field(min_length=1)
    user_id: str = Field(min_length=1)
    client_pem: SecretStr | None = None
    key_pem: SecretStr | None = None
    ca_pem: SecretStr | None = None


class JwtAuth(_Frozen):
    """A JSON Web Token that a virtual proxy of a client-managed site accepts.

    `origin` is in its host allow-list.
    """

    kind: Literal["jwt"] = "jwt"
    virtual_proxy: str = ""
    token: SecretStr
    origin: str = ""
    ca_pem: SecretStr | None = None


class TicketAuth(_Frozen):
    """A ticket per session from the proxy's own API (QPS, port 4243).

    Asked for with the site's certificate.
    """

    kind: Literal["ticket"] = "ticket"
    qps_url: str
    virtual_proxy: str = ""
    user_directory: str = Field(min_length=1)
    user_id: str = Field(min_length=1)
    origin: str = ""
    client_pem: SecretStr | None = None
    key_pem: SecretStr | None = None
    ca_pem: SecretStr | None = None


class ApiKeyAuth(_Frozen):
    """An API key of Qlik Cloud; acts as the user who made it."""

    kind: Literal["api-key"] = "api-key"
    key: SecretStr


class Impersonation(_Frozen):
    """The user a Cloud OAuth client speaks for.

    So that section access reduces the data to what that user sees.
    """

    field: Literal["subject", "userId"] = "subject"
    value: str = Field(min_length=1)


class OAuthM2MAuth(_Frozen):
    """A machine-to-machine OAuth client of Qlik Cloud. Tokens live about six hours and are renewed here."""

    kind: Literal["oauth-m2m"] = "oauth-m2m"
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    impersonate: Impersonation | None = None


Auth = Annotated[
    CertificateAuth | JwtAuth | TicketAuth | ApiKeyAuth | OAuthM2MAuth, Field(discriminator="kind")
]


class Limits(_Frozen):
    """How long to wait and how much to ask. All durations are seconds."""

    connect_s: float = Field(
        default=45, gt=0, le=300
    )  # first JWT bootstrap after a quiet time took 15 to 21 s
    open_s: float = Field(default=600, gt=0, le=3600)  # Qlik Cloud itself gives an app 10 minutes to open
    call_s: float = Field(
        default=180, gt=0, le=3600
    )  # a sort by expression over 91 M rows was measured at 286 s
    rest_s: float = Field(default=60, gt=0, le=600)  # first QRS call after a quiet time takes 3 to 15 s
    max_rows_per_object: int = Field(default=1_000_000, gt=0)  # what one Excel sheet holds, roughly
    max_cells_in_memory: int = Field(default=5_000_000, gt=0)  # about 0.7 GB; larger tables are streamed
    pages_in_flight: int = Field(
        default=3, ge=1, le=10
    )  # hides the round trip; the engine calculates one by one
    calls_in_flight: int = Field(default=10, ge=1, le=50)  # per socket; more only fills the engine's queue
    sessions_per_user: int = Field(
        default=4, ge=1, le=200
    )  # a client-managed proxy refuses the sixth of one user; one is left to the person behind the account
    sessions_per_site: int = Field(
        default=16, ge=1, le=500
    )  # of all users together: each session keeps selections and results in the engine's memory
    ttl_s: int = Field(
        default=5, ge=0, le=3600
    )  # measured: with ttl 5 a session is free about 5 s after close
    keep_alive_s: float = Field(default=15, gt=0, le=600)  # gaps of 25 to 40 s led to drops in Qlik Cloud
    max_body_bytes: int = Field(
        default=128 * 2**20, gt=0
    )  # of an HTTP answer, unpacked; workbooks that a tenant makes have 100 MB at most
    max_frame_bytes: int = Field(
        default=128 * 2**20, gt=0
    )  # layouts reach tens of MB; the library's default is 1 MiB


class QlikSite(_Frozen):
    """One Qlik Sense site, as one user sees it.

    `engine_url` is the base of the web socket address, for example `wss://qlik.example.com:4747` or
    `wss://tenant.eu.qlikcloud.com`. `qrs_url` (client-managed) is the base of the repository, for example
    `https://qlik.example.com:4242`; `tenant_url` (Cloud) is `https://tenant.eu.qlikcloud.com`.
    """

    kind: Literal["client-managed", "cloud"]
    engine_url: str
    qrs_url: str | None = None
    tenant_url: str | None = None
    auth: Auth
    limits: Limits = Limits()

    @field_validator("engine_url")
    @classmethod
    def _web_socket_address(cls, value: str) -> str:
        return _base(value, {"ws", "wss"}, "engine_url")

    @field_validator("qrs_url", "tenant_url")
    @classmethod
    def _http_address(cls, value: str | None) -> str | None:
        return None if value is None else _base(value, {"http", "https"}, "qrs_url or tenant_url")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        cloud_auth = isinstance(self.auth, ApiKeyAuth | OAuthM2MAuth)
        if (self.kind == "cloud") != cloud_auth:
            raise _refused(
                f"The auth.kind {self.auth.kind!r} does not fit kind {self.kind!r}.",
                "Use 'api-key' or 'oauth-m2m' for Qlik Cloud, and 'certificate', 'jwt' or 'ticket' for a "
                "client-managed site.",
            )
        if self.kind == "cloud" and self.tenant_url is None:
            raise _refused(
                "The tenant_url is needed for Qlik Cloud.",
                "Add it, for example https://tenant.eu.qlikcloud.com.",
            )
        if isinstance(self.auth, CertificateAuth) and self.engine_url.startswith("wss:"):
            missing = [n for n in ("client_pem", "key_pem") if getattr(self.auth, n) is None]
            if missing:
                raise _refused(
                    f"The certificate is incomplete: auth.{' and auth.'.join(missing)} missing.",
                    "In the QMC, export the certificates (client.pem, client_key.pem, root.pem), "
                    "then add them.",
                )
        return self

    @property
    def name(self) -> str:
        """The site in words, free of secrets: host and port of the engine."""
        return urlsplit(self.engine_url).netloc

    @property
    def user(self) -> str:
        """Whom the site takes us for, free of secrets: what its limit of sessions per user counts by.

        Of keys and tokens, which do not say whose they are, a digest.
        """
        match self.auth:
            case CertificateAuth() | TicketAuth():
                return f"{self.auth.user_directory}\\{self.auth.user_id}"
            case OAuthM2MAuth():
                who = self.auth.impersonate
                return f"client {self.auth.client_id}" + (f" for {who.field} {who.value}" if who else "")
            case JwtAuth():
                return f"token {_digest(self.auth.token)}"
            case ApiKeyAuth():
                return f"key {_digest(self.auth.key)}"


def _digest(secret: SecretStr) -> str:
    return hashlib.sha256(secret.get_secret_value().encode()).hexdigest()[:16]


def _refused(message: str, remedy: str) -> PydanticCustomError:
    # Message and remedy are kept apart in the context, for answers that have a place for each.
    return PydanticCustomError("refused", "{message} {remedy}", {"message": message, "remedy": remedy})


def _base(value: str, schemes: set[str], what: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in schemes or not parts.hostname:
        names = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise _refused(
            f"The {what} is not the address of a site.", f"It must start with {names} and name a host."
        )
    if parts.query or parts.fragment or parts.username or parts.password:
        raise _refused(
            f"The {what} has a query, a fragment or a password.",
            "It must not carry any of them; remove what follows '?' or '#' and what stands before '@'.",
        )
    return value.rstrip("/")
