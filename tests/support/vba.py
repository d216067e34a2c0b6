"""A Visual Basic project as Excel stores it, written from MS-OVBA and MS-CFB: real enough for oletools."""

import struct
from collections.abc import Mapping

_SECTOR, _MINI, _SMALL = 512, 64, 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def vba_project(modules: Mapping[str, str]) -> bytes:
    """A ``vbaProject.bin`` with these modules: source by name."""
    streams = {"PROJECT": _project(modules)}
    storage = {"dir": _compressed(_dir(modules)), "_VBA_PROJECT": b"\xcc\x61\xff\xff\x00\x00\x00"}
    for name, source in modules.items():
        text = f'Attribute VB_Name = "{name}"\r\n' + source.replace("\n", "\r\n")
        storage[name] = _compressed(text.encode("cp1252"))
    return _compound(streams, "VBA", storage)


def _project(modules: Mapping[str, str]) -> bytes:
    lines = ['ID="{00000000-0000-0000-0000-000000000000}"', *(f"Module={name}" for name in modules)]
    return "\r\n".join([*lines, 'Name="VBAProject"', 'VersionCompatible32="393222000"', ""]).encode()


def _record(number: int, body: bytes = b"") -> bytes:
    return struct.pack("<HL", number, len(body)) + body


def _dir(modules: Mapping[str, str]) -> bytes:
    """The stream that lists the modules (MS-OVBA 2.3.4.2)."""
    out = _record(1, struct.pack("<L", 1)) + _record(2, struct.pack("<L", 0x409))
    out += _record(0x14, struct.pack("<L", 0x409)) + _record(3, struct.pack("<H", 1252))
    out += _record(4, b"VBAProject") + _record(5) + _record(0x40) + _record(6) + _record(0x3D)
    out += _record(7, bytes(4)) + _record(8, bytes(4)) + struct.pack("<HLLH", 9, 4, 1, 1)
    out += _record(0xC) + _record(0x3C)
    out += _record(0xF, struct.pack("<H", len(modules))) + _record(0x13, b"\xff\xff")
    for name in modules:
        short, wide = name.encode("cp1252"), name.encode("utf-16-le")
        out += _record(0x19, short) + _record(0x47, wide) + _record(0x1A, short) + _record(0x32, wide)
        out += _record(0x1C) + _record(0x48) + _record(0x31, bytes(4)) + _record(0x1E, bytes(4))
        out += _record(0x2C, b"\xff\xff") + _record(0x21) + _record(0x2B)
    return out + _record(0x10)


def _compressed(data: bytes) -> bytes:
    """The container of MS-OVBA 2.4.1, with literals only."""
    out = b"\x01"
    for at in range(0, len(data), 3_600):
        chunk = data[at : at + 3_600]
        body = b"".join(b"\0" + chunk[i : i + 8] for i in range(0, len(chunk), 8))
        out += struct.pack("<H", 0xB000 | (len(body) - 1)) + body
    return out


def _compound(streams: Mapping[str, bytes], storage: str, inner: Mapping[str, bytes]) -> bytes:
    """A compound file with streams at its root and one storage; all streams are small ones."""
    mini = b""
    chain: list[int] = []
    entries: dict[str, tuple[int, int]] = {}
    for name, data in {**streams, **inner}.items():
        assert len(data) < _SMALL
        count = max(1, -(-len(data) // _MINI))
        entries[name] = (len(chain), len(data))
        chain += [*range(len(chain) + 1, len(chain) + count), _END]
        mini += data.ljust(count * _MINI, b"\0")
    top, below = [*streams, storage], list(inner)
    names = ["Root Entry", *top, *below]
    directory = b""
    for name in names:
        group = top if name in top else below if name in below else []
        order = sorted(group, key=lambda one: (len(one), one.upper()))
        after = order[order.index(name) + 1 :] if group else []
        right = names.index(after[0]) if after else _FREE
        kids = {"Root Entry": top, storage: below}.get(name, [])
        child = names.index(min(kids, key=lambda one: (len(one), one.upper()))) if kids else _FREE
        kind = 5 if name == "Root Entry" else 1 if name == storage else 2
        start, size = entries.get(name, (0, 0))
        if kind == 5:
            start, size = 0, len(mini)
        wide = name.encode("utf-16-le") + b"\0\0"
        directory += wide.ljust(64, b"\0") + struct.pack("<HBBLLL", len(wide), kind, 1, _FREE, right, child)
        directory += bytes(36) + struct.pack("<LQ", start, size)
    mini_fat = b"".join(struct.pack("<L", one) for one in chain)
    parts = [_padded(mini, b"\0"), _padded(directory, b"\0"), _padded(mini_fat, b"\xff")]
    fat: list[int] = []
    starts = []
    for body in parts:
        starts.append(len(fat))
        fat += [*range(len(fat) + 1, len(fat) + len(body) // _SECTOR), _END]
    where = len(fat)
    table = b"".join(struct.pack("<L", one) for one in [*fat, _FAT])
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    header += bytes(6) + struct.pack("<LLLLLLLLL", 0, 1, starts[1], 0, _SMALL, starts[2], 1, _END, 0)
    header += struct.pack("<L", where) + b"\xff" * (108 * 4)
    assert len(mini_fat) <= _SECTOR
    return header + b"".join(parts) + _padded(table, b"\xff")


def _padded(data: bytes, fill: bytes) -> bytes:
    return data + fill * (-len(data) % _SECTOR)
