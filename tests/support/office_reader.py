"""What LibreOffice makes of files and passwords; run by the Python that has UNO.

Prints a line of JSON per file and password: whether it opened, whether it may be changed, and, of a workbook,
which of the passwords unlock its first sheet.
"""

import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any


def main() -> None:
    """Try passwords on files: ``office_reader.py HELPER PROGRAM PASSWORDS FILES``, the lists as JSON."""
    spec = importlib.util.spec_from_file_location("office_helper", sys.argv[1])
    if spec is None or spec.loader is None:
        raise SystemExit("there is no helper")
    helper: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helper)
    folder = Path(tempfile.mkdtemp(prefix="broadsheet-reader-"))
    settings = folder / "profile" / "user" / "registrymodifications.xcu"
    settings.parent.mkdir(parents=True)
    settings.write_text('<oor:items xmlns:oor="http://openoffice.org/2001/registry"/>', "utf-8")
    office = helper.LibreOffice(sys.argv[2], folder, 8 << 30, 8 << 30)
    try:
        office._ready()
        passwords: list[str] = json.loads(sys.argv[3])
        for file, tried in json.loads(sys.argv[4]).items():
            for password in tried:
                print(json.dumps(_tried(office._desktop, helper._properties, file, password, passwords)))
    finally:
        office.end()
        shutil.rmtree(folder, ignore_errors=True)


def _tried(desktop: Any, properties: Any, file: str, password: str, passwords: list[str]) -> dict[str, Any]:
    told: dict[str, Any] = {"file": Path(file).name, "password": password, "opened": False}
    how = {"Hidden": True} | ({"Password": password} if password else {})
    try:
        document = desktop.loadComponentFromURL(Path(file).as_uri(), "_blank", 0, properties(how))
    except Exception:  # noqa: BLE001 - whatever UNO raises
        return told
    if document is None:
        return told
    told |= {"opened": True, "readonly": document.isReadonly()}
    if file.endswith(".xlsx"):
        sheet = document.Sheets.getByIndex(0)
        told["protected"], told["unlocked_by"] = sheet.isProtected(), []
        for one in passwords:
            if sheet.isProtected():
                try:
                    sheet.unprotect(one)
                except Exception:  # noqa: BLE001 - whatever UNO raises
                    continue
                told["unlocked_by"].append(one)
    document.close(True)
    return told


if __name__ == "__main__":
    main()
