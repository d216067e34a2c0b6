"""Office files as LibreOffice shows them: pages as pictures, many files in one start, an own profile."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pypdfium2  # type: ignore[import-untyped]
import pytest
from PIL import Image, ImageChops

_SECONDS_PER_FILE = 60


def need_office() -> str:
    """The path of LibreOffice, or a loud skip."""
    found = shutil.which("soffice") or shutil.which("libreoffice")
    if found is None:
        pytest.skip("NO LIBREOFFICE: install libreoffice-writer, -calc and -impress to look at pages")
    return found


def to_pdf(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files by name (with their extension) as PDF; a file that did not open is missing."""
    program = need_office()
    assert len({Path(name).stem for name in files}) == len(files), "their PDFs would have the same name"
    with tempfile.TemporaryDirectory(prefix="pages-", ignore_cleanup_errors=True) as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        profile = f"-env:UserInstallation={Path(folder, 'profile').as_uri()}"
        command = [program, profile, "--headless", "--norestore", "--nolockcheck", "--convert-to", "pdf"]
        command += ["--outdir", folder, *(str(Path(folder) / name) for name in files)]
        subprocess.run(command, capture_output=True, timeout=_SECONDS_PER_FILE * len(files), check=False)
        pdfs = {name: (Path(folder) / name).with_suffix(".pdf") for name in files}
        return {name: pdf.read_bytes() for name, pdf in pdfs.items() if pdf.is_file()}


def pictures(pdf: bytes, dpi: int = 60, most: int = 20) -> list[Image.Image]:
    """The first pages of a PDF."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        count = min(len(document), most)
        return [document[i].render(scale=dpi / 72).to_pil().convert("RGB") for i in range(count)]
    finally:
        document.close()


def differing(before: list[Image.Image], after: list[Image.Image]) -> list[int]:
    """The numbers of the pages that do not look the same."""
    longest = max(len(before), len(after))
    pairs = [
        (before[i] if i < len(before) else None, after[i] if i < len(after) else None) for i in range(longest)
    ]
    return [i + 1 for i, (old, new) in enumerate(pairs) if not _same(old, new)]


def _same(old: Image.Image | None, new: Image.Image | None) -> bool:
    if old is None or new is None or old.size != new.size:
        return False
    return ImageChops.difference(old, new).getbbox() is None
