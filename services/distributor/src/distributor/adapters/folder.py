"""Storage spaces that are folders.

A path is walked part by part from the root's file descriptor, and no part may be a symbolic link: so a file
never lands outside, even when somebody changes the tree meanwhile.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from distributor.domain.naming import PathRefusedError, relative_parts
from distributor.ports import SpaceError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE = 0o640
_FOLDER_MODE = 0o750
# Errors that go away when somebody frees room or mounts the share again.
_PASSING = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EBUSY)
)


class FolderSpace:
    """A folder that exists; files appear in it complete or not at all."""

    def __init__(self, root: Path) -> None:
        """Take the root; what lies above it is the operator's business."""
        self._root = root

    async def put(self, source: Path, path: str, *, content_type: str, tag: str) -> str:
        """Save a file at a relative path, replacing what is there, and verify it. Return where it lies.

        `tag` tells attempts apart. Raises SpaceError when it did not work, PathRefusedError for a bad path.
        """
        del content_type
        parts = relative_parts(path)
        await asyncio.to_thread(self._put, source, parts, tag)
        return "/".join(parts)

    def _put(self, source: Path, parts: tuple[str, ...], tag: str) -> None:
        try:
            with self._folder_of(parts) as folder:
                _write(source, folder, parts[-1], tag)
        except OSError as error:
            raise _space_error(error, "/".join(parts)) from error

    @contextlib.contextmanager
    def _folder_of(self, parts: tuple[str, ...]) -> Iterator[int]:
        """Yield a descriptor of the folder the file belongs in, made where it is missing."""
        try:
            # The root itself may be reached through a link: an operator chose it.
            current = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _no_root(error, self._root) from error
        try:
            for part in parts[:-1]:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, _FOLDER_MODE, dir_fd=current)
                current = _into(current, part)
            yield current
        finally:
            os.close(current)


def _into(parent: int, part: str) -> int:
    try:
        child = os.open(part, _FOLDER, dir_fd=parent)
    except OSError as error:
        # Linux says ENOTDIR for a link opened as a folder, others say ELOOP.
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise PathRefusedError(
                f"{part!r} on the way to the file is a symbolic link or no folder; it is not followed"
            ) from error
        raise
    os.close(parent)
    return child


def _write(source: Path, folder: int, name: str, tag: str) -> None:
    # Random, too: a worker that lost its lease may still be writing under the same tag.
    part = f".broadsheet-{tag}-{secrets.token_hex(4)}.part"
    try:
        with open(os.open(part, _NEW_FILE, _FILE_MODE, dir_fd=folder), "wb") as target:  # noqa: PTH123
            with source.open("rb") as content:
                shutil.copyfileobj(content, target, 1 << 20)
            target.flush()
            # The process's umask may be anything; readers of the folder are meant to be its group.
            os.fchmod(target.fileno(), _FILE_MODE)
            os.fsync(target.fileno())
            if os.fstat(target.fileno()).st_size != source.stat().st_size:
                raise OSError(errno.EIO, "the file came out shorter than it should be")
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder)


def _no_root(error: OSError, root: Path) -> SpaceError:
    # A share that is not mounted looks like this, so it is worth trying again until the deadline.
    return SpaceError(
        "folder-missing",
        f"the folder {str(root)!r} of the storage space cannot be opened: {error.strerror}",
        remedy="create or mount the folder; Broadsheet never creates the root itself",
        lasting=error.errno == errno.EACCES,
        unreachable=True,
    )


def _space_error(error: OSError, path: str) -> SpaceError:
    return SpaceError(
        "folder-write-failed",
        f"{path!r} cannot be written: {error.strerror}",
        remedy="check free space and the rights of the distributor's user on the folder",
        lasting=error.errno not in _PASSING,
    )
