"""Which shared libraries a program needs and this machine lacks, asked from the dynamic loader with `ldd`."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from standalone.errors import MissingTool

_MISSING: Final = re.compile(r"^\s+(\S+) => not found", re.MULTILINE)
_FILES_PER_CALL: Final = 200
_SECONDS: Final = 60

# Debian's names; on later releases the same names are provided by the renamed packages (libcurl4t64, ...)
PACKAGES: Final[Mapping[str, str]] = {
    "libatomic.so.1": "libatomic1",
    "libcurl.so.4": "libcurl4",
    "libffi.so.8": "libffi8",
    "libgcc_s.so.1": "libgcc-s1",
    "libgomp.so.1": "libgomp1",
    "liblzma.so.5": "liblzma5",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "libstdc++.so.6": "libstdc++6",
    "libz.so.1": "zlib1g",
}


def missing_libraries(files: Iterable[Path]) -> Mapping[Path, frozenset[str]]:
    """By file, the names of the shared libraries that it needs and the loader does not find.

    Files that have everything are left out.
    Files that are not dynamic executables or libraries need nothing. Where there is no `ldd` (it comes with
    the C library of every Debian) nothing is known, and the answer is empty.
    """
    program = shutil.which("ldd")
    wanted = sorted(set(files))
    if program is None:
        return {}
    found: dict[Path, frozenset[str]] = {}
    for start in range(0, len(wanted), _FILES_PER_CALL):
        found |= _asked(program, wanted[start : start + _FILES_PER_CALL])
    return found


def require_libraries(title: str, program: str) -> None:
    """Raise `MissingTool` when the loader lacks a library of a program that is about to be started."""
    path = Path(program).resolve()  # the loader looks beside the file itself, not beside a link to it
    names = sorted(missing_libraries([path]).get(path, ()))
    if names:
        packages = sorted({PACKAGES[name] for name in names if name in PACKAGES})
        how = f" or: sudo apt-get install {' '.join(packages)}" if packages else ""
        raise MissingTool(
            f"{title} cannot start: {path.name} needs {', '.join(names)}, which is not installed. "
            f"Run: make system{how}"
        )


def native_files(folder: Path) -> list[Path]:
    """Everything below a folder that the dynamic loader may have to load: programs and shared libraries."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix not in {".py", ".pyc"} and _is_elf(path)
    ]


def _asked(program: str, files: list[Path]) -> dict[Path, frozenset[str]]:
    # With one file `ldd` prints no heading, so the first is named twice.
    run = subprocess.run(
        [program, *map(str, [files[0], *files])],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    known = {str(path): path for path in files}
    found: dict[Path, frozenset[str]] = {}
    for heading, text in re.findall(r"^(\S.*):\n((?:^\s.*\n?)*)", run.stdout, re.MULTILINE):
        names = frozenset(_MISSING.findall(text))
        if names and heading in known:
            found[known[heading]] = names
    return found


def _is_elf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False
