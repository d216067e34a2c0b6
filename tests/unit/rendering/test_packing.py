"""Packed stretches make one stream, whatever stands between them."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from rendering.packing import Packed, Packer, join, pack

TEXTS = st.binary(max_size=200) | st.just(b"row" * 70_000)


@given(st.lists(st.tuples(TEXTS, st.booleans()), max_size=6))
def test_stretches_join_to_the_bytes_they_were_made_of(parts: list[tuple[bytes, bool]]) -> None:
    def stretch(text: bytes) -> Packed:
        packer = Packer()
        packer.add(text[: len(text) // 2])
        packer.add(text[len(text) // 2 :])
        return packer.stretch()

    whole = b"".join(text for text, _ in parts)
    joined = join([stretch(text) if packed else text for text, packed in parts])
    assert zlib.decompress(b"".join(joined.packed), -15) == whole
    assert (joined.crc, joined.size) == (zlib.crc32(whole), len(whole))


def test_the_same_bytes_are_packed_alike() -> None:
    assert pack(b"a" * 1_000) == pack(b"a" * 1_000)
