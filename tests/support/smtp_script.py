"""An SMTP server that misbehaves on request: for what a well-behaved one never does to its clients."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

DROP = b""
"""As an answer: close the connection without one."""
SILENCE = b"\0"
"""As an answer: keep the connection open and say nothing."""


@dataclass
class ScriptedSmtp:
    """Answers by verb; `answers["RCPT"] = [...]` are used up one by one, then the default is given."""

    port: int = 0
    answers: dict[str, list[bytes]] = field(default_factory=dict)
    greeting: bytes = b"220 scripted"
    extensions: tuple[bytes, ...] = (b"SIZE 1000000",)
    verbs: list[str] = field(default_factory=list)
    connections: int = 0
    messages: list[bytes] = field(default_factory=list)
    """Contents that were received to their end, whatever was answered."""
    on_content: Callable[[], None] = lambda: None

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._say(writer, self.greeting):
            return
        while line := await reader.readline():
            verb = line.split()[0].decode().upper()
            self.verbs.append(verb)
            if not await self._say(writer, self._answer(verb)):
                return
            if verb == "QUIT":
                return
            if verb == "DATA" and self._said.startswith(b"354"):
                self.messages.append(await reader.readuntil(b"\r\n.\r\n"))
                self.on_content()
                if not await self._say(writer, self._answer("CONTENT")):
                    return

    def _answer(self, verb: str) -> bytes:
        if self.answers.get(verb):
            return self.answers[verb].pop(0)
        if verb == "EHLO":
            lines = [b"scripted", *self.extensions]
            return b"\r\n".join(
                b"250" + (b" " if number == len(lines) else b"-") + line
                for number, line in enumerate(lines, start=1)
            )
        return {"DATA": b"354 go on", "QUIT": b"221 bye", "CONTENT": b"250 2.0.0 queued as 42"}.get(
            verb, b"250 ok"
        )

    async def _say(self, writer: asyncio.StreamWriter, answer: bytes) -> bool:
        self._said = answer
        if answer == DROP:
            return False
        if answer == SILENCE:
            await asyncio.Event().wait()
        writer.write(answer + b"\r\n")
        await writer.drain()
        return True


@asynccontextmanager
async def scripted_smtp() -> AsyncIterator[ScriptedSmtp]:
    """Run the server on a free port of loopback."""
    script = ScriptedSmtp()
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await script.handle(reader, writer)
        writer.close()
        running.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()
