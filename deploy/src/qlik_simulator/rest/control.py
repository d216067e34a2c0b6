"""The control API for tests and the demo (``/_sim``): loopback only, no part of any Qlik interface."""

import ipaddress
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from qlik_simulator.engine.session import Sessions
from qlik_simulator.faults import FaultError, fault_of
from qlik_simulator.reloads import Reloads
from qlik_simulator.repository import Repository
from qlik_simulator.site import Site, iso

Json = dict[str, Any]


class ReloadCommand(BaseModel):
    """Reload an app: ``status`` is ``success`` or ``fail``; it takes ``seconds``."""

    app_id: str
    status: str = Field(default="success", pattern="^(success|fail)$")
    seconds: float = Field(default=0.0, ge=0, le=600)
    message: str = ""
    with_task: bool = True  # false: as from the data load editor, which leaves no execution result


class FaultCommand(BaseModel):
    """Order a fault at a place; see `qlik_simulator.faults`."""

    place: str = Field(default="engine", pattern="^(engine|upgrade|greeting|qrs|cloud|callback)$")
    fault: dict[str, Any]


class EndSessionsCommand(BaseModel):
    """End engine sessions of a user (all users when empty) with a close code."""

    user: str = ""
    code: int = Field(default=4003, ge=1000, le=4999)
    reason: str = ""


def control_routes(site: Site, sessions: Sessions, repository: Repository, reloads: Reloads) -> APIRouter:
    """The routes of ``/_sim``."""

    async def loopback(request: Request) -> None:
        host = request.client.host if request.client is not None else ""
        if not ipaddress.ip_address(host).is_loopback:
            raise HTTPException(403, "the control API answers on loopback only")

    router = APIRouter(prefix="/_sim", dependencies=[Depends(loopback)])

    @router.get("/health")
    async def health() -> Json:
        return {"status": "ok"}

    @router.get("/state")
    async def state() -> Json:
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
            "tasks": [
                {"id": task.id, "name": task.name, "app_id": task.app_id}
                for task in repository.tasks.values()
            ],
            "executions": [repository.execution_json(found) for found in repository.executions.values()],
            "subscriptions": [vars(found) for found in repository.subscriptions.values()],
            "sessions": [{**vars(found.key), "sockets": len(found.listeners)} for found in sessions.all()],
            "faults": {
                place: [vars(fault) for fault in faults] for place, faults in site.faults.waiting.items()
            },
        }

    @router.post("/reload")
    async def reload_app(command: ReloadCommand) -> Json:
        app = site.app(command.app_id)
        if app is None:
            raise HTTPException(404, f"there is no app {command.app_id}; GET /_sim/state lists them")
        if not command.with_task:
            reloads.renew(app)
            return {"last_reload_time": iso(app.last_reload_time)}
        task = next(found for found in repository.tasks.values() if found.app_id == app.id)
        triggered = repository.trigger(task)
        if triggered is None:
            raise HTTPException(409, "the task is disabled or running")
        found, session_id = triggered
        success = command.status == "success"
        await reloads.run(found, success=success, seconds=command.seconds, message=command.message)
        return {
            "execution_result_id": found.id,
            "execution_id": found.execution_id,
            "session_id": session_id,
            "last_reload_time": iso(app.last_reload_time),
        }

    @router.post("/fault", status_code=201)
    async def fault(command: FaultCommand) -> Json:
        try:
            site.faults.add(command.place, fault_of(command.fault))
        except FaultError as error:
            raise HTTPException(422, str(error)) from error
        return {"waiting": len(site.faults.waiting[command.place])}

    @router.delete("/fault", status_code=204)
    async def no_faults() -> None:
        site.faults.clear()

    @router.post("/forget-subscriptions")
    async def forget() -> Json:
        count = len(repository.subscriptions)
        repository.subscriptions.clear()
        return {"forgotten": count}

    @router.post("/end-sessions")
    async def end_sessions(command: Annotated[EndSessionsCommand, Body()]) -> Json:
        ended = sessions.end(
            lambda key: not command.user or key.user == command.user, command.code, command.reason
        )
        return {"ended": ended}

    return router
