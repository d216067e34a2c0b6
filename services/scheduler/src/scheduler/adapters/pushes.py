"""How a site is asked to tell of reloads: change subscriptions (client-managed), a webhook (Cloud)."""

import hashlib
from collections.abc import Mapping
from typing import Any

from contracts.sites import PushKind
from qlik import QlikClient, QlikError
from qlik.webhooks import RELOAD_FINISHED
from scheduler.adapters.qlik import transient
from scheduler.ports import Pushing

# Executions, and loads outside the scheduler, which only move the time of the app.
_WATCHED = ("ExecutionResult", "App")
_TAKEN_OVER = "the tenant had two webhooks for this listener; one was removed"


class Subscriptions:
    """Implements `ports.Push` with the repository's change subscriptions, one set for each listener.

    They are made anew each time, because a repository that was restarted forgets them without a word.
    """

    kind = PushKind.SUBSCRIPTION

    def __init__(self, client: QlikClient, callback_url: str) -> None:
        """Take an open client and the address the repository calls."""
        self._client = client
        self._url = callback_url
        self._handles: list[str] = []

    async def ensure(self) -> Pushing:
        """Subscribe anew, then end what was there before. Raises Transient."""
        before, forgotten = list(self._handles), 0
        with transient(self._client):
            repository = self._client.repository
            for name in _WATCHED:
                self._handles.append(await repository.subscribe(name, self._url))
            for handle in before:
                forgotten += not await repository.unsubscribe(handle)
                self._handles.remove(handle)
        mended = f"the site had forgotten {forgotten} of {len(before)} subscriptions" if forgotten else ""
        return Pushing(" ".join(self._handles), mended)

    async def aclose(self) -> None:
        """End the subscriptions if the site still answers; it drops those whose address does not."""
        try:
            for handle in self._handles:
                await self._client.repository.unsubscribe(handle)
        except QlikError:
            self._handles = []


class TenantWebhook:
    """Implements `ports.Push` with a webhook of the tenant, one for all listeners of a site.

    What could not be delivered is not asked for again: polling finds it.
    """

    kind = PushKind.WEBHOOK

    def __init__(self, client: QlikClient, *, name: str, url: str, secret: str) -> None:
        """Take an open client, a name, the address the tenant calls, and the key it signs with."""
        self._client = client
        self._name = name
        self._url = url
        self._secret = secret

    async def ensure(self) -> Pushing:
        """Make the webhook if it is missing, switch it on if it is off. Raises Transient."""
        with transient(self._client):
            tenant = self._client.tenant
            ours = sorted(
                (each for each in await tenant.webhooks() if each.get("url") == self._url),
                key=lambda each: (str(each.get("createdAt")), str(each.get("id"))),
            )
            if not ours:
                made = await tenant.add_webhook(
                    name=self._name,
                    url=self._url,
                    event_types=[RELOAD_FINISHED],
                    secret=self._secret,
                    description=self._description,
                )
                return Pushing(made)
            kept, *others = ours
            for other in others:
                # Two listeners that began together; both keep the oldest.
                await tenant.remove_webhook(str(other["id"]))
            changes, told = self._amends(kept)
            if changes:
                await tenant.change_webhook(str(kept["id"]), changes)
        return Pushing(str(kept["id"]), "; ".join(told + [_TAKEN_OVER] * bool(others)))

    async def aclose(self) -> None:
        """Leave the webhook: it serves the other listeners, and this one when it is back."""

    @property
    def _description(self) -> str:
        # The tenant never shows a secret. This tells whether it is ours without telling anything of it.
        digest = hashlib.sha256(b"broadsheet-webhook " + self._secret.encode()).hexdigest()
        return f"Made by Broadsheet's Qlik listener; key {digest[:12]}"

    def _amends(self, there: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        changes: dict[str, Any] = {}
        told: list[str] = []
        if there.get("enabled") is False:
            why = str(there.get("disabledReason") or there.get("disabledReasonCode") or "no reason given")
            changes["enabled"] = True
            told.append(f"the webhook was switched off ({why[:200]}); it is on again")
        if RELOAD_FINISHED not in (there.get("eventTypes") or []):
            changes["eventTypes"] = [RELOAD_FINISHED]
            told.append("the webhook was for other events")
        if there.get("description") != self._description or there.get("secretKeyAdded") is False:
            changes |= {"secret": self._secret, "description": self._description}
            told.append("the webhook had another key")
        return changes, told


class NoPush:
    """Implements `ports.Push` where the site cannot reach the listener, or its calls could not be trusted."""

    kind = PushKind.NONE

    def __init__(self, why: str) -> None:
        """Take why nothing is pushed and what to do about it."""
        self._why = why

    async def ensure(self) -> Pushing:
        """Do nothing."""
        return Pushing(problem=self._why)

    async def aclose(self) -> None:
        """Do nothing."""
