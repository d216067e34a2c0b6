"""The three ways of delivering, over fakes of what lies outside."""

# ruff: noqa: ASYNC240 - tests look at small folders, and nobody waits for them

import io
import os
import zipfile
from pathlib import Path

import pytest

from contracts.base import Reason
from contracts.events import ReportGenerated, UnitEvent
from contracts.mailing import AddressState, TestModeBreachError
from contracts.plan import PlannedDelivery
from distributor.adapters.files import StoredFiles
from distributor.adapters.folder import FolderSpace
from distributor.adapters.smtp import SmtpMailer
from distributor.domain.mailing import Addressing, Letter, Sender
from distributor.domain.results import Delivered, LeaseLost, Mailed, Postponed, Rejected, Result
from distributor.ports import Job, SpaceError
from distributor.use_cases.email import EmailChannel
from distributor.use_cases.hub import HubChannel
from distributor.use_cases.storage import StorageChannel
from runtime.errors import Permanent, Transient
from runtime.mail import Accepted, Answer, Deferred, Refused, Unknown
from support import deliveries as make
from support.fake_mail import FakeMail
from support.fake_objects import FakeObjects

SENDER = Sender(address="reports@example.com", message_id_domain="reports.example.com", max_bytes=100_000)
TESTER = "tester@test.invalid"


async def yes(answers: object = None, /) -> bool:
    return True


async def no(answers: object = None, /) -> bool:
    return False


async def stored(*events: UnitEvent, content: bytes = b"bytes") -> FakeObjects:
    objects = FakeObjects()
    for event in events:
        if isinstance(event, ReportGenerated):
            await objects.put(event.artifact.key, content, content_type=event.artifact.content_type)
    return objects


def job(delivery: PlannedDelivery, *events: UnitEvent, test_address: str | None = None) -> Job:
    row = make.row(delivery, test_address=test_address)
    return Job(row=row, outcomes=make.outcomes(*events), attempt=1, now=make.START)


def files(objects: FakeObjects) -> StoredFiles:
    return StoredFiles(objects, max_bytes=1_000_000)


async def mailed(
    server: FakeMail, *, commit: object = yes, test_address: str | None = None, **mail: object
) -> Result:
    event = make.generated("a")
    channel = EmailChannel(files(await stored(event)), SmtpMailer(server), SENDER)
    work = job(make.mail_delivery("a", **mail), event, test_address=test_address)  # type: ignore[arg-type]
    return await channel.deliver(work, commit=commit)  # type: ignore[arg-type]


async def test_a_mail_reaches_to_cc_and_bcc_and_names_no_bcc() -> None:
    server = FakeMail()
    result = await mailed(server, cc=("bob@example.com",), bcc=("eve@example.com",))
    (sent,) = server.mailbox
    assert sent.envelope_to == ("ann@example.com", "bob@example.com", "eve@example.com")
    assert "eve@" not in sent.message.as_string()
    assert isinstance(result, Mailed)
    assert result.message_id == sent.message["Message-ID"]
    assert [part.get_filename() for part in sent.message.iter_attachments()] == ["a.pdf"]


async def test_in_test_mode_one_mail_goes_to_the_test_address_and_to_nobody_else() -> None:
    server = FakeMail()
    await mailed(server, test_address=TESTER, cc=("bob@example.com",), bcc=("eve@example.com",))
    (sent,) = server.mailbox
    assert sent.envelope_to == (TESTER,)
    assert (sent.message["To"], sent.message["Cc"], sent.message["Bcc"]) == (TESTER, None, None)
    assert sent.message["Subject"] == "[ann@example.com] Sales of the week"


async def test_a_letter_for_others_does_not_leave_in_test_mode_whoever_wrote_it() -> None:
    server = FakeMail()
    wrong = Letter(
        message_id="<x@example.com>",
        sender=SENDER,
        addressing=Addressing((TESTER,), (), "x", (TESTER, "ann@example.com")),
        date=make.START,
        text="x",
    )
    with pytest.raises(TestModeBreachError):
        await SmtpMailer(server).send(wrong, test_address=TESTER, commit=yes)
    assert server.sent == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Accepted(250, "ok"), AddressState.ACCEPTED),
        (Refused(550, "no such user"), AddressState.REFUSED),
        (Deferred(450, "greylisted"), AddressState.PENDING),
        (Deferred(None, "connection refused"), AddressState.PENDING),
        (Unknown("connection lost"), AddressState.UNKNOWN),
    ],
)
async def test_answers_of_the_server_mean_what_they_say(answer: object, expected: AddressState) -> None:
    result = await mailed(FakeMail(answer))  # type: ignore[arg-type]
    assert isinstance(result, Mailed)
    assert result.answers["ann@example.com"][0] is expected


@pytest.mark.parametrize(("code", "unreachable"), [(450, False), (421, True), (None, True), (535, True)])
async def test_only_trouble_of_the_server_itself_stops_other_mails(
    code: int | None, unreachable: bool
) -> None:
    result = await mailed(FakeMail(Deferred(code, "words")))
    assert isinstance(result, Mailed)
    assert result.unreachable is unreachable


async def test_a_refusal_carries_the_servers_words_and_a_remedy() -> None:
    result = await mailed(FakeMail(Refused(552, "5.3.4 message too big")))
    assert isinstance(result, Mailed)
    assert result.reason is not None
    assert result.reason.message == "552 5.3.4 message too big"
    assert "BROADSHEET_MAIL_MAX_BYTES" in result.reason.remedy


async def test_every_address_has_an_answer_of_its_own() -> None:
    said = {"bob@example.com": Answer(550, "unknown"), "eve@example.com": Answer(450, "greylisted")}
    server = FakeMail(Accepted(250, "ok", said))
    result = await mailed(server, cc=("bob@example.com", "ä@example.com"), bcc=("eve@example.com",))
    unusable = (
        "No mail can be sent to 'ä@example.com': its part before the @ is not ASCII, which many mail servers "
        "refuse."
    )
    assert isinstance(result, Mailed)
    assert {address: (state.value, words) for address, (state, words) in result.answers.items()} == {
        "ann@example.com": ("accepted", "250 ok"),
        "bob@example.com": ("refused", "550 unknown"),
        "eve@example.com": ("pending", "450 greylisted"),
        "ä@example.com": ("refused", unusable),
    }
    assert server.mailbox[0].message["Cc"] == "bob@example.com"


async def test_without_the_mark_in_the_ledger_nothing_is_handed_over() -> None:
    server = FakeMail()
    assert await mailed(server, commit=no) == LeaseLost()
    assert server.sent == []


async def test_files_too_large_are_refused_before_anything_is_read() -> None:
    event = make.generated("a", b"x" * 90_000)
    channel = EmailChannel(files(FakeObjects()), SmtpMailer(FakeMail()), SENDER)
    result = await channel.deliver(job(make.mail_delivery("a"), event), commit=yes)
    assert isinstance(result, Rejected)
    assert result.reason.code == "mail-too-large"


async def test_an_unusable_address_is_refused_for_good() -> None:
    with pytest.raises(Permanent) as refused:
        await mailed(FakeMail(), to="ännchen@example.com")
    assert refused.value.code == "address-invalid"


# Hub


async def test_the_hub_gets_copies_under_keys_of_their_own_any_number_of_times() -> None:
    event = make.generated("a", name="../Sales?.pdf")
    objects = await stored(event)
    work = job(make.hub_delivery("a"), event)
    for _ in range(2):
        result = await HubChannel(files(objects)).deliver(work, commit=no)
        assert isinstance(result, Delivered)
        (file,) = result.files
        assert file.path == file.artifact.key == f"hub/{work.row.id}/_Sales_.pdf"
        assert objects.contents[file.path][0] == b"bytes"
    assert isinstance(result, Delivered)
    assert result.hub is not None
    assert (result.hub.report_name, result.hub.iteration_value, result.hub.visible_to, result.hub.keep) == (
        "Sales",
        "a",
        ("recipient-1",),
        5,
    )


async def test_a_damaged_artifact_is_not_published() -> None:
    event = make.generated("a")
    objects = await stored(event, content=b"other")
    with pytest.raises(Permanent) as refused:
        await HubChannel(files(objects)).deliver(job(make.hub_delivery("a"), event), commit=no)
    assert refused.value.code == "artifact-damaged"


async def test_a_broken_object_store_is_tried_again() -> None:
    event = make.generated("a")
    objects = await stored(event)
    objects.broken = True
    with pytest.raises(Transient):
        await HubChannel(files(objects)).deliver(job(make.hub_delivery("a"), event), commit=no)


# Storage


class OneSpace:
    """Whatever id: this space, or this error."""

    def __init__(self, space: FolderSpace | SpaceError) -> None:
        self.space = space

    async def open(self, storage_id: str) -> FolderSpace:
        if isinstance(self.space, SpaceError):
            raise self.space
        return self.space


async def saved(
    root: Path | SpaceError, paths: dict[str, str], *events: UnitEvent, zip_path: str | None = None
) -> Result:
    space = OneSpace(root if isinstance(root, SpaceError) else FolderSpace(root))
    channel = StorageChannel(files(await stored(*events)), space)
    return await channel.deliver(job(make.storage_delivery(paths, zip_path=zip_path), *events), commit=no)


async def test_files_lie_in_the_folder_complete_readable_by_the_group_and_nothing_else(
    tmp_path: Path,
) -> None:
    old = os.umask(0o077)
    try:
        result = await saved(
            tmp_path,
            {"a": "2026/03/a.pdf", "b": "b.pdf", "c": "c.pdf"},
            make.generated("a"),
            make.generated("b"),
            make.skipped("c"),
        )
    finally:
        os.umask(old)
    assert isinstance(result, Delivered)
    assert [file.path for file in result.files] == ["2026/03/a.pdf", "b.pdf"]
    assert result.detail == "1 of 3 files were not made"
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert found == ["2026/03/a.pdf", "b.pdf"]
    assert (tmp_path / "b.pdf").read_bytes() == b"bytes"
    assert (tmp_path / "b.pdf").stat().st_mode & 0o777 == 0o640


async def test_a_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"of yesterday, and longer")
    await saved(tmp_path, {"a": "a.pdf"}, make.generated("a"))
    assert (tmp_path / "a.pdf").read_bytes() == b"bytes"


async def test_one_archive_holds_all_files(tmp_path: Path) -> None:
    result = await saved(
        tmp_path,
        {"a": "ignored/a.pdf", "b": "ignored/b.pdf"},
        make.generated("a", name="x.pdf"),
        make.generated("b", name="X.pdf"),
        zip_path="all/March.zip",
    )
    assert isinstance(result, Delivered)
    assert [file.path for file in result.files] == ["all/March.zip/x.pdf", "all/March.zip/X (2).pdf"]
    with zipfile.ZipFile(io.BytesIO((tmp_path / "all/March.zip").read_bytes())) as archive:
        assert archive.namelist() == ["x.pdf", "X (2).pdf"]


@pytest.mark.parametrize(
    "path", ["../outside.pdf", "/etc/outside.pdf", "a/../../outside.pdf", "..\\outside.pdf"]
)
async def test_paths_out_of_the_folder_are_refused_before_anything_is_written(
    tmp_path: Path, path: str
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    result = await saved(root, {"a": "fine.pdf", "b": path}, make.generated("a"), make.generated("b"))
    assert isinstance(result, Rejected)
    assert result.reason.code == "path-refused"
    assert list(tmp_path.rglob("*.pdf")) == []


async def test_a_link_inside_the_folder_does_not_lead_out_of_it(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "away").symlink_to(outside)
    (root / "dangling").symlink_to(tmp_path / "nowhere")
    for path in ("away/x.pdf", "away/deep/x.pdf", "dangling/x.pdf"):
        result = await saved(root, {"a": path}, make.generated("a"))
        assert isinstance(result, Rejected)
        assert result.reason.code == "path-refused"
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


async def test_a_file_that_is_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    root, victim = tmp_path / "root", tmp_path / "victim"
    root.mkdir()
    victim.write_bytes(b"untouched")
    (root / "a.pdf").symlink_to(victim)
    await saved(root, {"a": "a.pdf"}, make.generated("a"))
    assert victim.read_bytes() == b"untouched"
    assert not (root / "a.pdf").is_symlink()


async def test_a_root_that_is_missing_is_tried_again_and_never_made(tmp_path: Path) -> None:
    result = await saved(tmp_path / "unmounted", {"a": "a.pdf"}, make.generated("a"))
    assert isinstance(result, Postponed)
    assert (result.code, result.unreachable) == ("folder-missing", True)
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_in_the_place_of_the_file_is_a_failure_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").mkdir()
    result = await saved(tmp_path, {"a": "a.pdf"}, make.generated("a"))
    assert isinstance(result, Rejected)
    assert result.reason.code == "folder-write-failed"
    assert list((tmp_path).glob(".broadsheet-*")) == []


@pytest.mark.parametrize("lasting", [True, False])
async def test_what_a_space_says_decides_whether_it_is_tried_again(lasting: bool) -> None:
    error = SpaceError("some-code", "words", remedy="do", lasting=lasting, unreachable=not lasting)
    result = await saved(error, {"a": "a.pdf"}, make.generated("a"))
    expected: Result = (
        Rejected(Reason(code="some-code", message="words", remedy="do"))
        if lasting
        else Postponed("some-code", "words", unreachable=True)
    )
    assert result == expected
