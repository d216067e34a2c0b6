"""The tutorial is followed word for word: each command and script on the page, and a mail arrives."""

import asyncio
import io
import os
import re
import shutil
import sys
from pathlib import Path

import openpyxl
import pytest

from support.platforms import Stage

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial needs curl: apt-get install curl"),
]
PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-report.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script() -> str:
    """Return the page's commands as one shell script; blocks marked `demo` start what runs here already."""
    found = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert {"sh", "python"} == {kind for kind, _ in found}
    python = f"'{sys.executable}' - <<'PYTHON'\n%sPYTHON"
    steps = [python % text if kind == "python" else text for kind, text in found]
    return "\n".join(("set -euo pipefail", *steps))


async def test_a_newcomer_who_follows_the_page_gets_the_report_by_mail(stage: Stage, tmp_path: Path) -> None:
    await stage.create(
        "connections",
        id="qlik",
        name="Qlik Sense (simulated)",
        kind="client-managed",
        settings={
            "engine_url": stage.places.engine_url,
            "qrs_url": stage.places.qrs_url,
            "auth": {"kind": "certificate", "user_directory": "INTERNAL", "user_id": "sa_engine"},
        },
    )
    environment = {
        **os.environ,
        "BROADSHEET_URL": stage.platform.console_url,
        "BROADSHEET_API_KEY": stage.rest.key,
        "BROADSHEET_INBOX": stage.platform.inbox.api_url,
        "no_proxy": "*",
    }

    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script(),
        cwd=tmp_path,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 200)

    assert 0 == process.returncode, output.decode()
    assert b'"in_order":true' in output
    (mail,) = await stage.mails_for("you@example.com")
    assert "Flights for You" == mail["subject"]
    (attachment,) = mail["attachments"]
    assert re.fullmatch(r"Flights by airline \d{4}-\d\d-\d\d\.xlsx", attachment["file_name"])
    content = await stage.inbox.attachment(mail, attachment["index"])
    sheet = openpyxl.load_workbook(io.BytesIO(content))["Airlines"]
    rows = [row for row in sheet.iter_rows(min_row=5, max_col=2, values_only=True) if row[0] is not None]
    *airlines, total = rows
    flights = [int(str(row[1])) for row in airlines]
    assert "Flights from EWR, JFK, LGA" == sheet["A1"].value
    assert 16 == len(flights)
    assert sorted(flights, reverse=True) == flights
    assert ("Total", "=SUM(B5:B20)") == total
    assert 336_776 == sum(flights)
    assert "336,776 flights in all" == sheet["A2"].value
    preview = openpyxl.load_workbook(tmp_path / "preview.xlsx")["Airlines"]
    assert "Flights from JFK" == preview["A1"].value
