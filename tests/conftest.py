"""Fixtures for everybody; they live in `tests/support`."""

import os

import pytest
from hypothesis import settings

from support.loopback import EGRESS_HOSTS

# The time an example takes says something about the machine and nothing about the code.
settings.register_profile("broadsheet", deadline=None)
settings.load_profile("broadsheet")

# For services in processes of their own, too.
os.environ.setdefault("BROADSHEET_EGRESS_HOSTS", EGRESS_HOSTS)

pytest_plugins = ["support.servers", "support.qix_frames"]

_LONGEST_FIRST = ("tests/e2e/", "tests/integration/", "tests/contract/")


@pytest.hookimpl(tryfirst=True, specname="pytest_collection_modifyitems")
def group_for_processes(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, and all that use the whole platform: it costs a minute."""
    for item in items:
        group = "e2e" if item.nodeid.startswith("tests/e2e/") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, or one of them is all that runs at the end.

    The random order of files and of the tests in them stays within each kind.
    """

    def rank(item: pytest.Item) -> int:
        return next(
            (place for place, folder in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(folder)),
            len(_LONGEST_FIRST),
        )

    items.sort(key=rank)
