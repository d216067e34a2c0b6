"""REST for the audit trail, accounts and API keys."""

import base64
import json
import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from config_api.domain.audit import AuditRecord, Head, Verdict
from config_api.domain.errors import InvalidError, Problem
from config_api.domain.identity import Account, ApiKey
from config_api.domain.rights import Actor, Role
from config_api.handlers import answers as answer
from config_api.handlers.description import answers, refusals
from config_api.handlers.gate import Gate
from config_api.handlers.parameters import AfterNumber, Key, Limit, OneId, Since, Until
from config_api.handlers.soundness import nothing_unknown
from config_api.ports import AuditQuery
from config_api.use_cases.audit import Audit
from config_api.use_cases.identity import MAX_KEY_DAYS, Identity
from contracts.base import Id
from contracts.configuration import Email

_HEAD = re.compile(r"^([0-9]{1,15}):([0-9a-f]{64})$")


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


class PasswordChange(_Body):
    """One's own password, and the one to have instead."""

    current_password: Annotated[str, Field(min_length=1, max_length=1000)]
    new_password: Annotated[str, Field(min_length=1, max_length=1000, description="12 to 256 characters")]


class NewKey(_Body):
    """An API key to be made, for one's own account."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    role: Role
    days: Annotated[int, Field(ge=1, le=MAX_KEY_DAYS, description="how long it is valid")] = 90


def administration(audit: Audit, identity: Identity, gate: Gate) -> APIRouter:
    """Return the routes about the audit trail and about who may do what."""
    router = APIRouter()
    router.include_router(_audit(audit, gate))
    router.include_router(_accounts(identity, gate))
    router.include_router(_keys(identity, gate))
    return router


def _audit(audit: Audit, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/audit", tags=["audit"])

    @router.get(
        "",
        operation_id="query_audit_trail",
        summary="Query the audit trail",
        response_model=None,
        responses=answers(answer.AuditList),
    )
    async def find(
        actor: Annotated[Actor, Depends(gate.actor)],
        *,
        execution_id: OneId = None,
        task_id: OneId = None,
        recipient_id: OneId = None,
        type_: Annotated[
            str | None, Query(alias="type", max_length=200, description="as in task-completed")
        ] = None,
        event_id: OneId = None,
        since: Since = None,
        until: Until = None,
        after: AfterNumber = 0,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Return every message on the bus that matches, in the order in which it was recorded.

        Administrators only.
        """
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

    @router.get(
        "/verify",
        operation_id="verify_audit_trail",
        summary="Verify the audit trail",
        response_model=None,
        responses=answers(answer.AuditVerdict),
    )
    async def verify(
        actor: Annotated[Actor, Depends(gate.actor)],
        expect: Annotated[
            str | None, Query(max_length=100, description="a head noted earlier, as seq:hash")
        ] = None,
    ) -> dict[str, Any]:
        """Compute the whole chain again and name the first record that does not fit.

        Administrators only.
        """
        return verdict_body(await audit.verify(actor, head_of(expect)))

    return router


def _accounts(identity: Identity, gate: Gate) -> APIRouter:
    router = APIRouter(tags=["accounts"])

    @router.get(
        "/me",
        operation_id="get_me",
        summary="Get who is asking",
        response_model=None,
        responses=answers(answer.Me),
    )
    async def me(actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """Return the account of the API key or of the session, and the role it has now."""
        return {
            "account_id": actor.account_id,
            "email": actor.name,
            "role": actor.role,
            "recipient_id": actor.recipient_id,
        }

    @router.post(
        "/me/password",
        status_code=204,
        operation_id="change_my_password",
        summary="Change your own password",
        response_description="It is changed.",
        responses=refusals(409, 429),
    )
    async def change_password(body: PasswordChange, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Change the password of the account that is signed in with a browser.

        Every session of the account ends, this one included, and its API keys are revoked. A request that is
        made with an API key gets 409.
        """
        await identity.change_password(body.current_password, body.new_password, actor)
        return Response(status_code=204)

    @router.get(
        "/accounts",
        operation_id="list_accounts",
        summary="List accounts",
        response_model=None,
        responses=answers(answer.AccountList),
    )
    async def listing(actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """List everybody who may sign in. Administrators only."""
        return {"items": [_account(account) for account in await identity.accounts(actor)]}

    @router.post(
        "/accounts",
        status_code=201,
        operation_id="create_account",
        summary="Create an account",
        response_model=None,
        responses={**answers(answer.Account, 201, about="It is created."), **refusals(409)},
    )
    async def create(
        request: Request, body: NewAccount, actor: Annotated[Actor, Depends(gate.actor)]
    ) -> dict[str, Any]:
        """Create an account for somebody who may sign in. Administrators only."""
        await nothing_unknown(request, body)
        return _account(
            await identity.create_account(body.email, body.password, body.role, body.recipient_id, actor)
        )

    @router.patch(
        "/accounts/{account_id}",
        operation_id="update_account",
        summary="Change an account",
        response_model=None,
        responses={**answers(answer.Account, about="It is changed."), **refusals(409)},
    )
    async def change(
        request: Request, account_id: Key, body: AccountChange, actor: Annotated[Actor, Depends(gate.actor)]
    ) -> dict[str, Any]:
        """Change an account; what is left out stays. A new password or role ends its sessions.

        A new password also revokes the API keys of the account.

        Administrators only, and nobody can take rights from their own account.
        """
        await nothing_unknown(request, body)
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

    @router.get(
        "",
        operation_id="list_api_keys",
        summary="List API keys",
        response_model=None,
        responses=answers(answer.ApiKeyList),
    )
    async def listing(actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """List the keys of the caller; administrators get everybody's."""
        return {"items": [_key(key) for key in await identity.keys(actor)]}

    @router.post(
        "",
        status_code=201,
        operation_id="create_api_key",
        summary="Create an API key",
        response_model=None,
        responses={**answers(answer.CreatedApiKey, 201, about="It is created."), **refusals(409)},
    )
    async def create(
        request: Request, body: NewKey, actor: Annotated[Actor, Depends(gate.actor)]
    ) -> dict[str, Any]:
        """Create a key that acts for the caller's own account; `key` is in this answer and in no other.

        Developers and administrators can create keys, signed in with a browser: send the session cookie and
        the token of the session as `X-CSRF-Token`. A request that is itself made with an API key gets 409, so
        that a leaked key cannot outlive its end, and readers get 403. A key has at most the role of its
        creator. On the server, `python -m config_api create-api-key` creates one without signing in.
        """
        await nothing_unknown(request, body)
        key, text = await identity.create_key(body.name, body.role, body.days, actor)
        return _key(key) | {"key": text}

    @router.delete(
        "/{key_id}",
        status_code=204,
        operation_id="revoke_api_key",
        summary="Revoke an API key",
        response_description="It is revoked.",
    )
    async def revoke(key_id: Key, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Revoke a key of one's own at once; administrators can revoke everybody's."""
        await identity.revoke_key(key_id, actor)
        return Response(status_code=204)

    return router


def head_of(text: str | None) -> Head | None:
    """Return a head written as seq:hash. Raises InvalidError."""
    if text is None:
        return None
    found = _HEAD.match(text)
    if found is None:
        remedy = "Send the `head` that an earlier answer of this call had, in the form seq:hash."
        raise InvalidError(Problem("expect", "This is not the head of an audit trail.", remedy))
    return Head(int(found[1]), found[2])


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
