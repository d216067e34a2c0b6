"""ZIP archives whose bytes depend on their members only."""

import io
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

# The earliest time the format knows: the same files give the same archive, whenever it is made.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_0644 = 0o100644 << 16


def write_archive(target: BinaryIO, members: Iterable[tuple[str, bytes | Path]]) -> None:
    """Write an archive of members by name, uncompressed: report formats are compressed already.

    Names have to be unique (`file_names.unique_names`); a member may be given as bytes or as a file to read.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, source in members:
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.create_system = 3  # Unix, on every platform: it is part of the bytes
            info.external_attr = _REGULAR_FILE_0644
            if isinstance(source, bytes):
                archive.writestr(info, source)
            else:
                info.file_size = source.stat().st_size
                with source.open("rb") as file, archive.open(info, "w") as member:
                    shutil.copyfileobj(file, member, 1 << 20)


def archive_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Return an archive held in memory, for a mail."""
    buffer = io.BytesIO()
    write_archive(buffer, members)
    return buffer.getvalue()
