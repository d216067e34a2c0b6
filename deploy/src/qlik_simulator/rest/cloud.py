"""The REST interface of a tenant: OAuth, apps, reloads, webhooks, reports."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import JSONResponse

from qlik_simulator.apps.app import App
from qlik_simulator.cloud.events import EVENT_TYPES, TENANT
from qlik_simulator.cloud.limits import RateLimiter
from qlik_simulator.cloud.reloads import RUNNING, CloudReloads
from qlik_simulator.cloud.reports import Report, ReportError, Reports
from qlik_simulator.cloud.webhooks import Webhook, Webhooks
from qlik_simulator.engine.address import bearer_of
from qlik_simulator.reloads import Reloads
from qlik_simulator.rest.filters import FilterError, predicate
from qlik_simulator.site import Site, iso

Json = dict[str, Any]
_TOO_MANY: Final = 429
_LONGEST_LIST: Final = 100


class CloudError(Exception):
    """An error answer of a tenant: ``{"errors": [..], "traceId": ..}``."""

    def __init__(self, status: int, code: str, title: str, detail: str = "", retry_after: int = 0) -> None:
        self.status, self.code, self.title, self.detail, self.retry_after = (
            status,
            code,
            title,
            detail,
            retry_after,
        )
        super().__init__(f"{status} {code} {title}")


async def cloud_error(_: Request, error: Exception) -> Response:
    """Write a `CloudError`."""
    if not isinstance(error, CloudError):
        raise error
    body = {
        "errors": [{"code": error.code, "title": error.title, "detail": error.detail}],
        "traceId": "0" * 32,
    }
    headers = {"retry-after": str(error.retry_after)} if error.retry_after else None
    return JSONResponse(body, error.status, headers)


@dataclass(frozen=True)
class Tenant:
    """Everything the routes need."""

    site: Site
    limiter: RateLimiter
    reloads: CloudReloads
    runner: Reloads
    webhooks: Webhooks
    reports: Reports

    def user(self, request: Request, tier: str) -> str:
        """Who calls, after the fault, the token and the rate limit were looked at. Raises `CloudError`."""
        fault = self.site.faults.take("cloud", request.url.path)
        if fault is not None:
            wait = int(fault.seconds) if fault.code == _TOO_MANY else 0
            raise CloudError(fault.code, f"HTTP-{fault.code}", fault.topic or "refused on command", "", wait)
        user = self.site.credentials.bearer(bearer_of(request.headers.get("authorization", "")) or "")
        if user is None:
            raise CloudError(401, "HTTP-401", "Unauthorized")
        wait_for = self.limiter.wait(user, tier)
        if wait_for is not None:
            detail = f"You need to wait {wait_for} seconds before making another request."
            raise CloudError(_TOO_MANY, "HTTP-429", "API rate limit reached.", detail, wait_for)
        return user


def cloud_routes(tenant: Tenant) -> APIRouter:
    """All routes of the tenant."""
    router = APIRouter()
    _add_oauth(router, tenant.site)
    api = APIRouter(prefix="/api/v1")
    _add_apps(api, tenant)
    _add_reloads(api, tenant)
    _add_one_reload(api, tenant)
    _add_webhooks(api, tenant)
    _add_deliveries(api, tenant)
    _add_reports(api, tenant)
    _add_outputs(api, tenant)
    router.include_router(api)
    return router


def _add_oauth(router: APIRouter, site: Site) -> None:
    @router.post("/oauth/token")
    async def token(request: Request) -> Json:
        is_json = "json" in request.headers.get("content-type", "")
        given = dict(await request.json()) if is_json else dict(await request.form())
        client = str(given.get("client_id", ""))
        if not client or site.credentials.clients.get(client) != given.get("client_secret"):
            raise CloudError(401, "OAUTH-1", "Invalid client")
        match given.get("grant_type"):
            case "client_credentials":
                user = f"CLOUD\\{client}"
            case "urn:qlik:oauth:user-impersonation":
                lookup = given.get("user_lookup")
                if not isinstance(lookup, dict) or not lookup.get("value"):
                    raise CloudError(400, "OAUTH-2", "user_lookup is missing")
                user = f"CLOUD\\{lookup['value']}"
            case other:
                raise CloudError(400, "OAUTH-3", "Unsupported grant type", str(other))
        return {
            "access_token": site.credentials.issue_token(user),
            "token_type": "bearer",
            "expires_in": int(site.credentials.token_lifetime.total_seconds()),
            "scope": str(given.get("scope") or "user_default"),
        }


def _app_attributes(app: App) -> Json:
    return {
        "id": app.id,
        "name": app.name,
        "description": app.description,
        "published": True,
        "lastReloadTime": iso(app.last_reload_time),
        "createdDate": iso(app.last_reload_time),
        "modifiedDate": iso(app.last_reload_time),
        "owner": app.owner,
        "ownerId": app.owner,
        "hasSectionAccess": False,
        "encrypted": True,
        "originAppId": "",
        "thumbnail": "",
        "dynamicColor": "",
        "usage": "ANALYTICS",
    }


def _add_apps(api: APIRouter, tenant: Tenant) -> None:
    site = tenant.site

    @api.get("/users/me")
    async def me(request: Request) -> Json:
        user = tenant.user(request, "tier1")
        return {"id": user, "name": user, "subject": user, "tenantId": TENANT, "status": "active"}

    @api.get("/items")
    async def items(request: Request, kind: Annotated[str, Query(alias="resourceType")] = "app") -> Json:
        tenant.user(request, "tier1")
        found = [
            {
                "id": app.id,
                "name": app.name,
                "description": app.description,
                "resourceId": app.id,
                "resourceType": "app",
                "resourceAttributes": _app_attributes(app),
                "tenantId": TENANT,
                "updatedAt": iso(app.last_reload_time),
            }
            for app in site.apps.values()
            if kind == "app"
        ]
        return {"data": found, "links": {"self": {"href": str(request.url)}}}

    @api.get("/apps/{app_id}")
    async def one(app_id: str, request: Request) -> Json:
        tenant.user(request, "tier1")
        app = site.apps.get(app_id)
        if app is None:
            raise CloudError(404, "APP-404", "Not found", app_id)
        return {
            "attributes": _app_attributes(app),
            "privileges": ["read", "reload", "exportdata"],
            "create": [],
        }


def _add_reloads(api: APIRouter, tenant: Tenant) -> None:
    @api.get("/reloads")
    async def listed(
        request: Request,
        app_id: Annotated[str, Query(alias="appId")] = "",
        text: Annotated[str, Query(alias="filter")] = "",
        limit: Annotated[int, Query(ge=1, le=_LONGEST_LIST)] = 10,
        start: Annotated[int, Query(alias="next", ge=0)] = 0,
    ) -> Json:
        tenant.user(request, "tier1")
        passes = _readable(text)
        found = [
            entry.shown() for entry in tenant.reloads.all.values() if not app_id or entry.app_id == app_id
        ]
        found = [entry for entry in found if passes(entry)]
        if request.query_params.get("sort", "-creationTime").startswith("-"):
            found.reverse()
        page = found[start : start + limit]
        links = {"self": {"href": str(request.url)}}
        if start + limit < len(found):
            links["next"] = {"href": str(request.url.include_query_params(next=start + limit))}
        if start:
            links["prev"] = {"href": str(request.url.include_query_params(next=max(start - limit, 0)))}
        return {"data": page, "links": links}


def _add_one_reload(api: APIRouter, tenant: Tenant) -> None:
    @api.get("/reloads/{reload_id}")
    async def one(reload_id: str, request: Request) -> Json:
        tenant.user(request, "tier1")
        found = tenant.reloads.all.get(reload_id)
        if found is None:
            raise CloudError(404, "RELOADS-014", "Not found", reload_id)
        return found.shown()

    @api.post("/reloads", status_code=201)
    async def create(request: Request, asked: Annotated[Json, Body()]) -> Json:
        user = tenant.user(request, "reloads")
        app = tenant.site.apps.get(str(asked.get("appId")))
        if app is None:
            raise CloudError(404, "RELOADS-015", "App not found", str(asked.get("appId")))
        partial, weight = bool(asked.get("partial")), int(asked.get("weight") or 1)
        made = tenant.reloads.request(app, user, partial=partial, weight=weight)
        shown = made.shown()
        tenant.runner.start_cloud(made)
        return shown

    @api.post("/reloads/{reload_id}/actions/cancel", status_code=202)
    async def cancel(reload_id: str, request: Request) -> Response:
        tenant.user(request, "tier2")
        found = tenant.reloads.all.get(reload_id)
        if found is None:
            raise CloudError(404, "RELOADS-014", "Not found", reload_id)
        if found.status not in RUNNING:
            return Response(status_code=204)
        found.status = "CANCELING"
        return Response(status_code=202)


def _readable(text: str) -> Callable[[Json], bool]:
    try:
        return predicate(text)
    except FilterError as error:
        raise CloudError(400, "HTTP-400", "Bad filter", str(error)) from error


def _webhook_settings(asked: Json) -> Json:
    unknown = [str(kind) for kind in asked.get("eventTypes") or [] if kind not in EVENT_TYPES]
    if unknown or not asked.get("eventTypes") or not asked.get("url") or not asked.get("name"):
        known = ", ".join(EVENT_TYPES)
        raise CloudError(
            400, "WEBHOOKS-400", "Bad webhook", f"name, url and eventTypes are needed; types: {known}"
        )
    _readable(str(asked.get("filter") or ""))
    return {"level": "user", "enabled": True, "description": "", "checkCertificateRevocation": True, **asked}


def _add_webhooks(api: APIRouter, tenant: Tenant) -> None:
    webhooks = tenant.webhooks

    @api.get("/webhooks")
    async def listed(request: Request) -> Json:
        tenant.user(request, "tier1")
        return {"data": [found.shown() for found in webhooks.all.values()], "links": {}}

    @api.get("/webhooks/event-types")
    async def event_types(request: Request) -> Json:
        tenant.user(request, "tier1")
        return {"data": [{"name": kind, "title": kind, "levels": ["tenant", "user"]} for kind in EVENT_TYPES]}

    @api.post("/webhooks", status_code=201)
    async def create(request: Request, asked: Annotated[Json, Body()]) -> Json:
        user = tenant.user(request, "tier2")
        made = Webhook(tenant.site.new_id(), _webhook_settings(asked), user, tenant.site.now())
        webhooks.all[made.id] = made
        return made.shown()

    @api.get("/webhooks/{webhook_id}")
    async def one(webhook_id: str, request: Request) -> Json:
        tenant.user(request, "tier1")
        return _webhook(webhooks, webhook_id).shown()

    @api.put("/webhooks/{webhook_id}", status_code=204)
    async def replace(webhook_id: str, request: Request, asked: Annotated[Json, Body()]) -> None:
        tenant.user(request, "tier2")
        found = _webhook(webhooks, webhook_id)
        kept = {"secret": found.settings["secret"]} if "secret" in found.settings else {}
        found.settings = _webhook_settings({**kept, **asked})

    @api.patch("/webhooks/{webhook_id}", status_code=204)
    async def patch(webhook_id: str, request: Request, asked: Annotated[list[Json], Body()]) -> None:
        tenant.user(request, "tier2")
        found = _webhook(webhooks, webhook_id)
        changed = dict(found.settings)
        for operation in asked:
            name = str(operation.get("path", "")).strip("/")
            if operation.get("op") != "replace" or not name or "/" in name:
                raise CloudError(400, "WEBHOOKS-400", "Only a replace of a top-level member is known here")
            changed[name] = operation.get("value")
        found.settings = _webhook_settings(changed)

    @api.delete("/webhooks/{webhook_id}", status_code=204)
    async def delete(webhook_id: str, request: Request) -> None:
        tenant.user(request, "tier2")
        del webhooks.all[_webhook(webhooks, webhook_id).id]


def _webhook(webhooks: Webhooks, webhook_id: str) -> Webhook:
    found = webhooks.all.get(webhook_id)
    if found is None:
        raise CloudError(404, "WEBHOOKS-404", "Not found", webhook_id)
    return found


def _add_deliveries(api: APIRouter, tenant: Tenant) -> None:
    webhooks = tenant.webhooks

    @api.get("/webhooks/{webhook_id}/deliveries")
    async def deliveries(webhook_id: str, request: Request, status: str = "") -> Json:
        tenant.user(request, "tier1")
        _webhook(webhooks, webhook_id)
        found = [kept.shown() for kept in webhooks.deliveries.values() if kept.webhook_id == webhook_id]
        return {"data": [entry for entry in found if not status or entry["status"] == status], "links": {}}

    @api.post("/webhooks/{webhook_id}/deliveries/{delivery_id}/actions/resend", status_code=204)
    async def resend(webhook_id: str, delivery_id: str, request: Request) -> None:
        tenant.user(request, "tier2")
        _webhook(webhooks, webhook_id)
        found = webhooks.deliveries.get(delivery_id)
        if found is None or found.webhook_id != webhook_id:
            raise CloudError(404, "WEBHOOKS-404", "Not found", delivery_id)
        webhooks.resend(found)


def _report(tenant: Tenant, report_id: str) -> Report:
    found = tenant.reports.all.get(report_id)
    if found is None:
        raise CloudError(404, "REP-404000", "Not found", report_id)
    return found


def _location(request: Request, report: Report) -> str:
    output_id = report.output.id if report.output is not None else ""
    return f"{str(request.base_url).rstrip('/')}/api/v1/temp-contents/{output_id}?inline=1"


def _add_reports(api: APIRouter, tenant: Tenant) -> None:
    reports = tenant.reports

    @api.post("/reports", status_code=202)
    async def create(request: Request, response: Response, asked: Annotated[Json, Body()]) -> Json:
        user = tenant.user(request, "reports")
        try:
            made = reports.request(asked, user)
        except ReportError as error:
            raise CloudError(error.status, error.code, error.title, error.detail) from error
        base = f"{str(request.base_url).rstrip('/')}/api/v1/reports/{made.id}"
        response.headers["Location"] = f"{base}/status"
        return {
            "requestId": made.id,
            "message": "Report request successfully received",
            "outputsUrl": f"{base}/outputs",
        }

    @api.get("/reports/{report_id}/status")
    async def status(report_id: str, request: Request) -> Json:
        tenant.user(request, "tier1")
        found = _report(tenant, report_id)
        results = []
        if found.output is not None:
            results.append(
                {"location": _location(request, found), "outputId": found.asked["output"]["outputId"]}
            )
        return {
            "status": found.status,
            "statusTimeTrackerData": {},
            "resolutionAttempts": 1,
            "results": results,
            "reasons": found.reasons,
        }

    @api.get("/reports/{report_id}/outputs")
    async def outputs(report_id: str, request: Request) -> Json:
        tenant.user(request, "tier1")
        found = _report(tenant, report_id)
        entry: Json = {
            "outputId": found.asked["output"]["outputId"],
            "status": found.status,
            "traceId": "0" * 32,
            "cycleSelections": [],
            "exportErrors": found.reasons,
        }
        if found.output is not None:
            entry |= {"location": _location(request, found), "sizeBytes": len(found.output.content)}
        return {"data": [entry], "links": {"self": {"href": str(request.url)}}}


def _add_outputs(api: APIRouter, tenant: Tenant) -> None:
    @api.get("/temp-contents/{output_id}")
    async def download(output_id: str, request: Request) -> Response:
        tenant.user(request, "tier1")
        found = tenant.reports.outputs.get(output_id)
        if found is None:
            raise CloudError(404, "TEMPCONTENT-404", "Not found", output_id)
        if tenant.site.now() >= found.ends:
            raise CloudError(410, "TEMPCONTENT-410", "Gone", output_id)
        return Response(found.content, media_type=found.media)
