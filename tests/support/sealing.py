"""Objects of the configuration with secrets, as config-api stores them now and as it did before."""

from collections.abc import Mapping
from typing import TypeVar

from cryptography.fernet import Fernet

from contracts.configuration import Connection, Recipient, StorageSpace, TaskVersion
from runtime.secrets import Sealer

H = TypeVar("H", Connection, Recipient, StorageSpace, TaskVersion)


def with_secrets(holder: H, sealer: Sealer, secrets: Mapping[str, str]) -> H:
    """Return an object with secrets that are bound to it."""
    return holder.model_copy(update={"sealed": sealer.sealed_for(holder, fresh=secrets, kept={})})


def unbound(key: str, text: str) -> str:
    """Return a secret as it was stored before secrets were bound to anything."""
    return Fernet(key).encrypt(text.encode()).decode()
