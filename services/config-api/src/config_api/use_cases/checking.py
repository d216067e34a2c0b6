"""Check a report against its template and against the Qlik app it reads."""

from typing import TypeVar

from config_api.domain.errors import NotFoundError, Problem
from config_api.domain.findings import Checked, Finding, Severity, of_template
from config_api.domain.kinds import CONNECTION, REPORT, TEMPLATE, Kind
from config_api.domain.rights import Actor, Right, demand
from config_api.ports import AppCheck, ConfigurationStore
from contracts.configuration import Connection, Report, Template

M = TypeVar("M", Template, Connection)


class Checking:
    """Says everything that is wrong with a report at once, before anybody waits for it."""

    def __init__(self, *, store: ConfigurationStore, app: AppCheck) -> None:
        """Take the ports."""
        self._store = store
        self._app = app

    async def report(self, key: str, actor: Actor) -> Checked:
        """Return what is wrong with a report. Raises NotFoundError when there is none of this id."""
        demand(actor, Right.CONFIGURATION)
        stored = await self._store.get(REPORT, key)
        if stored is None:
            raise NotFoundError(REPORT.name, key)
        report = Report.model_validate(stored.document)
        template = None
        findings: list[Finding] = []
        if report.template_id is not None:
            template = await self._referred(TEMPLATE, Template, report.template_id)
            findings += of_template(report, template)
        connection = await self._referred(CONNECTION, Connection, report.connection_id)
        if connection is None:
            problem = Problem(
                "connection_id", f"there is no connection {report.connection_id!r}", "choose one"
            )
            findings.append(Finding(Severity.ERROR, problem))
        else:
            findings += await self._app(connection, report, template.uses if template else None)
        return Checked(report, tuple(findings))

    async def _referred(self, kind: Kind, model: type[M], key: str) -> M | None:
        stored = await self._store.get(kind, key)
        return None if stored is None else model.model_validate(stored.document)
