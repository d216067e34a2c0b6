"""The control API for tests and the demo (``/_sim``): loopback only, no part of any Qlik interface."""

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from qlik_simulator.cloud.events import Envelope
from qlik_simulator.cloud.limits import PER_MINUTE
from qlik_simulator.engine.session import Sessions
from qlik_simulator.faults import PLACES, FaultError, fault_of
from qlik_simulator.reloads import Course, Records
from qlik_simulator.repository import Repository
from qlik_simulator.rest.cloud import Tenant
from qlik_simulator.site import Site, iso

Json = dict[str, Any]


class Command(BaseModel):
    """A command; a member that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class ReloadCommand(Command):
    """Reload an app: ``status`` is ``success`` or ``fail``; it takes ``seconds``."""

    app_id: str
    status: str = Field(default="success", pattern="^(success|fail)$")
    seconds: float = Field(default=0.0, ge=0, le=600)
    message: str = ""
    with_task: bool = True  # false: as from the data load editor, which leaves no execution result


class FaultCommand(Command):
    """Order a fault at a place; ``GET /_sim/fault`` lists what there is."""

    place: str = "engine"
    fault: dict[str, Any]


class EndSessionsCommand(Command):
    """End engine sessions of a user (all users when empty) with a close code."""

    user: str = ""
    code: int = Field(default=4003, ge=1000, le=4999)
    reason: str = ""


class PolicyCommand(Command):
    """Change what the site allows; members that are left out stay as they are."""

    most_sessions: int | None = Field(default=None, ge=0)
    unlicensed: set[str] | None = None
    origins: set[str] | None = None
    prefixes: set[str] | None = None
    hang_after_ping: bool | None = None
    envelope: Envelope | None = None
    report_seconds: float | None = Field(default=None, ge=0, le=600)
    limits: dict[str, int] | None = None  # calls per minute, by tier


class TaskCommand(Command):
    """Enable or disable the reload task of an app."""

    app_id: str
    enabled: bool


@dataclass(frozen=True)
class Control:
    """What the commands do."""

    site: Site
    sessions: Sessions
    repository: Repository
    tenant: Tenant

    def state(self) -> Json:
        """Everything a test may want to look at."""
        site, repository = self.site, self.repository
        return {
            "apps": [
                {
                    "id": app.id,
                    "name": app.name,
                    "last_reload_time": iso(app.last_reload_time),
                    "rows": app.model.rows,
                }
                for app in site.apps.values()
            ],
            "tasks": [vars(task) for task in repository.tasks.values()],
            "executions": [repository.execution_json(found) for found in repository.executions.values()],
            "cloud_reloads": [found.shown() for found in self.tenant.reloads.all.values()],
            "subscriptions": [vars(found) for found in repository.subscriptions.values()],
            "webhooks": [found.shown() for found in self.tenant.webhooks.all.values()],
            "sessions": [
                {**vars(found.key), "sockets": len(found.listeners)} for found in self.sessions.all()
            ],
            "proxy_sessions": [
                {"user": found.user, "prefix": found.prefix}
                for found in site.credentials.proxy_sessions.values()
            ],
            "faults": {
                place: [vars(fault) for fault in faults] for place, faults in site.faults.waiting.items()
            },
        }

    async def reload(self, command: ReloadCommand) -> Json:
        """Reload an app, as the scheduler of a site or a tenant would, and wait until it is over."""
        app = self.site.app(command.app_id)
        if app is None:
            raise HTTPException(404, f"there is no app {command.app_id}; GET /_sim/state lists them")
        if not command.with_task:
            self.tenant.runner.renew(app)
            return {"last_reload_time": iso(app.last_reload_time)}
        task = next(found for found in self.repository.tasks.values() if found.app_id == app.id)
        triggered = self.repository.trigger(task)
        if triggered is None:
            raise HTTPException(409, "the task is disabled or running")
        execution, session_id = triggered
        cloud = self.tenant.reloads.request(app, app.owner)
        course = Course(command.status == "success", command.seconds, command.message)
        await self.tenant.runner.run(app, course, Records(execution, cloud))
        return {
            "execution_result_id": execution.id,
            "execution_id": execution.execution_id,
            "session_id": session_id,
            "cloud_reload_id": cloud.id,
            "last_reload_time": iso(app.last_reload_time),
        }

    def order(self, command: FaultCommand) -> Json:
        """Order a fault."""
        try:
            self.site.faults.add(command.place, fault_of(command.fault))
        except FaultError as error:
            raise HTTPException(422, str(error)) from error
        return {"waiting": len(self.site.faults.waiting[command.place])}

    def change(self, command: PolicyCommand) -> Json:
        """Change the policy."""
        policy = self.site.policy
        for name in ("most_sessions", "unlicensed", "origins", "prefixes", "hang_after_ping"):
            value = getattr(command, name)
            if value is not None:
                setattr(policy, name, value)
        if command.envelope is not None:
            self.tenant.webhooks.envelope = command.envelope
        if command.report_seconds is not None:
            self.tenant.reports.seconds = command.report_seconds
        for tier, per_minute in (command.limits or {}).items():
            if tier not in PER_MINUTE:
                raise HTTPException(422, f"there is no tier {tier}; there is: {', '.join(PER_MINUTE)}")
            self.tenant.limiter.set(tier, per_minute)
        return {**vars(policy), "limits": self.tenant.limiter.per_minute}


def control_routes(control: Control) -> APIRouter:
    """The routes of ``/_sim``."""

    async def loopback(request: Request) -> None:
        host = request.client.host if request.client is not None else ""
        if not ipaddress.ip_address(host).is_loopback:
            raise HTTPException(403, "the control API answers on loopback only")

    router = APIRouter(prefix="/_sim", dependencies=[Depends(loopback)])
    _add_views(router, control)
    _add_commands(router, control)
    _add_losses(router, control)
    return router


def _add_views(router: APIRouter, control: Control) -> None:
    @router.get("/health")
    async def health() -> Json:
        return {"status": "ok"}

    @router.get("/state")
    async def state() -> Json:
        return control.state()

    @router.get("/fault")
    async def faults() -> Json:
        return dict(PLACES)


def _add_commands(router: APIRouter, control: Control) -> None:
    @router.post("/reload")
    async def reload_app(command: ReloadCommand) -> Json:
        return await control.reload(command)

    @router.post("/fault", status_code=201)
    async def fault(command: FaultCommand) -> Json:
        return control.order(command)

    @router.delete("/fault", status_code=204)
    async def no_faults() -> None:
        control.site.faults.clear()

    @router.post("/policy")
    async def policy(command: PolicyCommand) -> Json:
        return control.change(command)

    @router.post("/task")
    async def task(command: TaskCommand) -> Json:
        found = next(
            (kept for kept in control.repository.tasks.values() if kept.app_id == command.app_id), None
        )
        if found is None:
            raise HTTPException(404, f"there is no task for {command.app_id}")
        found.enabled = command.enabled
        return dict(vars(found))


def _add_losses(router: APIRouter, control: Control) -> None:
    @router.post("/forget-subscriptions")
    async def forget() -> Json:
        count = len(control.repository.subscriptions)
        control.repository.subscriptions.clear()
        return {"forgotten": count}

    @router.post("/expire-tokens")
    async def expire_tokens() -> Json:
        return {"expired": control.site.credentials.expire_tokens()}

    @router.post("/expire-proxy-sessions")
    async def expire_proxy_sessions() -> Json:
        count = len(control.site.credentials.proxy_sessions)
        control.site.credentials.proxy_sessions.clear()
        return {"expired": count}

    @router.post("/end-sessions")
    async def end_sessions(command: Annotated[EndSessionsCommand, Body()]) -> Json:
        ended = control.sessions.end(
            lambda key: not command.user or key.user == command.user, command.code, command.reason
        )
        held = control.site.credentials.proxy_sessions
        for session in [kept for kept in held.values() if not command.user or kept.user == command.user]:
            control.site.credentials.close_session(session.id)
        return {"ended": ended}
