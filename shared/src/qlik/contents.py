"""What an open app says about itself and what it has to offer."""

from __future__ import annotations

from qlik import formats, lists, objects
from qlik.errors import ConfigurationError, Transient
from qlik.lists import FieldInfo, MasterItem, SheetInfo
from qlik.model import AppLayout, Selection
from qlik.objects import ObjectInfo
from qlik.rpc import EngineConnection, ObjectRef


class Contents:
    """The lists of an open app; part of `AppSession`."""

    def __init__(self, connection: EngineConnection, doc: ObjectRef) -> None:
        """Take the connection and the handle of the app that is open in it."""
        self._connection, self._doc = connection, doc

    async def sheets(self) -> list[SheetInfo]:
        """The sheets of the app and the objects on them."""
        return await lists.sheets(self._connection, self._doc)

    async def children(self, object_id: str) -> list[ObjectInfo]:
        """The objects inside a sheet, container or filter pane."""
        found = await objects.find(self._connection, self._doc, object_id)
        return await objects.children(self._connection, found)

    async def master_items(self) -> list[MasterItem]:
        """The dimensions and measures of the app's library, for `Dimension` and `Measure` by `library_id`."""
        return await lists.master_items(self._connection, self._doc)

    async def bookmarks(self) -> list[ObjectInfo]:
        """The bookmarks this user sees."""
        return await lists.bookmarks(self._connection, self._doc)

    async def bookmark(self, bookmark_id: str) -> list[Selection]:
        """The filters a bookmark keeps, to be given to `select`: only so they are proved like any other.

        Raises:
            ConfigurationError: there is no such bookmark, or it keeps what is no list of values, such as a
                search, or selections in alternate states.

        """
        return await lists.bookmark(self._connection, self._doc, bookmark_id)

    async def fields(self) -> list[FieldInfo]:
        """The fields of the data model."""
        return await lists.fields(self._connection, self._doc)

    async def variables(self) -> list[str]:
        """The names of the app's variables."""
        return await lists.variables(self._connection, self._doc)


async def app_layout(connection: EngineConnection, doc: ObjectRef, app_id: str) -> AppLayout:
    """The layout of the app.

    Raises:
        Transient: it is open without its data, which another session may have.
        ConfigurationError: it has no data at all for this user (`code` no-data-in-app).

    """
    raw = (await connection.call(doc.handle, "GetAppLayout")).get("qLayout") or {}
    if raw.get("qIsOpenedWithoutData"):
        raise Transient(
            f"The app {app_id} is open without its data",
            code="without-data",
            remedy="Somebody opened it that way in the same session; a session of its own cures it.",
        )
    # A report would be empty. Flags that are false are left out; direct query leaves data in a database.
    if not raw.get("qHasData") and not raw.get("qIsDirectQueryMode"):
        raise ConfigurationError(
            f"The app {app_id} opened, but it has no data for the user of this connection",
            code="no-data-in-app",
            remedy="Check that the app was reloaded, and that its section access gives this user rows.",
        )
    locale = raw.get("qLocaleInfo") or {}
    return AppLayout(
        app_id=app_id,
        title=str(raw.get("qTitle") or ""),
        last_reload_time=formats.parse_time(raw.get("qLastReloadTime")),
        has_data=bool(raw.get("qHasData", False)),
        has_script=bool(raw.get("qHasScript", False)),
        state_names=tuple(str(name) for name in raw.get("qStateNames") or ()),
        decimal_separator=str(locale.get("qDecimalSep") or "."),
        thousand_separator=str(locale.get("qThousandSep") or ","),
        money_format=str(locale.get("qMoneyFmt") or ""),
        date_format=str(locale.get("qDateFmt") or ""),
        timestamp_format=str(locale.get("qTimestampFmt") or ""),
        direct_query=bool(raw.get("qIsDirectQueryMode", False)),
    )
