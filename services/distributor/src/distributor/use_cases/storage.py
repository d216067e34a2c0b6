"""Deliveries to storage spaces."""

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.base import Artifact, Reason
from contracts.events import DeliveredFile
from contracts.plan import PlannedStorage
from distributor.domain.archive import write_archive
from distributor.domain.naming import PathRefusedError, relative_parts
from distributor.domain.results import Delivered, Postponed, Rejected, Result, clipped
from distributor.domain.rows import generated, missing_units
from distributor.ports import Commit, Files, Job, Space, SpaceError, Spaces
from rendering.file_names import safe_name, unique_names

_ZIP = "application/zip"


@dataclass(frozen=True, slots=True)
class StorageChannel:
    """Files, or one archive of them, at the paths the plan names; what lies there is replaced."""

    files: Files
    spaces: Spaces
    scratch: Path | None = None
    """Where files lie on their way; None for the system's temporary folder."""

    async def deliver(self, job: Job, *, commit: Commit) -> Result:
        """Save the files; repeating it writes the same bytes to the same places, so `commit` is not asked."""
        del commit
        planned = job.row.planned.storage
        if planned is None:
            raise ValueError(f"delivery {job.row.id} is none to a storage space")
        artifacts = generated(job.row, job.outcomes)
        try:
            _check(planned, artifacts)
            space = await self.spaces.open(planned.storage_id)
            with tempfile.TemporaryDirectory(prefix="broadsheet-", dir=self.scratch) as folder:
                save = self._save_archive if planned.zip_path is not None else self._save_each
                delivered = await save(job, planned, artifacts, space, Path(folder))
        except PathRefusedError as error:
            return Rejected(error.reason)
        except SpaceError as error:
            if error.lasting:
                return Rejected(Reason(code=error.code, message=clipped(error.message), remedy=error.remedy))
            return Postponed(error.code, error.message, unreachable=error.unreachable)
        missing = missing_units(job.row, job.outcomes)
        detail = f"{len(missing)} of {len(job.row.planned.units)} files were not made" if missing else ""
        return Delivered(files=tuple(delivered), detail=detail)

    async def _save_each(
        self, job: Job, planned: PlannedStorage, artifacts: Mapping[str, Artifact], space: Space, folder: Path
    ) -> list[DeliveredFile]:
        delivered = []
        for number, (unit, artifact) in enumerate(artifacts.items()):
            local = folder / str(number)
            await self.files.save(artifact, local)
            where = await space.put(
                local,
                planned.paths[unit],
                content_type=artifact.content_type,
                tag=f"{job.row.id}-{job.attempt}",
            )
            local.unlink()
            delivered.append(DeliveredFile(unit_id=unit, artifact=artifact, path=where))
        return delivered

    async def _save_archive(
        self, job: Job, planned: PlannedStorage, artifacts: Mapping[str, Artifact], space: Space, folder: Path
    ) -> list[DeliveredFile]:
        names = unique_names(safe_name(artifact.file_name) for artifact in artifacts.values())
        members: list[tuple[str, bytes | Path]] = []
        for number, (artifact, name) in enumerate(zip(artifacts.values(), names, strict=True)):
            local = folder / str(number)
            await self.files.save(artifact, local)
            members.append((name, local))
        archive = folder / "archive.zip"
        await asyncio.to_thread(_write, archive, members)
        where = await space.put(
            archive, planned.zip_path or "", content_type=_ZIP, tag=f"{job.row.id}-{job.attempt}"
        )
        return [
            DeliveredFile(unit_id=unit, artifact=artifact, path=f"{where}/{name}")
            for (unit, artifact), name in zip(artifacts.items(), names, strict=True)
        ]


def _check(planned: PlannedStorage, artifacts: Mapping[str, Artifact]) -> None:
    """Look at every path before anything is written: half a delivery helps nobody."""
    if planned.zip_path is not None:
        relative_parts(planned.zip_path)
        return
    for unit in artifacts:
        if unit not in planned.paths:
            raise PathRefusedError(f"the plan names no path for the file of unit {unit}")
        relative_parts(planned.paths[unit])


def _write(archive: Path, members: list[tuple[str, bytes | Path]]) -> None:
    with archive.open("wb") as file:
        write_archive(file, members)
