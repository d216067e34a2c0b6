"""Make the file of a unit: read, render, lock, store. What units and previews have in common."""

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from contracts.base import Artifact, Reason, Selection
from contracts.events import RenderTimings
from contracts.plan import PlannedReport, PlannedUnit
from generator.domain.localising import localised, options_for
from generator.domain.passwords import Vault, password_of
from generator.domain.selections import PlanProblemError
from generator.ports import (
    DataReader,
    Files,
    Passwords,
    Reading,
    RenderedFile,
    Renderer,
    RenderJob,
    Unmet,
)
from rendering.model import Meta, OutputFormat, RenderData, Rendered, TemplateKind
from runtime.clock import Clock
from runtime.errors import Permanent
from runtime.telemetry import span


@dataclass(frozen=True, slots=True)
class Made:
    """A file in the object store, and what is to be told about it."""

    artifact: Artifact
    selections: tuple[Selection, ...]
    reloaded_at: datetime | None
    timings: RenderTimings
    warnings: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class MakeFile:
    """Makes files. Raises Permanent or Transient like its ports."""

    reader: DataReader
    files: Files
    renderer: Renderer
    vault: Vault
    clock: Clock

    async def __call__(
        self, report: PlannedReport, unit: PlannedUnit, meta: Meta, *, folder: str
    ) -> Made | Unmet:
        """Return the file of a unit, stored under `folder`, or the condition that is not met."""
        watch = _Watch(self.clock)
        with tempfile.TemporaryDirectory(prefix="broadsheet-unit-") as scratch:
            with watch.step("qlik"):
                reading = await self.reader.read(report, unit, Path(scratch))
            if isinstance(reading, Unmet):
                return reading
            with watch.step("render"):
                file = await self.renderer.render(await self._job(report, unit, meta, reading))
            with watch.step("store"):
                artifact = await self._keep(folder, unit.file_name, file)
        return Made(
            artifact,
            reading.selections,
            reading.reloaded_at,
            RenderTimings(**watch.seconds),
            (*reading.warnings, *(Reason(code="rendering", message=text) for text in file.warnings)),
        )

    async def _job(self, report: PlannedReport, unit: PlannedUnit, meta: Meta, reading: Reading) -> RenderJob:
        template = await self.files.template(report.template) if report.template else b""
        options = options_for(report.options, reading.options)
        # A hundred thousand rows take a while to write anew; heartbeats must go on meanwhile.
        values, tables = await asyncio.to_thread(
            localised, reading.values, reading.tables, reading.options, options
        )
        try:
            data = RenderData(meta=meta, values=values, tables=tables, images=reading.images)
        except ValueError as error:
            raise Permanent("report-data-wrong", str(error), "rename the data item in the report") from error
        return RenderJob(
            kind=TemplateKind(report.template_kind.value) if report.template_kind else TemplateKind.TABLE,
            template=template,
            template_sha256=report.template.sha256 if report.template else "",
            data=data,
            output=OutputFormat(report.format.value),
            options=options,
            passwords=self._passwords(report, unit),
            spooled=reading.spooled,
            exported=reading.exported,
        )

    def _passwords(self, report: PlannedReport, unit: PlannedUnit) -> Passwords:
        try:
            found = {
                kind: self.vault.open(token, bound_to=password_of(unit.id, kind))
                for kind, token in unit.sealed.items()
            }
        except PlanProblemError as problem:
            reason = problem.reason
            raise Permanent(reason.code, f"{report.name!r}: {reason.message}", reason.remedy) from problem
        name = unit.file_name.removesuffix(".zip")
        # The number that makes a name unique stands before the last dot, which is the archive's.
        suffix = f".{report.format.value}"
        return Passwords(**found, name=name if name.endswith(suffix) else f"{name}{suffix}")

    async def _keep(self, folder: str, file_name: str, file: Rendered | RenderedFile) -> Artifact:
        content = file.content if isinstance(file, Rendered) else file.path
        digest = await asyncio.to_thread(_sha256, content)
        # The content is part of the place: whoever lost its claim and writes late, with other bytes, cannot
        # change a file that was already announced.
        key = f"{folder}/{digest[:16]}/{file_name}"
        ref = await self.files.keep(key, content, file.content_type)
        return Artifact(**ref.model_dump(), file_name=file_name)


@dataclass(slots=True)
class _Watch:
    """Measures the steps of a unit, each in a span of its own."""

    clock: Clock
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = self.clock.now()
        with span(name):
            yield
        self.seconds[name] = max(0.0, (self.clock.now() - began).total_seconds())


def _sha256(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
