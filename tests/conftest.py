"""Fixtures for everybody; they live in `tests/support`."""

import pytest

pytest_plugins = ["support.servers", "support.qix_frames"]

_LONGEST_FIRST = ("tests/e2e/", "tests/integration/", "tests/contract/")


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
