"""Passwords of files: sealed texts of a task, filled in for one file, and sealed again into the plan.

A text may have tags, such as `{{ recipient.secrets.pdf }}`, `{{ iteration.value }}`.
Nothing here, neither a problem nor an id, holds a password or enough to guess one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from contracts.binding import bound_to
from contracts.configuration import Recipient, TaskReport, TaskVersion
from generator.domain.selections import PlanProblemError
from generator.domain.tags import Context, TagError, mentions, render
from rendering.protect import ProtectionError, check_password

KINDS = ("open", "edit", "zip")


class Vault(Protocol):
    """Opens and seals secrets."""

    def open(self, token: str, *, bound_to: str) -> str:
        """Return what was sealed for `bound_to`. Raises PlanProblemError when it cannot be opened here."""
        ...

    def seal(self, text: str, *, bound_to: str) -> str:
        """Return a text encrypted; it opens only with the same `bound_to`."""
        ...


class NoVault:
    """Where there is no key: nothing can be opened, so nothing can be made that needs a password."""

    def open(self, token: str, *, bound_to: str) -> str:
        """Raise PlanProblemError."""
        del token, bound_to
        raise PlanProblemError(
            "secret-unreadable",
            "its files have passwords, but this service has no key to open them",
            "set BROADSHEET_SECRET_KEY to the key of the console",
        )

    def seal(self, text: str, *, bound_to: str) -> str:
        """Raise PlanProblemError."""
        return self.open(text, bound_to=bound_to)


@dataclass(frozen=True, slots=True)
class Locks:
    """The passwords of one task report: texts by kind, and by iteration value where one has its own."""

    report: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    by_value: Mapping[tuple[str, str], str] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
    """The texts sealed, sorted: what tells two configurations apart in a unit's id."""

    @property
    def personal(self) -> bool:
        """Whether each recipient needs a file of their own."""
        return any(mentions(text, "recipient") for text in (*self.texts.values(), *self.by_value.values()))

    @property
    def zipped(self) -> bool:
        """Whether the file lies in an encrypted archive."""
        return "zip" in self.texts or any(kind == "zip" for kind, _ in self.by_value)

    def sealed(
        self, unit_id: str, value: str | None, person: Recipient | None, vault: Vault
    ) -> dict[str, str]:
        """Return the passwords of one file, sealed for this unit, by kind.

        Raises PlanProblemError when one cannot be filled in or is too weak: without its password there is no
        file.
        """
        wanted = [
            kind for kind in KINDS if kind in self.texts or any(kind == each for each, _ in self.by_value)
        ]
        return {
            kind: vault.seal(self._filled(kind, value, person, vault), bound_to=password_of(unit_id, kind))
            for kind in wanted
        }

    def _filled(self, kind: str, value: str | None, person: Recipient | None, vault: Vault) -> str:
        text = self.by_value.get((kind, value or ""), self.texts.get(kind))
        whom = f" for {person.name}" if person else f" for {value!r}" if value is not None else ""
        what = f"the {kind} password of the report {self.report!r}{whom}"
        if text is None:
            raise PlanProblemError(
                "password-missing", f"there is no {what}", "set one for this value, or one for all the others"
            )
        try:
            password = render(text, _context(value, person, vault))
            check_password(password)
        except TagError:
            # What the tag is stands in the secret text, which must not be repeated.
            raise PlanProblemError(
                "password-missing",
                f"{what} cannot be filled in",
                "set the attributes and secrets of the recipient that its tags name, or correct the tags",
            ) from None
        except ProtectionError as error:
            raise PlanProblemError("password-weak", f"{what}: {error}", "choose another password") from None
        return password


def password_of(unit_id: str, kind: str) -> str:
    """Return what the password of a planned file is bound to: it opens for this file only."""
    return f"unit:{unit_id}:{kind}"


def locks_of(task: TaskVersion, entry: TaskReport, report_name: str, vault: Vault) -> Locks:
    """Return the passwords of a task report. Raises PlanProblemError when they cannot be opened."""
    texts: dict[str, str] = {}
    by_value: dict[tuple[str, str], str] = {}
    tokens: list[str] = []
    for path, token in task.sealed.items():
        for kind in KINDS:
            name = f"reports.{entry.id}.{kind}_password"
            if path == name:
                texts[kind] = vault.open(token, bound_to=bound_to(task, path))
            elif path.startswith(f"{name}."):
                by_value[kind, path.removeprefix(f"{name}.")] = vault.open(
                    token, bound_to=bound_to(task, path)
                )
            else:
                continue
            tokens.append(token)
    return Locks(report_name, texts, by_value, tuple(sorted(tokens)))


def _context(value: str | None, person: Recipient | None, vault: Vault) -> Context:
    known: dict[str, Context] = {"iteration": {"value": value or ""}}
    if person is None:
        return known
    secrets = {
        name: vault.open(token, bound_to=bound_to(person, name)) for name, token in person.sealed.items()
    }
    about: Context = {
        "name": person.name,
        "email": person.email or "",
        "attributes": dict(person.attributes),
        "secrets": secrets,
    }
    return {**known, "recipient": about}
