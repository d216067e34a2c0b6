import os
import socket
import subprocess
import sys

import pytest

from standalone import ports as module
from standalone.errors import PortTaken
from standalone.ports import free_port, is_free, owner_of, require_free


def test_free_ports_are_free_different_and_outside_the_range_of_outgoing_connections() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert all(port < 32_768 for port in ports)
    assert all(is_free(port) for port in ports)


def test_a_port_given_to_another_process_is_free_again_when_that_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "from standalone.ports import free_port; print(free_port(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        monkeypatch.setattr(module, "_FIRST", port)
        monkeypatch.setattr(module, "_LAST", port + 1)
        with pytest.raises(PortTaken, match="no free port"):
            free_port()
        other.kill()
    assert port == free_port()


def test_a_taken_port_names_its_owner_and_the_way_to_choose_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        port = occupant.getsockname()[1]
        assert f"(pid {os.getpid()})" in (owner_of(port) or "")
        with pytest.raises(PortTaken, match=rf"MongoDB wants port {port} .*pid {os.getpid()}.* --mongo-port"):
            require_free(port, who="MongoDB", how_to_choose="--mongo-port")
    require_free(port, who="MongoDB", how_to_choose="--mongo-port")
