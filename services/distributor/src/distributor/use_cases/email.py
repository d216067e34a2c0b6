"""Deliveries by mail."""

from dataclasses import dataclass

from distributor.domain.mailing import Sender, compose, too_large
from distributor.domain.results import Rejected, Result
from distributor.domain.rows import generated
from distributor.ports import Commit, Files, Job, Mailer


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """One mail per recipient, with all files of the recipient."""

    files: Files
    mailer: Mailer
    sender: Sender

    async def deliver(self, job: Job, *, commit: Commit) -> Result:
        """Read the files, write the mail, hand it over."""
        reason = too_large(job.row, job.outcomes, self.sender.max_bytes)
        if reason is not None:
            return Rejected(reason)
        artifacts = generated(job.row, job.outcomes)
        contents = {unit: await self.files.read(artifact) for unit, artifact in artifacts.items()}
        letter = compose(job.row, job.outcomes, contents, self.sender, date=job.now)
        return await self.mailer.send(letter, test_address=job.row.test_address, commit=commit)
