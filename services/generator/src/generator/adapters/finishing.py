"""What happens to a file in the render process besides rendering: long tables, passwords, archives."""

import pickle
from collections.abc import Iterator
from pathlib import Path

from generator.ports import Exported, Passwords, RenderedFile, Spooled
from rendering import plain, protect
from rendering.model import CONTENT_TYPES, Cell, OutputFormat, Rendered, RenderOptions, TemplateError

_ZIP = "application/zip"


def export_table(spooled: Spooled, output: OutputFormat, options: RenderOptions, title: str) -> RenderedFile:
    """Write a spooled table as a file beside its rows. Raises TemplateError."""
    path = spooled.path.with_name("file")
    plain.export(spooled.columns, _batches(spooled.path), path, output, options=options, title=title)
    return RenderedFile(path, CONTENT_TYPES[output])


def _batches(path: Path) -> Iterator[list[tuple[Cell, ...]]]:
    with path.open("rb") as file:
        while True:
            try:
                # Written by the service itself, into a folder of its own.
                yield pickle.load(file)  # noqa: S301 - see above
            except EOFError:
                return


def locked(file: Rendered, output: OutputFormat, passwords: Passwords) -> Rendered:
    """Return the file with its passwords. Raises TemplateError when its kind takes none."""
    content, content_type, extension = file.content, file.content_type, file.extension
    try:
        if passwords.open or passwords.edit:
            content = protect.encrypt(content, output, passwords.open, passwords.edit)
        if passwords.zip:
            content = protect.archive({passwords.name: content}, passwords.zip)
            content_type, extension = _ZIP, "zip"
    except protect.ProtectionError as error:
        remedy = "take another format, or an encrypted archive"
        raise TemplateError("passwords", str(error), remedy) from error
    return Rendered(content, content_type, extension, file.warnings)


def locked_file(file: RenderedFile, output: OutputFormat, passwords: Passwords) -> RenderedFile:
    """The same for a long table; the file is read as a whole, as encryption needs it."""
    if not (passwords.open or passwords.edit or passwords.zip):
        return file
    whole = Rendered(file.path.read_bytes(), file.content_type, output.value, file.warnings)
    done = locked(whole, output, passwords)
    file.path.write_bytes(done.content)
    return RenderedFile(file.path, done.content_type, file.warnings)


def unchanged(exported: Exported, output: OutputFormat) -> Rendered:
    """Return a file of Qlik's as one that was rendered."""
    return Rendered(exported.content, exported.content_type, output.value)
