"""An SMTP server that misbehaves on request: for what a well-behaved one never does to its clients."""

import asyncio
import contextlib
import socket
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
    by_address: dict[str, list[bytes]] = field(default_factory=dict)
    """Answers to RCPT by address, used up before those of `answers`."""
    mailboxes: list[tuple[str, bytes]] = field(default_factory=list)
    """Address and answer for everybody to whom a complete message was sent."""
    cut_after: int | None = None
    """Close the connection after so many bytes of the next content, once."""
    read_slowly_s: float = 0.0
    """A pause after each 64 KiB of content."""
    content_answer_after: int | None = None
    """Answer the next content after so many bytes, without waiting for its end, once."""
    on_content: Callable[[], None] = lambda: None

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._say(writer, self.greeting):
            return
        envelope: list[str] = []
        while line := await reader.readline():
            verb = line.split()[0].decode().upper()
            self.verbs.append(verb)
            answer = self._envelope(verb, line, envelope)
            if not await self._say(writer, answer):
                return
            if verb == "QUIT":
                return
            if verb == "DATA" and answer.startswith(b"354"):
                if not await self._content(reader, writer):
                    return
                said = self._answer("CONTENT")
                self.mailboxes += [(each, said) for each in envelope]
                if not await self._say(writer, said):
                    return

    def _envelope(self, verb: str, line: bytes, envelope: list[str]) -> bytes:
        """Return the answer to a command, and keep the envelope it belongs to."""
        if verb in {"MAIL", "RSET"}:
            envelope.clear()
        if verb != "RCPT":
            return self._answer(verb)
        address = line.partition(b"<")[2].partition(b">")[0].decode()
        queued = self.by_address.get(address)
        answer = queued.pop(0) if queued else self._answer(verb)
        if answer.startswith(b"25"):
            envelope.append(address)
        return answer

    async def _content(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take a message to its end; False when the connection is to be closed before."""
        content = bytearray()
        while not content.endswith(b"\r\n.\r\n"):
            most, self_cut = 64 * 1024, self.cut_after
            part = await reader.read(most if self_cut is None else min(most, self_cut))
            if not part:
                return False
            content += part
            if self_cut is not None and len(content) >= self_cut:
                self.cut_after = None
                return False
            if self.content_answer_after is not None and len(content) >= self.content_answer_after:
                self.content_answer_after = None
                return await self._say(writer, self._answer("CONTENT")) and await self._drained(reader)
            await asyncio.sleep(self.read_slowly_s)
        self.messages.append(bytes(content))
        self.on_content()
        return True

    @staticmethod
    async def _drained(reader: asyncio.StreamReader) -> bool:
        while await reader.read(64 * 1024):
            pass
        return False

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

    listening = socket.create_server(("127.0.0.1", 0))
    # Little may lie between the two sides: tests look at what a client knows of what was read.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    server = await asyncio.start_server(handle, sock=listening)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()
