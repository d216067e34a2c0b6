"""REST for the audit trail, accounts and API keys."""

import base64
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from config_api.domain.audit import AuditRecord, Head, Verdict
from config_api.domain.errors import InvalidError, Problem
from config_api.domain.identity import Account, ApiKey
from config_api.domain.rights import Actor, Role
from config_api.handlers.gate import Gate
from config_api.ports import AuditQuery
from config_api.use_cases.audit import Audit
from config_api.use_cases.identity import Identity
from contracts.base import Id, Utc
from contracts.configuration import Email

_HASH_LENGTH = 64


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewAccount(_Body):
    """An account to be made."""

    email: Email
    password: Annotated[str, Field(min_length=1, max_length=1000)]
    role: Role = Role.READER
    recipient_id: Id | None = Field(default=None, description="whose Hub files the account sees")


class AccountChange(_Body):
    """What is to be changed of an account; what is left out stays."""

    role: Role | None = None
    enabled: bool | None = None
    password: Annotated[str | None, Field(min_length=1, max_length=1000)] = None
    recipient_id: Id | None = None


class NewKey(_Body):
    """An API key to be made, for one's own account."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    role: Role
    days: int = 90


def administration(audit: Audit, identity: Identity, gate: Gate) -> APIRouter:
    """Return the routes about the audit trail and about who may do what."""
    router = APIRouter()
    router.include_router(_audit(audit, gate))
    router.include_router(_accounts(identity, gate))
    router.include_router(_keys(identity, gate))
    return router


def _audit(audit: Audit, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/audit", tags=["audit"])

    @router.get("", name="query the audit trail")
    async def find(
        actor: Annotated[Actor, Depends(gate.actor)],
        *,
        execution_id: str | None = None,
        task_id: str | None = None,
        recipient_id: str | None = None,
        type_: Annotated[str | None, Query(alias="type", description="as in task-completed")] = None,
        event_id: str | None = None,
        since: Utc | None = None,
        until: Utc | None = None,
        after: Annotated[int, Query(ge=0, description="`next` of the page before")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """Return every message on the bus that fits, in the order it was recorded."""
        query = AuditQuery(
            execution_id=execution_id,
            task_id=task_id,
            recipient_id=recipient_id,
            type=type_,
            event_id=event_id,
            since=since,
            until=until,
            after=after,
            limit=limit,
        )
        items = [audit_record(record) async for record in audit.find(query, actor)]
        return {"items": items, "next": items[-1]["seq"] if len(items) == limit else None}

    @router.get("/verify", name="verify the audit trail")
    async def verify(
        actor: Annotated[Actor, Depends(gate.actor)],
        expect: Annotated[str | None, Query(description="a head noted earlier, as seq:hash")] = None,
    ) -> dict[str, Any]:
        """Compute the whole chain again; names the first record that does not fit."""
        return verdict_body(await audit.verify(actor, head_of(expect)))

    return router


def _accounts(identity: Identity, gate: Gate) -> APIRouter:
    router = APIRouter(tags=["accounts"])

    @router.get("/me", name="who am I")
    async def me(actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """Return who is asking."""
        return {
            "account_id": actor.account_id,
            "email": actor.name,
            "role": actor.role,
            "recipient_id": actor.recipient_id,
        }

    @router.get("/accounts", name="list accounts")
    async def listing(actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """List everybody who may sign in."""
        return {"items": [_account(account) for account in await identity.accounts(actor)]}

    @router.post("/accounts", status_code=201, name="create an account")
    async def create(body: NewAccount, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """Make an account."""
        return _account(
            await identity.create_account(body.email, body.password, body.role, body.recipient_id, actor)
        )

    @router.patch("/accounts/{account_id}", name="change an account")
    async def change(
        account_id: str, body: AccountChange, actor: Annotated[Actor, Depends(gate.actor)]
    ) -> dict[str, Any]:
        """Change an account; a new password or role ends its sessions."""
        changed = await identity.change_account(
            account_id,
            actor,
            role=body.role,
            enabled=body.enabled,
            password=body.password,
            recipient_id=body.recipient_id,
        )
        return _account(changed)

    return router


def _keys(identity: Identity, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/api-keys", tags=["api-keys"])

    @router.get("", name="list API keys")
    async def listing(actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """List one's keys; an administrator sees everybody's."""
        return {"items": [_key(key) for key in await identity.keys(actor)]}

    @router.post("", status_code=201, name="create an API key")
    async def create(body: NewKey, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """Make a key; `key` is in this answer and in no other."""
        key, text = await identity.create_key(body.name, body.role, body.days, actor)
        return _key(key) | {"key": text}

    @router.delete("/{key_id}", status_code=204, name="revoke an API key")
    async def revoke(key_id: str, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Make a key worthless, at once."""
        await identity.revoke_key(key_id, actor)
        return Response(status_code=204)

    return router


def head_of(text: str | None) -> Head | None:
    """Return a head written as seq:hash. Raises InvalidError."""
    if text is None:
        return None
    seq, _, digest = text.partition(":")
    if not seq.isascii() or not seq.isdigit() or len(digest) != _HASH_LENGTH:
        raise InvalidError(Problem("expect", "is no head", "write it as seq:hash, as `verify` answers it"))
    return Head(int(seq), digest)


def verdict_body(verdict: Verdict) -> dict[str, Any]:
    """Return what verifying found."""
    return {
        "intact": verdict.intact,
        "records": verdict.records,
        "head": f"{verdict.head.seq}:{verdict.head.hash}",
        "broken_seq": verdict.broken_seq,
        "reason": verdict.reason,
    }


def audit_record(record: AuditRecord) -> dict[str, Any]:
    """Return a record as answers show it: its data read if it is JSON, and always the bytes."""
    event = record.event
    try:
        data: Any = json.loads(event.body)
    except (ValueError, RecursionError):
        data = None
    kind: Literal["json", "other"] = "other" if data is None else "json"
    return {
        "seq": record.seq,
        "recorded_at": record.recorded_at,
        "event_id": event.event_id,
        "type": event.type,
        "subject": event.subject,
        "occurred_at": event.occurred_at,
        "topic": event.topic,
        "partition": event.partition,
        "offset": event.offset,
        "key": None if event.key is None else event.key.decode(errors="replace"),
        "headers": [[name, value.decode(errors="replace")] for name, value in event.headers],
        "body_kind": kind,
        "data": data,
        "body_base64": base64.b64encode(event.body).decode(),
        "previous": record.previous,
        "hash": record.hash,
    }


def _account(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "email": account.email,
        "role": account.role,
        "recipient_id": account.recipient_id,
        "enabled": account.enabled,
        "created_at": account.created_at,
    }


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "account_id": key.account_id,
        "role": key.role,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked": key.revoked,
    }
