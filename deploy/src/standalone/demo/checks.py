"""Whether everything arrived, exactly once, at the right people, with the right numbers."""

import asyncio
import hashlib
import io
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import pypdf
import python_calamine

from standalone.demo.configuration import CARRIERS, MANAGERS, OWNER, SKIPPED_CARRIER, TASK_ID, address_of
from standalone.demo.expectations import Expected, expected
from standalone.demo.seed import Account, Rest
from standalone.s3 import SeaweedFS
from standalone.web import http_client

SENT = tuple(code for code in CARRIERS if code != SKIPPED_CARRIER)
FILES = 2 * len(SENT)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that had to come true."""

    what: str
    expected: str
    found: str

    @property
    def passed(self) -> bool:
        """Whether it did."""
        return self.expected == self.found


@dataclass(slots=True)
class Report:
    """What was checked."""

    checks: list[Check] = field(default_factory=list)

    def add(self, what: str, wanted: object, found: object) -> None:
        """Note a check."""
        self.checks.append(Check(what, str(wanted), str(found)))

    @property
    def passed(self) -> bool:
        """Whether all came true."""
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class Inbox:
    """The inbox's JSON API."""

    url: str

    async def messages(self) -> list[dict[str, Any]]:
        """Return every message, newest first."""
        found: list[dict[str, Any]] = (await self._get("/api/messages")).json()
        return found

    async def attachment(self, message: dict[str, Any], index: int) -> bytes:
        """Return the bytes of an attachment."""
        return (await self._get(f"/api/messages/{message['id']}/attachments/{index}")).content

    async def _get(self, path: str) -> httpx.Response:
        async with http_client(timeout=30.0) as http:
            reply = await http.get(f"{self.url}{path}")
        reply.raise_for_status()
        return reply


async def check_all(
    rest: Rest, inbox: Inbox, objects: SeaweedFS, people: list[Account], execution_id: str
) -> Report:
    """Look at every place something had to arrive at."""
    report = Report()
    messages = await inbox.messages()
    await _check_execution(report, rest, execution_id)
    await _check_mails(report, inbox, messages)
    await _check_managers(report, inbox, messages)
    await _check_outcome(report, inbox, messages)
    await _check_storage(report, objects)
    await _check_hub(report, rest.base_url, people)
    verdict = await rest.call("GET", "/api/v1/audit/verify")
    report.add("audit trail: chain of hashes", True, verdict["intact"])
    return report


async def _check_execution(report: Report, rest: Rest, execution_id: str) -> None:
    found = await rest.call("GET", "/api/v1/executions", params={"task_id": TASK_ID})
    started = [each["id"] for each in found["items"]]
    report.add("executions of the reload", [execution_id], started)
    execution = await rest.call("GET", f"/api/v1/executions/{execution_id}")
    report.add("outcome", "success", execution["outcome"])
    units, deliveries = execution["units"], execution["deliveries"]
    report.add("reports made, skipped, failed", (FILES, 2, 0), _three(units, "generated"))
    report.add("deliveries failed, unknown", (0, 0), (deliveries["failed"], deliveries["unknown"]))


def _three(counts: dict[str, int], first: str) -> tuple[int, int, int]:
    return counts[first], counts["skipped"], counts["failed"]


async def _check_mails(report: Report, inbox: Inbox, messages: list[dict[str, Any]]) -> None:
    by_address: Counter[str] = Counter(address for each in messages for address in each["rcpt_to"])
    wanted = {address_of(code): 1 for code in SENT} | dict.fromkeys(MANAGERS, 1) | {OWNER: 1}
    report.add("mails by address", sorted(wanted.items()), sorted(by_address.items()))
    right = 0
    for code in SENT:
        mails = [each for each in messages if address_of(code) in each["rcpt_to"]]
        if len(mails) == 1 and await _is_right(inbox, mails[0], expected()[code]):
            right += 1
    report.add("carriers whose two files hold their numbers", len(SENT), right)
    ids = [each["message_id"] for each in messages]
    report.add("mails sent twice", 0, len(ids) - len(set(ids)))


async def _is_right(inbox: Inbox, mail: dict[str, Any], numbers: Expected) -> bool:
    attachments = mail["attachments"]
    names = sorted(each["file_name"] for each in attachments)
    if len(names) != 2 or not all(f" {numbers.carrier} " in f" {name} " for name in names):  # noqa: PLR2004
        return False
    excel = next((each for each in attachments if each["file_name"].endswith(".xlsx")), None)
    pdf = next((each for each in attachments if each["file_name"].endswith(".pdf")), None)
    if excel is None or pdf is None:
        return False
    workbook = await inbox.attachment(mail, excel["index"])
    document = await inbox.attachment(mail, pdf["index"])
    return workbook_is_right(workbook, numbers) and document_is_right(document, numbers)


def document_is_right(data: bytes, numbers: Expected) -> bool:
    """Return whether a PDF names this carrier, no other, and shows its numbers (independent reader)."""
    text = "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)
    words = set(text.split())
    others = [other.airline for other in expected().values() if other.carrier != numbers.carrier]
    wanted = [
        f"{numbers.flights:,}",
        f"{numbers.cancelled:,}",
        f"{numbers.on_time_share:.1%}",
        *(f"{count:,}" for count in numbers.by_month.values()),
        *(f"{count:,}" for count in numbers.destinations.values()),
        *numbers.destinations,
    ]
    return (
        numbers.airline in text
        and not any(other in text for other in others)
        and all(each in words for each in wanted)
    )


def workbook_is_right(data: bytes, numbers: Expected) -> bool:
    """Return whether a workbook names this carrier, no other, and has its numbers (independent reader)."""
    workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    cells = [
        cell
        for name in workbook.sheet_names
        for row in workbook.get_sheet_by_name(name).to_python()
        for cell in row
    ]
    texts = " | ".join(str(cell) for cell in cells if isinstance(cell, str))
    figures = Counter(round(float(cell), 6) for cell in cells if isinstance(cell, int | float))
    others = [other.airline for other in expected().values() if other.carrier != numbers.carrier]
    wanted = [
        float(numbers.flights),
        float(numbers.cancelled),
        round(numbers.avg_arr_delay, 6),
        round(numbers.on_time_share, 6),
        *(float(count) for count in numbers.by_month.values()),
        *(float(count) for count in numbers.destinations.values()),
    ]
    missing = Counter(wanted) - figures
    return (
        numbers.airline in texts
        and not any(other in texts for other in others)
        and not missing
        and all(dest in texts for dest in numbers.destinations)
    )


async def _check_managers(report: Report, inbox: Inbox, messages: list[dict[str, Any]]) -> None:
    for address in MANAGERS:
        mails = [each for each in messages if address in each["rcpt_to"]]
        archives = [
            each for mail in mails for each in mail["attachments"] if each["file_name"].endswith(".zip")
        ]
        members: list[str] = []
        if len(mails) == 1 and len(archives) == 1:
            data = await inbox.attachment(mails[0], archives[0]["index"])
            members = zipfile.ZipFile(io.BytesIO(data)).namelist()
        carriers = Counter(code for code in SENT for name in members if f" {code} " in f" {name} ")
        report.add(f"files in the ZIP of {address}", (FILES, len(SENT)), (len(members), len(carriers)))


async def _check_outcome(report: Report, inbox: Inbox, messages: list[dict[str, Any]]) -> None:
    mails = [each for each in messages if OWNER in each["rcpt_to"]]
    logs = [
        (await inbox.attachment(mail, each["index"])).decode("utf-8", errors="replace")
        for mail in mails
        for each in mail["attachments"]
    ]
    says_why = any(SKIPPED_CARRIER in log and "Enough flights" in log for log in logs)
    report.add("outcome mails with a log that says why OO was skipped", (1, True), (len(mails), says_why))


async def _check_storage(report: Report, objects: SeaweedFS) -> None:
    def look() -> tuple[int, int]:
        client = objects.client()
        found = client.list_objects_v2(Bucket="report-archive").get("Contents", [])
        digests = {
            hashlib.sha256(
                client.get_object(Bucket="report-archive", Key=each["Key"])["Body"].read()
            ).hexdigest()
            for each in found
        }
        return len(found), len(digests)

    report.add("files in the S3 archive, all different", (FILES, FILES), await asyncio.to_thread(look))


async def _check_hub(report: Report, base_url: str, people: list[Account]) -> None:
    seen: dict[str, list[str]] = {}
    for person in people:
        seen[person.email] = await _hub_names(base_url, person)
    own = sum(
        len(seen[address_of(code)]) == 2  # noqa: PLR2004 - Excel and PDF
        and all(f" {code} " in f" {name} " for name in seen[address_of(code)])
        for code in SENT
    )
    report.add("carriers who see just their two files in the Hub", len(SENT), own)
    report.add("files the skipped carrier sees", 0, len(seen[address_of(SKIPPED_CARRIER)]))
    report.add("files the managers see", [FILES, FILES], [len(seen[address]) for address in MANAGERS])


async def _hub_names(base_url: str, person: Account) -> list[str]:
    """Sign in as a person does, in a browser session, and list what is shown."""
    async with http_client(base_url=base_url, timeout=30.0, follow_redirects=True) as http:
        await sign_in(http, person.email, person.password)
        reply = await http.get("/api/v1/hub/files")
    reply.raise_for_status()
    return [each["file_name"] for item in reply.json()["items"] for each in item["versions"]]


async def sign_in(http: httpx.AsyncClient, email: str, password: str) -> None:
    """Fill in the sign-in page of the Hub. Raises httpx.HTTPStatusError when it refuses."""
    page = await http.get("/sign-in")
    form = {"email": email, "password": password, "nonce": _hidden(page.text)}
    reply = await http.post("/sign-in", data=form)
    reply.raise_for_status()


def _hidden(page: str) -> str:
    """Return the value of the hidden field that ties the form to the page."""
    _, _, rest = page.partition('name="nonce"')
    return rest.partition('value="')[2].partition('"')[0]
