"""Programs from wheels need libraries of the system: what is missing is found before anything is started."""

import shutil
import sys
from pathlib import Path

import pytest

from standalone import system
from standalone.errors import MissingTool
from standalone.libraries import missing_libraries, native_files, require_libraries


@pytest.fixture
def needy(tmp_path: Path) -> Path:
    """A program that needs a library that does not exist: this Python, with the C library renamed in it."""
    content = Path(sys.executable).resolve().read_bytes()
    program = tmp_path / "needy"
    program.write_bytes(content.replace(b"\0libc.so.6\0", b"\0libq.so.6\0"))
    program.chmod(0o755)
    return program


def test_every_missing_library_of_a_program_is_named(needy: Path) -> None:
    assert {needy: frozenset({"libq.so.6"})} == missing_libraries([needy])


def test_a_program_with_all_its_libraries_and_a_file_that_is_not_a_program_lack_nothing(
    tmp_path: Path,
) -> None:
    text = tmp_path / "text"
    text.write_text("not a program")

    assert {} == missing_libraries([Path(sys.executable), text])


def test_among_many_files_only_those_that_lack_something_are_named(needy: Path) -> None:
    assert {needy} == set(missing_libraries([*native_files(Path(sys.executable).resolve().parent), needy]))


def test_a_server_is_not_started_without_its_libraries_and_the_error_says_what_to_do(needy: Path) -> None:
    with pytest.raises(MissingTool) as raised:
        require_libraries("MongoDB", str(needy))

    assert "MongoDB cannot start: needy needs libq.so.6, which is not installed. Run: make system" == str(
        raised.value
    )


def test_a_program_behind_a_link_finds_what_lies_beside_it() -> None:
    java = shutil.which("java")
    if java is None:
        pytest.skip("there is no java, whose libraries lie beside it, on this machine")

    require_libraries("Apache Kafka", java)


def test_a_missing_library_is_installed_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[str] = []
    monkeypatch.setattr(
        system,
        "lacking",
        lambda: {} if installed else {"libcurl.so.4": [Path("mongod")], "libatomic.so.1": [Path("node")]},
    )

    def install(packages: list[str]) -> bool:
        installed.extend(packages)
        return True

    monkeypatch.setattr(system, "install", install)

    assert system.provide_libraries()
    assert ["libatomic1", "libcurl4"] == installed


def test_a_program_that_still_lacks_a_library_fails_the_set_up_and_says_what_to_do(
    needy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(system, "lacking", lambda: {"libcurl.so.4": [needy]})
    monkeypatch.setattr(system, "install", lambda _: False)

    assert not system.provide_libraries()
    assert (
        "libcurl.so.4 is missing; needy cannot be loaded without it. Run: sudo apt-get install libcurl4\n"
        == capsys.readouterr().err
    )


def test_everything_the_virtual_environment_holds_can_be_loaded_here() -> None:
    assert {} == system.lacking()


def test_an_unknown_group_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == system.main(["desktop"])
    assert "desktop: not a known group. Use browser, office, tests.\n" == capsys.readouterr().err


def test_libraries_beside_the_file_of_a_linked_program_are_found(tmp_path: Path) -> None:
    """`/usr/bin/java` is a link: its libraries stand beside the file it points to."""
    java = shutil.which("java")
    if java is None:
        pytest.skip("no java, so no program with libraries of its own")
    link = tmp_path / "java"
    link.symlink_to(Path(java).resolve())
    require_libraries("Java", str(link))
