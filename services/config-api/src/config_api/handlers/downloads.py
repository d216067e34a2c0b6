"""Files as answers: always an attachment, never a page of ours."""

from collections.abc import AsyncIterator
from urllib.parse import quote

from fastapi.responses import Response, StreamingResponse

from contracts.base import ObjectRef


async def attachment(file_name: str, ref: ObjectRef, content: AsyncIterator[bytes]) -> Response:
    """Return a file to be saved.

    The first piece is read before the answer begins, so that a file that is gone is an error and no broken
    download. Reports are made from other people's data: nothing of them may run on this site.
    """
    first = await anext(content, b"")

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for piece in content:
            yield piece

    coded = quote(file_name, safe="")
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in file_name
    )
    return StreamingResponse(
        body(),
        media_type=ref.content_type,
        headers={
            "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}",
            "Content-Length": str(ref.size),
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "private, no-store",
        },
    )
