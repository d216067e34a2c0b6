"""Real Office files to test with: from the folder BROADSHEET_SHARED, or ../shared beside the repository."""

import os
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pytest


def office_files(extension: str) -> list[Path]:
    """All sample files of one kind, sorted; empty where the samples are missing."""
    root = os.environ.get("BROADSHEET_SHARED") or str(Path(__file__).parents[3] / "shared")
    return sorted((Path(root) / "office").glob(f"*/{extension}/*.{extension}"))


def need_office_files(extension: str) -> list[Path]:
    """The same, or a loud skip."""
    found = office_files(extension)
    if not found:
        pytest.skip(
            "NO OFFICE SAMPLES: set BROADSHEET_SHARED to the folder that holds office/",
            allow_module_level=True,
        )
    return found


def package_parts(content: bytes) -> dict[str, bytes]:
    """The parts of a package by name, in their order."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return {i.filename: archive.read(i) for i in archive.infolist() if not i.is_dir()}


def package_of(parts: Mapping[str, bytes]) -> bytes:
    """A package with these parts."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return out.getvalue()
