"""Passwords and archives, put on finished files.

Encrypted bytes differ every time, as they must: salt and keys are random.
"""

import re
import zipfile
from collections.abc import Mapping
from io import BytesIO

from rendering import edit_locks
from rendering.model import OutputFormat
from rendering.pdf import archive_level

MIN_PASSWORD = 8
MAX_PASSWORD = 127  # UTF-8 bytes: what PDF 2.0 takes
_OFFICE = frozenset({OutputFormat.XLSX, OutputFormat.XLSM, OutputFormat.DOCX, OutputFormat.PPTX})
_SMALLEST = 4_608
_MOMENT = (1980, 1, 1, 0, 0, 0)


class ProtectionError(Exception):
    """A file that cannot be protected as asked; the message says what can."""


def check_password(password: str) -> None:
    """Refuse what no reader can be asked to type, or is too short to be worth it."""
    if len(password) < MIN_PASSWORD:
        raise ProtectionError(f"a password needs at least {MIN_PASSWORD} characters")
    if len(password.encode()) > MAX_PASSWORD or re.search(r"[\x00-\x1f\x7f]", password):
        raise ProtectionError(f"a password has at most {MAX_PASSWORD} bytes and no control characters")


def encrypt(content: bytes, kind: OutputFormat, password: str = "", edit_password: str = "") -> bytes:
    """The file with a password to open it, one to change it, or both. An empty one is none.

    Open: AES-256 for PDF and Office. Edit: what the format has for it (``edit_locks``); a PDF may be read and
    printed, and changed by who knows the password. Other kinds go into an archive. Raises ProtectionError.
    """
    if not password and not edit_password:
        return content
    for one in (password, edit_password):
        if one:
            check_password(one)
    if kind is OutputFormat.PDF:
        return _pdf(content, password, edit_password)
    if kind in _OFFICE:
        locked = edit_locks.lock(content, kind, edit_password) if edit_password else content
        return _office(locked, password) if password else locked
    raise ProtectionError(f"a {kind.value} file has no password; put it into an encrypted zip")


def _pdf(content: bytes, password: str, edit_password: str) -> bytes:
    import pikepdf  # noqa: PLC0415 - only reports with passwords need it

    if archive_level(content):
        raise ProtectionError("a PDF/A file must not be encrypted; make an ordinary PDF, or use a zip")
    out = BytesIO()
    allowed = pikepdf.Permissions()
    if edit_password:
        allowed = pikepdf.Permissions(
            modify_annotation=False, modify_assembly=False, modify_form=False, modify_other=False
        )
    owner = edit_password or password
    with pikepdf.open(BytesIO(content)) as pdf:
        pdf.save(out, encryption=pikepdf.Encryption(user=password, owner=owner, R=6, allow=allowed))
    return out.getvalue()


def _office(content: bytes, password: str) -> bytes:
    from msoffcrypto.format.ooxml import OOXMLFile  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    out = BytesIO()
    OOXMLFile(BytesIO(_padded(content))).encrypt(password, out)
    return out.getvalue()


def _padded(content: bytes) -> bytes:
    """The package, made as long as an encrypted one has to be by a comment at its end.

    Shorter streams stand elsewhere in the container, and msoffcrypto-tool 6.1 writes them where nobody looks.
    """
    missing = _SMALLEST - len(content)
    if missing <= 0 or not content.endswith(b"\0\0"):
        return content
    return content[:-2] + missing.to_bytes(2, "little") + b" " * missing


def archive(files: Mapping[str, bytes], password: str = "") -> bytes:
    """A zip of finished files; with a password AES-256, which 7-Zip and Windows 11 open, old tools not.

    The names of the files stay readable in an encrypted archive. ``file_names.safe_name`` makes them.
    """
    unsafe = [name for name in files if not name or name in {".", ".."} or re.search(r"[\\/:\0]", name)]
    if unsafe or len({name.casefold() for name in files}) < len(files):
        raise ProtectionError(f"names in an archive are plain and unique: {unsafe or sorted(files)}")
    out = BytesIO()
    if password:
        check_password(password)
        import pyzipper  # type: ignore[import-untyped]  # noqa: PLC0415 - only archives with passwords need it

        with pyzipper.AESZipFile(
            out, "w", compression=zipfile.ZIP_STORED, encryption=pyzipper.WZ_AES
        ) as zipped:
            zipped.setpassword(password.encode())
            for name, content in files.items():
                zipped.writestr(pyzipper.zipfile_aes.AESZipInfo(name, _MOMENT), content)
        return out.getvalue()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as zipped:
        for name, content in files.items():
            zipped.writestr(zipfile.ZipInfo(name, _MOMENT), content)
    return out.getvalue()
