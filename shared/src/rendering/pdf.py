"""Finished PDF files: made the same every time, and looked at."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

_MADE_AT = 24
_FULL = 255  # opacity of a point


def settled(content: bytes, now: datetime) -> bytes:
    """A PDF with one date instead of the clock's and an identifier made from its content.

    What LibreOffice writes differs in nothing else. PDF/A stays what it is: its metadata say the same as
    the document information.
    """
    import pikepdf  # noqa: PLC0415 - only these reports need it

    out = BytesIO()
    with pikepdf.open(BytesIO(content)) as pdf:
        moment = pikepdf.models.metadata.encode_pdf_date(now)
        for key in ("/CreationDate", "/ModDate"):
            pdf.docinfo[key] = pikepdf.String(moment)
        if "/Metadata" in pdf.Root:
            with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as metadata:
                for key in ("xmp:CreateDate", "xmp:ModifyDate"):
                    metadata[key] = now.isoformat(timespec="seconds")
        for intent in pdf.Root.get("/OutputIntents", []):
            profile = intent.get("/DestOutputProfile")
            if isinstance(profile, pikepdf.Stream):
                profile.write(_dated(profile.read_bytes(), now))
        for key in ("/DocChecksum", "/ID"):
            if key in pdf.trailer:
                del pdf.trailer[key]
        pdf.save(out, deterministic_id=True)
    return out.getvalue()


def _dated(profile: bytes, now: datetime) -> bytes:
    """A colour profile with its date of making, 12 bytes of its header (ICC.1, 7.2.8), set to another."""
    made = struct.pack(">6H", *now.astimezone(UTC).timetuple()[:6])
    return profile[:_MADE_AT] + made + profile[_MADE_AT + len(made) :]


def archive_level(content: bytes) -> str:
    """The level of PDF/A a file claims, such as ``2b``; empty for none."""
    import pikepdf  # noqa: PLC0415 - as above

    with pikepdf.open(BytesIO(content)) as pdf:
        if "/Metadata" not in pdf.Root:
            return ""
        with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as metadata:
            return f"{metadata.get('pdfaid:part', '')}{metadata.get('pdfaid:conformance', '')}".lower()


def archivable(content: bytes, *, opaque: bool) -> bytes | None:
    """A PDF as PDF/A wants it: pictures are not smoothed (ISO 19005-2, 6.2.8).

    With ``opaque`` it has no transparency groups, which PDF/A-1 forbids (ISO 19005-1, 6.4): one in which
    everything is opaque looks the same without being one. None if something is transparent.
    """
    import pikepdf  # noqa: PLC0415 - as above

    out = BytesIO()
    with pikepdf.open(BytesIO(content)) as pdf:
        held = [one for one in pdf.objects if isinstance(one, pikepdf.Dictionary | pikepdf.Stream)]
        for one in held if opaque else ():
            mask = one.get("/SMask")
            if isinstance(mask, pikepdf.Stream) and set(mask.read_bytes()) == {_FULL}:
                del one["/SMask"]  # of a picture that could have been transparent and is not
        if opaque and any(_see_through(each) for one in held for each in _dictionaries(one)):
            return None
        for one in held:
            group = one.get("/Group")
            if opaque and isinstance(group, pikepdf.Dictionary) and group.get("/S") == "/Transparency":
                del one["/Group"]
            if one.get("/Interpolate"):
                one["/Interpolate"] = False
        packed = pikepdf.ObjectStreamMode.disable if opaque else pikepdf.ObjectStreamMode.preserve
        pdf.save(out, deterministic_id=True, object_stream_mode=packed)
    return out.getvalue()


def _see_through(one: Any) -> bool:
    """Whether a dictionary makes something transparent: a mask, less than full opacity, another blending."""
    return (
        one.get("/SMask", "/None") != "/None"
        or any(float(one.get(key, 1)) < 1 for key in ("/ca", "/CA"))
        or one.get("/BM", "/Normal") not in {"/Normal", "/Compatible"}
    )


def _dictionaries(one: Any) -> Iterator[Any]:
    """A dictionary and those that stand in it themselves, not by reference."""
    import pikepdf  # noqa: PLC0415 - as above

    yield one
    for value in one.values():
        if isinstance(value, pikepdf.Dictionary) and not value.is_indirect:
            yield from _dictionaries(value)
