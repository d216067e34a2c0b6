"""Recordings of frames, and the judge of the whole run that reads them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qlik_simulator.recording import Recorder
from support import qix_frames
from support.openrpc import openrpc
from support.qix_frames import WRONG_ON_PURPOSE, Verdict, judge_recordings


def request(number: int, name: str, *params: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "handle": -1, "method": name, "params": params})


def reply(number: int, **result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def recorded(folder: Path, *, agent: str = "test", version: Any = "12") -> None:
    recorder = Recorder(str(folder))
    socket = recorder.socket(agent)
    socket.received(request(1, "EngineVersion"))
    answer = reply(1, qVersion={"qComponentVersion": version})
    socket.sent(answer, json.dumps(answer))
    recorder.close()


def test_recorded_frames_are_counted_and_found_right(tmp_path: Path) -> None:
    recorded(tmp_path)
    recorded(tmp_path)
    assert judge_recordings(tmp_path, openrpc()) == Verdict(requests=2, frames=2, simulators=2)


def test_one_wrong_frame_is_an_error_and_fails_the_run(tmp_path: Path) -> None:
    recorded(tmp_path, version=12)
    config = SimpleNamespace(stash={qix_frames._FOLDER: tmp_path})
    session = SimpleNamespace(config=config, exitstatus=pytest.ExitCode.OK)
    openrpc()  # skips where there is no description
    qix_frames.pytest_sessionfinish(session)  # type: ignore[arg-type]
    verdict = config.stash[qix_frames._VERDICT]
    assert isinstance(verdict, Verdict)
    assert verdict.complaints == [
        'result of Global.EngineVersion at /qVersion/qComponentVersion: 12 is not of type "string"'
    ]
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED


def test_a_wrong_request_is_an_error_unless_its_client_means_it(tmp_path: Path) -> None:
    for number, agent in enumerate(("qlik client", WRONG_ON_PURPOSE)):
        recorder = Recorder(str(tmp_path / str(number)))
        recorder.socket(agent).received(request(1, "OpenDoc", 7))
        recorder.close()
    wrong = judge_recordings(tmp_path / "0", openrpc())
    meant = judge_recordings(tmp_path / "1", openrpc())
    assert (1, 0) == (len(wrong.complaints), wrong.on_purpose)
    assert (0, 1) == (len(meant.complaints), meant.on_purpose)


def test_a_frame_broken_by_a_fault_is_counted_apart(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path))
    recorder.socket("test").broken('{"jsonrpc":')
    recorder.close()
    assert judge_recordings(tmp_path, openrpc()) == Verdict(broken=1, simulators=1)


def test_the_last_line_of_a_process_that_was_killed_is_not_judged(tmp_path: Path) -> None:
    recorded(tmp_path)
    path = next(tmp_path.iterdir())
    with path.open("a") as file:
        file.write("1\tout\t{")
    assert judge_recordings(tmp_path, openrpc()).frames == 1


def test_long_pages_keep_their_ends_and_line_ends_do_not_break_a_line(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path))
    socket = recorder.socket("a\nb")
    rows = [[{"qText": str(row) * 100, "qNum": row}] for row in range(3000)]
    frame = reply(1, qDataPages=[{"qMatrix": rows}])
    socket.sent(frame, json.dumps(frame))
    recorder.close()
    first, second = next(tmp_path.iterdir()).read_text().splitlines()
    assert first == "1\topen\ta b"
    kept = json.loads(second.split("\t")[2])["result"]["qDataPages"][0]["qMatrix"]
    assert rows[:100] + rows[-100:] == kept


def test_without_a_folder_nothing_is_written() -> None:
    socket = Recorder().socket("test")
    socket.received("x")
    socket.sent({}, "{}")
