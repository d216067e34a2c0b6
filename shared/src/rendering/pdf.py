"""Finished PDF files: made the same every time, and looked at."""

import struct
from datetime import UTC, datetime
from io import BytesIO

_MADE_AT = 24


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
