"""The Hub: every person's own files, and nobody else's."""

from collections.abc import AsyncIterator

from config_api.domain.errors import NotFoundError
from config_api.domain.hub import HubFile, shown
from config_api.domain.rights import Actor, Right, demand
from config_api.ports import Files, Views
from contracts.base import Artifact


class Hub:
    """Files published for the person who asks."""

    def __init__(self, *, views: Views, files: Files) -> None:
        """Take the ports."""
        self._views = views
        self._files = files

    async def files(self, actor: Actor) -> list[list[HubFile]]:
        """Return the files the actor sees, a list of versions per series; none without a recipient."""
        demand(actor, Right.HUB)
        if actor.recipient_id is None:
            return []
        return shown(await self._views.hub_files(actor.recipient_id), actor.recipient_id)

    async def download(self, file_id: str, actor: Actor) -> tuple[Artifact, AsyncIterator[bytes]]:
        """Return a file the actor sees. Raises NotFoundError for any other, whether it exists or not."""
        for versions in await self.files(actor):
            for file in versions:
                if file.id == file_id:
                    artifact = Artifact.model_validate(file.artifact)
                    return artifact, self._files.stream(artifact)
        raise NotFoundError("file", file_id)
