"""Zip files written part after part, with fixed times, so that the same parts give the same file."""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from isal import isal_zlib

from rendering.model import TemplateError
from rendering.packing import DEFLATED, LEVEL, RAW, Packed

DATE, TIME = 0x21, 0  # 1980-01-01 00:00: the first moment a zip can name
LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_SIZES = struct.Struct("<3L")
_SIZES_AT = 14  # where the check sum and the sizes stand in a local header
_MAX_ZIP = 0xFFFFFFFF
_CHUNK = 64 * 1024


class ZipWriter:
    """Writes a zip into a file that can seek; of a part it holds only what it is given.

    Raises TemplateError where the file would need the 64-bit form, which not every Office program reads.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._directory: list[bytes] = []

    def add(self, name: str, part: Packed) -> None:
        """Write a part that is packed already."""
        at = self._header(name, part.method, (part.crc, part.length, part.size))
        self._out.writelines(part.packed)
        self._list(name, part.method, (part.crc, part.length, part.size), at)

    @contextmanager
    def part(self, name: str) -> Iterator[Callable[[str], None]]:
        """Write a text part piece by piece, by the function that is given; no other part meanwhile."""
        at = self._header(name, DEFLATED, (0, 0, 0))
        start = self._out.tell()
        packing = _Packing(self._out)
        yield packing.write
        size, crc = packing.finish()
        end = self._out.tell()
        _bounded(end)
        sizes = (crc, end - start, size)
        self._out.seek(at + _SIZES_AT)
        self._out.write(_SIZES.pack(*sizes))
        self._out.seek(end)
        self._list(name, DEFLATED, sizes, at)

    def close(self) -> None:
        """Write the directory; the file itself stays open."""
        start = self._out.tell()
        self._out.writelines(self._directory)
        size = self._out.tell() - start
        _bounded(start + size)
        count = len(self._directory)
        self._out.write(_END.pack(b"PK\5\6", 0, 0, count, count, size, start, 0))

    def _header(self, name: str, method: int, sizes: tuple[int, int, int]) -> int:
        raw, at = name.encode(), self._out.tell()
        _bounded(at, sizes[2])
        header = LOCAL.pack(b"PK\3\4", 20, _flags(name), method, TIME, DATE, *sizes, len(raw), 0)
        self._out.write(header + raw)
        return at

    def _list(self, name: str, method: int, sizes: tuple[int, int, int], at: int) -> None:
        raw = name.encode()
        start = (b"PK\1\2", 20, 20, _flags(name), method, TIME, DATE)
        self._directory.append(_CENTRAL.pack(*start, *sizes, len(raw), 0, 0, 0, 0, 0, at) + raw)


class _Packing:
    """Packs texts into a file, in chunks large enough to be worth a call."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._packer = isal_zlib.compressobj(level=LEVEL, wbits=RAW)
        self._held: list[str] = []
        self._length = self._size = self._crc = 0

    def write(self, text: str) -> None:
        self._held.append(text)
        self._length += len(text)
        if self._length >= _CHUNK:
            self._pack()

    def _pack(self) -> None:
        content = "".join(self._held).encode()
        self._held, self._length = [], 0
        self._crc, self._size = zlib.crc32(content, self._crc), self._size + len(content)
        _bounded(self._size)
        self._out.write(self._packer.compress(content))

    def finish(self) -> tuple[int, int]:
        """Unpacked size and check sum."""
        self._pack()
        self._out.write(self._packer.flush())
        return self._size, self._crc


def _flags(name: str) -> int:
    return 0 if name.isascii() else 0x800


def _bounded(*sizes: int) -> None:
    if max(sizes) > _MAX_ZIP:
        raise TemplateError("report", "the file grows beyond 4 GB", "Filter the data")
