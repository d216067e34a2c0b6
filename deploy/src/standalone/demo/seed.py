"""Create the demo's configuration and accounts through the REST interface, as a user would."""

import secrets
from dataclasses import dataclass
from typing import Any

from standalone.demo.configuration import CARRIERS, MANAGERS, Demo, address_of, recipient_id
from standalone.web import http_client


class SeedError(Exception):
    """The REST interface refused something; the message has its answer."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person who may sign in to the demo's Hub."""

    email: str
    password: str
    role: str
    recipient_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """The REST interface, as the owner of an API key."""

    base_url: str
    key: str

    async def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Return the JSON of an answer. Raises SeedError when it is no success."""
        headers = {"Authorization": f"Bearer {self.key}", **arguments.pop("headers", {})}
        async with http_client(base_url=self.base_url, timeout=60.0, headers=headers) as http:
            reply = await http.request(method, path, **arguments)
        if reply.is_error:
            raise SeedError(f"{method} {path} answered {reply.status_code}: {reply.text[:2000]}")
        return reply.json() if reply.content else None

    async def content(self, path: str) -> bytes:
        """Return the bytes of a download. Raises SeedError."""
        headers = {"Authorization": f"Bearer {self.key}"}
        async with http_client(base_url=self.base_url, timeout=60.0, headers=headers) as http:
            reply = await http.get(path)
        if reply.is_error:
            raise SeedError(f"GET {path} answered {reply.status_code}: {reply.text[:2000]}")
        return reply.content


def accounts() -> list[Account]:
    """Return an account for every recipient of the demo, with a random password."""
    people = [(address_of(code), recipient_id(code)) for code in CARRIERS]
    people += [(address, f"manager-{number}") for number, address in enumerate(MANAGERS, 1)]
    return [
        Account(email=email, password=secrets.token_urlsafe(9), role="reader", recipient_id=recipient)
        for email, recipient in people
    ]


async def seed(rest: Rest, demo: Demo, people: list[Account]) -> None:
    """Create templates, then everything in the order of its references, then accounts. Raises SeedError."""
    for key, file_name, data in demo.templates:
        await rest.call(
            "POST",
            "/api/v1/templates",
            data={"id": key, "name": file_name},
            files={"file": (file_name, data)},
        )
    for path, body in demo.objects:
        await rest.call("POST", f"/api/v1/{path}", json=body)
    for person in people:
        await rest.call(
            "POST",
            "/api/v1/accounts",
            json={
                "email": person.email,
                "password": person.password,
                "role": person.role,
                "recipient_id": person.recipient_id,
            },
        )
