"""Deliveries to the Hub."""

from dataclasses import dataclass

from contracts.events import DeliveredFile, HubPublication
from contracts.plan import PlannedHub
from distributor.domain.results import Delivered, Result
from distributor.domain.rows import Row, generated
from distributor.ports import Commit, Files, Job
from rendering.file_names import safe_name, unique_names


@dataclass(frozen=True, slots=True)
class HubChannel:
    """Files under a key of their own, so that the Hub keeps them longer than the execution's artifacts."""

    files: Files

    async def deliver(self, job: Job, *, commit: Commit) -> Result:
        """Copy the files; repeating it writes the same bytes to the same keys, so `commit` is not asked."""
        del commit
        artifacts = generated(job.row, job.outcomes)
        names = unique_names(safe_name(artifact.file_name) for artifact in artifacts.values())
        delivered = []
        for (unit, artifact), name in zip(artifacts.items(), names, strict=True):
            published = await self.files.publish(artifact, f"hub/{job.row.id}/{name}")
            delivered.append(DeliveredFile(unit_id=unit, artifact=published, path=published.key))
        return Delivered(files=tuple(delivered), hub=_publication(job.row, next(iter(artifacts))))


def _publication(row: Row, unit: str) -> HubPublication:
    planned = row.planned.hub or PlannedHub()
    info = row.files[unit]
    return HubPublication(
        report_name=info.report_name,
        task_name=row.task_name,
        iteration_value=info.iteration_value,
        visible_to=planned.visible_to,
        keep=planned.keep,
    )
