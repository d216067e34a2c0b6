"""What can go wrong when a server or a child process is started; each error says how to mend it."""

from pathlib import Path

LOG_LINES = 15


class StandaloneError(Exception):
    """Base of all errors of this package; the text is meant for the person at the keyboard."""


class MissingTool(StandaloneError):  # noqa: N818 - it names the fact, and is read as such where it is raised
    """A program or wheel that a server needs is not installed."""


class PortTaken(StandaloneError):  # noqa: N818 - it names the fact
    """Somebody listens on the port already; the text names the process where it can be found."""


class StartFailed(StandaloneError):  # noqa: N818 - it names the fact
    """The process ended, or did not become ready in time; the text ends with the last lines of its log."""

    def __init__(self, name: str, why: str, log_file: Path) -> None:
        super().__init__(f"{name} did not start: {why}\nlog: {log_file}\n{tail(log_file)}")


def tail(log_file: Path, lines: int = LOG_LINES) -> str:
    """The last lines of a text file, at most 8 KiB of it; empty when there is no file."""
    try:
        with log_file.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join("  | " + line for line in text.splitlines()[-lines:])
