"""Names of files: unique side by side, and never leading elsewhere."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.domain.archive import archive_bytes, write_archive
from distributor.domain.embedding import fragment, is_html, plain_text
from distributor.domain.naming import PathRefusedError, object_key, relative_parts
from rendering.file_names import safe_name, unique_names


@given(st.lists(st.text(min_size=1, max_size=6), max_size=8))
def test_unique_names_are_unique_even_without_case(names: list[str]) -> None:
    made = unique_names(names)
    assert len({name.casefold() for name in made}) == len(names)


def test_the_first_of_equal_names_keeps_it() -> None:
    assert unique_names(["a.pdf", "A.pdf", "a (2).pdf", "none", "none"]) == (
        "a.pdf",
        "A (2).pdf",
        "a (2) (2).pdf",
        "none",
        "none (2)",
    )


@given(st.text(max_size=40))
def test_a_safe_name_is_one_harmless_part(name: str) -> None:
    made = safe_name(name)
    assert made
    assert made not in (".", "..")
    assert not set(made) & set('/\\:\r\n\0"')


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/..",
        "a\\b",
        "a\nb",
        "a/",
        ".",
        "./.",
        "x\0",
        "a/" + "b" * 256,
    ],
)
def test_paths_that_lead_elsewhere_are_refused_with_a_remedy(path: str) -> None:
    with pytest.raises(PathRefusedError) as refused:
        relative_parts(path)
    assert refused.value.reason.remedy


@given(st.text(max_size=60))
def test_parts_never_lead_upwards(path: str) -> None:
    try:
        parts = relative_parts(path)
    except PathRefusedError:
        return
    assert parts
    assert not {"", ".", ".."} & set(parts)
    assert not any("/" in part or "\0" in part for part in parts)


def test_a_key_is_the_prefix_and_the_path() -> None:
    assert object_key("/reports//daily/", "2026/./sales.xlsx") == "reports/daily/2026/sales.xlsx"
    assert object_key("", "sales.xlsx") == "sales.xlsx"


def test_an_archive_is_the_same_from_bytes_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content" * 1000)
    from_files = io.BytesIO()
    write_archive(from_files, [("ä/x.bin", tmp_path / "x")])
    from_bytes = archive_bytes([("ä/x.bin", b"content" * 1000)])
    for made in (from_files.getvalue(), from_bytes):
        with zipfile.ZipFile(io.BytesIO(made)) as archive:
            assert archive.testzip() is None
            assert archive.read("ä/x.bin") == b"content" * 1000
            assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


@given(st.binary(max_size=300))
def test_any_bytes_can_be_embedded_without_running_anything(document: bytes) -> None:
    assert "<script" not in fragment(document + b"<script>x</script>").lower()


@pytest.mark.parametrize("document", ["", "   ", "<!-- only a comment -->", '<?xml version="1.0"?>\n'])
def test_a_document_without_content_embeds_nothing(document: str) -> None:
    assert fragment(document).strip() == ""
    assert plain_text(document) == ""


def test_style_sheets_stay_and_fetch_nothing() -> None:
    sheet = "@import 'https://evil.example/x.css'; td{background:url(https://evil.example/p.png);color:red}"
    made = fragment(
        f"<style>{sheet}</style><style>a</b></style><p style='background:URL( //evil.example/q )'>x</p>"
    )
    assert "color:red" in made
    assert "evil" not in made
    assert made.count("<style>") == 1


def test_links_lead_to_the_web_and_pictures_are_part_of_the_mail() -> None:
    made = fragment(
        "<a href='https://hub.example/x'>hub</a><a href='data:text/html,x'>d</a>"
        "<a href='jAva\tscript:x'>j</a>"
        "<img src='https://tracker.example/p.png'><img src='data:image/png;base64,AA=='>"
    )
    assert 'href="https://hub.example/x"' in made
    assert made.count("href") == 1
    assert "tracker" not in made
    assert 'src="data:image/png;base64,AA=="' in made


@pytest.mark.parametrize(
    ("body", "expected"),
    [("<p>x</p>", True), ("  <!DOCTYPE html>", True), ("a <b>x</b>", False), ("<3 you", False), ("", False)],
)
def test_a_body_is_html_when_it_begins_with_an_element(body: str, expected: bool) -> None:
    assert is_html(body) is expected
