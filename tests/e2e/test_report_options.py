"""Files as a task wants them: locked with each reader's own password, in plain formats, in archives."""

import io
from typing import Any

import pikepdf
import pytest
import pyzipper  # type: ignore[import-untyped]

from support.platforms import CUSTOMERS_APP, Stage
from support.servers import unique

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def attachment(stage: Stage, address: str, ending: str) -> bytes:
    (mail,) = await stage.mails_for(address)
    (found,) = [each for each in mail["attachments"] if each["file_name"].endswith(ending)]
    return await stage.inbox.attachment(mail, found["index"])


async def test_each_reader_opens_their_file_with_their_own_password_and_no_event_holds_it(
    stage: Stage,
) -> None:
    tag = unique("locked")
    pins = {"ann": "ann-likes-anvils", "bob": "bob-buys-bolts"}
    people: dict[str, dict[str, Any]] = {
        name: await stage.create(
            "recipients",
            id=f"{tag}-{name}",
            name=name,
            email=f"{tag}-{name}@example.com",
            secrets={"pdf": pin},
        )
        for name, pin in pins.items()
    }
    await stage.create(
        "reports",
        id=tag,
        name="Orders",
        connection_id="customers-site",
        app_id=CUSTOMERS_APP,
        data=[
            {
                "kind": "table",
                "name": "orders",
                "dimensions": [{"name": "customer", "expression": "customer"}],
                "measures": [{"name": "amount", "expression": "Sum(amount)"}],
                "sort": ["customer"],
            }
        ],
    )
    await stage.create(
        "tasks",
        id=tag,
        name="Locked",
        reports=[
            {"id": "pdf", "report_id": "all-customers", "format": "pdf"},
            {"id": "csv", "report_id": tag, "format": "csv", "options": {"csv_separator": ";"}},
        ],
        recipients=[{"recipient_id": each["id"]} for each in people.values()],
        notification={"on_success": False, "on_warning": False, "on_error": False},
        secrets={
            "reports.pdf.open_password": "{{ recipient.secrets.pdf }}",
            "reports.csv.zip_password": "shared by everybody",
        },
    )

    execution = await stage.run(tag)

    assert "success" == execution["outcome"], (execution["reasons"], execution.get("problems"))
    assert 3 == execution["units"]["generated"], "a PDF for each reader, and one archive for both"
    for name, person in people.items():
        locked = io.BytesIO(await attachment(stage, person["email"], ".pdf"))
        others = [pin for other, pin in pins.items() if other != name]
        for wrong in ("", *others):
            with pytest.raises(pikepdf.PasswordError):
                pikepdf.open(locked, password=wrong)
        with pikepdf.open(locked, password=pins[name]) as opened:
            assert opened.pages
    archive = await attachment(stage, people["ann"]["email"], "Orders.csv.zip")
    with pyzipper.AESZipFile(io.BytesIO(archive)) as zipped:
        with pytest.raises(RuntimeError):
            zipped.read("Orders.csv")
        zipped.setpassword(b"shared by everybody")
        lines = zipped.read("Orders.csv").decode().splitlines()
    expected = [f"{name};{total}" for name, total in sorted(stage.totals.items())]
    assert ["customer;amount", *expected] == lines
    trail = str([each["data"] for each in await stage.audit()])
    assert not [secret for secret in (*pins.values(), "shared by everybody") if secret in trail]
