"""What an open app says about itself."""

from __future__ import annotations

from typing import Any

import pytest

from qlik import ConfigurationError, Transient
from qlik.contents import app_layout
from qlik.rpc import ObjectRef

DOC = ObjectRef(1, "Doc", "app")


class Engine:
    """Answers GetAppLayout."""

    def __init__(self, **layout: Any) -> None:
        self.layout = layout

    async def call(self, handle: int, method: str) -> dict[str, Any]:
        assert (handle, method) == (1, "GetAppLayout")
        return {"qLayout": self.layout}


@pytest.mark.parametrize("layout", [{"qHasData": False}, {}])
async def test_an_app_without_data_for_this_user_is_an_error_and_no_empty_report(
    layout: dict[str, Any],
) -> None:
    engine: Any = Engine(**layout)
    with pytest.raises(ConfigurationError, match="no data for the user of this connection") as caught:
        await app_layout(engine, DOC, "app")
    assert caught.value.code == "no-data-in-app"
    assert "section access" in caught.value.remedy


async def test_an_app_opened_without_its_data_may_be_tried_again() -> None:
    engine: Any = Engine(qIsOpenedWithoutData=True)
    with pytest.raises(Transient, match="without its data"):
        await app_layout(engine, DOC, "app")


async def test_an_app_in_direct_query_mode_has_its_data_elsewhere() -> None:
    engine: Any = Engine(qIsDirectQueryMode=True)
    assert (await app_layout(engine, DOC, "app")).direct_query
