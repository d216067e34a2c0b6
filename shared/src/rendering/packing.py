"""Packed stretches of a part: made as the text is written, joined later, whatever stands before them.

A stretch ends on a whole byte and looks back at nothing outside itself, so stretches may stand one after
another in one deflated stream (RFC 1951); their check sums are combined as zlib does.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from isal import isal_zlib

DEFLATED, STORED = 8, 0
LEVEL = 2  # of isal, 0 to 3
RAW = -15


@dataclass(frozen=True, slots=True)
class Packed:
    """A part as it stands in the zip file; ``size`` is that of the unpacked bytes."""

    packed: tuple[bytes, ...]
    method: int
    crc: int
    size: int

    @property
    def length(self) -> int:
        """Bytes in the zip file."""
        return sum(map(len, self.packed))


class Packer:
    """Packs what it is given, holding only the packed form."""

    def __init__(self) -> None:
        self._packer = isal_zlib.compressobj(level=LEVEL, wbits=RAW)
        self._packed: list[bytes] = []
        self._crc = self._size = 0

    def add(self, content: bytes) -> None:
        """Pack some more."""
        self._crc, self._size = zlib.crc32(content, self._crc), self._size + len(content)
        packed = self._packer.compress(content)
        if packed:
            self._packed.append(packed)

    def stretch(self) -> Packed:
        """All there was, to be followed by more."""
        return self._done(self._packer.flush(isal_zlib.Z_FULL_FLUSH))

    def part(self) -> Packed:
        """All there was, as a whole part."""
        return self._done(self._packer.flush())

    def _done(self, rest: bytes) -> Packed:
        return Packed((*self._packed, rest), DEFLATED, self._crc, self._size)


def pack(content: bytes) -> Packed:
    """Pack a whole part."""
    packer = Packer()
    packer.add(content)
    return packer.part()


def join(pieces: Iterable[bytes | Packed]) -> Packed:
    """A whole part of plain and packed stretches."""
    packed: list[bytes] = []
    crc = size = 0
    packer = Packer()
    for piece in [*pieces, None]:
        if isinstance(piece, bytes):
            packer.add(piece)
            continue
        own = packer.part() if piece is None else packer.stretch()
        for stretch in (own, piece) if piece is not None else (own,):
            packed.extend(stretch.packed)
            crc, size = isal_zlib.crc32_combine(crc, stretch.crc, stretch.size), size + stretch.size
        packer = Packer()
    return Packed(tuple(packed), DEFLATED, crc, size)
