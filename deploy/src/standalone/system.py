"""Check what no wheel brings and install what is missing: `python -m standalone.system [GROUP ...]`.

Always checked: the shared libraries of everything native in the virtual environment (`mongod`, the brokers,
Playwright's Node) and Pango, with which WeasyPrint draws PDF. The groups add a Chromium for the tests of the
console (`browser`), LibreOffice for Office reports as PDF (`office`) and the programs that commands in the
documentation use (`tests`).

What is missing is installed with `apt-get` where that is allowed (root, or sudo without a password). When a
required part is still missing afterwards, the exit status is 1 and the command to run is printed; when an
optional one is, the tests that need it say so and are skipped.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from standalone.libraries import PACKAGES, missing_libraries, native_files


@dataclass(frozen=True, slots=True)
class Need:
    """One thing the machine must have.

    `packages` are Debian's; `missing` returns what is missing in words, or an empty string; `group` is empty
    for what is always needed; `without` says what does not work as long as an optional one is missing.
    """

    name: str
    packages: tuple[str, ...]
    missing: Callable[[], str]
    group: str = ""
    without: str = ""


def _pango() -> str:
    run = subprocess.run(
        [sys.executable, "-c", "import weasyprint"], capture_output=True, text=True, check=False
    )
    return "" if run.returncode == 0 else "WeasyPrint cannot load Pango, so PDF reports cannot be drawn"


def _browser() -> str:
    found = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    return "" if found else "there is no Chromium"


def _office() -> str:
    if shutil.which("soffice") is None:
        return "there is no LibreOffice"
    run = subprocess.run(["/usr/bin/python3", "-c", "import uno"], capture_output=True, check=False)
    return "" if run.returncode == 0 else "the Python of the system cannot talk to LibreOffice (UNO)"


def _curl() -> str:
    return "" if shutil.which("curl") else "there is no curl"


NEEDS: Final = (
    Need(
        "Pango",
        ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0", "fonts-dejavu-core"),
        _pango,
    ),
    Need(
        "Chromium",
        ("chromium-headless-shell",),
        _browser,
        group="browser",
        without="The tests of the console in a browser are skipped.",
    ),
    Need(
        "LibreOffice",
        (
            "libreoffice-calc-nogui",
            "libreoffice-writer-nogui",
            "libreoffice-impress-nogui",
            "python3-uno",
        ),
        _office,
        group="office",
        without="The tests of Office files as PDF are skipped.",
    ),
    Need("curl", ("curl",), _curl, group="tests", without="The test that follows the tutorial is skipped."),
)
GROUPS: Final = tuple(sorted({need.group for need in NEEDS if need.group}))


def install(packages: Sequence[str]) -> bool:
    """Install Debian packages without asking; False where that is not possible or failed."""
    apt = shutil.which("apt-get")
    if apt is None:
        return False
    prefix: list[str] = []
    if os.geteuid() != 0:
        sudo = shutil.which("sudo")
        if sudo is None or subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode:
            return False
        prefix = [sudo, "-n"]
    print("installing", *packages, flush=True)
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", apt, "-qq")
    for command in (("update",), ("install", "-y", "--no-install-recommends", *packages)):
        run = subprocess.run([*prefix, *quiet, *command], capture_output=True, text=True, check=False)
        if run.returncode:
            print((run.stderr or run.stdout).strip()[-2000:], file=sys.stderr)
            return False
    return True


def lacking() -> dict[str, list[Path]]:
    """Shared libraries that native files of the virtual environment need and the loader does not find."""
    files = native_files(Path(sysconfig.get_path("platlib"))) + native_files(Path(sys.executable).parent)
    by_library: dict[str, list[Path]] = {}
    for path, names in missing_libraries(files).items():
        for name in names:
            by_library.setdefault(name, []).append(path)
    return by_library


def provide_libraries() -> bool:
    """Install the shared libraries that are missing; False when one of a program is still missing."""
    wanted = sorted({PACKAGES[name] for name in lacking() if name in PACKAGES})
    if wanted:
        install(wanted)
    good = True
    for name, files in sorted(lacking().items()):
        package = PACKAGES.get(name)
        remedy = f"sudo apt-get install {package}" if package else "install the package that contains it"
        users = ", ".join(sorted(path.name for path in files)[:3])
        print(f"{name} is missing; {users} cannot be loaded without it. Run: {remedy}", file=sys.stderr)
        # A program is started by us; an extension module may be one that is never imported.
        good = good and not any(os.access(path, os.X_OK) and ".so" not in path.name for path in files)
    return good


def provide(need: Need) -> bool:
    """Install what a need lacks; False when a required one is still missing."""
    if not need.missing():
        return True
    install(need.packages)
    missing = need.missing()
    if not missing:
        return True
    how = f"sudo apt-get install {' '.join(need.packages)}"
    if need.group:
        print(
            f"{need.name} could not be installed: {missing}. {need.without} To install it: {how}",
            file=sys.stderr,
        )
        return True
    print(
        f"{need.name} could not be installed: {missing}. Install it and run make again: {how}",
        file=sys.stderr,
    )
    return False


def main(arguments: Sequence[str]) -> int:
    """Check and install; returns the exit status."""
    unknown = [word for word in arguments if word not in GROUPS]
    if unknown:
        print(f"{' '.join(unknown)}: not a known group. Use {', '.join(GROUPS)}.", file=sys.stderr)
        return 2
    wanted = [need for need in NEEDS if not need.group or need.group in arguments]
    results = [provide_libraries(), *(provide(need) for need in wanted)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
