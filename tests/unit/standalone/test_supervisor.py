from pathlib import Path

import pytest

from standalone.errors import StandaloneError
from standalone.output import Follower
from standalone.supervisor import ChildSpec, Supervisor, start_order


def test_children_start_in_levels_after_what_they_need() -> None:
    needs = {"generator": ("kafka", "mongo"), "kafka": (), "mongo": (), "tests": ("generator",)}
    assert start_order(needs) == [["kafka", "mongo"], ["generator"], ["tests"]]


def test_a_need_that_is_no_child_is_named() -> None:
    with pytest.raises(StandaloneError, match="generator needs kafka, which is not among"):
        start_order({"generator": ("kafka",)})


def test_a_circle_is_named() -> None:
    with pytest.raises(StandaloneError, match=r"in a circle: .*a.*b|in a circle: .*b.*a"):
        start_order({"a": ("b",), "b": ("a",)})


def test_two_children_of_one_name_are_refused(tmp_path: Path) -> None:
    spec = ChildSpec("twin", ["true"])
    with pytest.raises(StandaloneError, match="same name"):
        Supervisor(tmp_path, [spec, spec])


def test_an_unknown_child_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(StandaloneError, match="no child x; there are a, b"):
        Supervisor(tmp_path, [ChildSpec("a", ["true"]), ChildSpec("b", ["true"])])["x"]


def test_the_environment_of_a_child_is_not_printed() -> None:
    assert "hush" not in repr(ChildSpec("a", ["true"], env={"PASSWORD": "hush"}))


def test_log_lines_come_whole_with_the_name_of_their_child_and_from_now_on(tmp_path: Path) -> None:
    files = {"a": tmp_path / "a.log", "longer": tmp_path / "b.log"}
    files["a"].write_text("before\n")
    lines: list[str] = []
    follower = Follower(files, lines.append, colour=False)
    with files["a"].open("a") as log:
        log.write("one\nhal")
    follower.pump()
    assert lines == ["a      | one"]
    with files["a"].open("a") as log:
        log.write("f\n")
    files["longer"].write_text("two\n")
    follower.pump()
    assert lines[1:] == ["a      | half", "longer | two"]
    files["a"].write_text("again\n")
    follower.pump()
    assert lines[3:] == ["a      | again"]


def test_colours_differ_between_children(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("a", "b")}
    lines: list[str] = []
    follower = Follower(files, lines.append, colour=True)
    for path in files.values():
        path.write_text("x\n")
    follower.pump()
    assert lines[0][:5] != lines[1][:5]
    assert all("\x1b[0m x" in line for line in lines)
