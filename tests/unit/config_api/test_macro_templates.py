"""Workbooks with macros are taken as what they are, or not at all where the operator says so."""

from typing import Any

import pytest

from config_api.domain.bindings import Inspected
from config_api.domain.changes import Upload
from config_api.domain.drafts import TemplateDraft
from config_api.domain.errors import InvalidError
from config_api.domain.rights import Actor, Role
from config_api.use_cases.templates import Templates
from contracts.base import ObjectRef
from contracts.configuration import TemplateKind, TemplateUses

ACTOR = Actor("a", "ada@example.org", Role.ADMIN, None, "session")
DRAFT = TemplateDraft(name="Planner")


class Stub:
    """Configuration, files and check of a template whose file is sound."""

    def __init__(self) -> None:
        self.uploads: list[Upload] = []
        self.types: list[str] = []

    async def create(self, _: Any, __: Any, ___: Any, *, upload: Upload) -> Any:
        self.uploads.append(upload)

    async def put(self, key: str, data: bytes, *, content_type: str) -> ObjectRef:
        self.types.append(content_type)
        return ObjectRef(key=key, size=len(data), sha256="0" * 64, content_type=content_type)

    async def __call__(self, _: TemplateKind, __: bytes) -> Inspected:
        return Inspected(TemplateUses())


def _templates(stub: Any, *, macros: bool) -> Templates:
    return Templates(configuration=stub, files=stub, check=stub, max_bytes=100, macros=macros)


async def test_an_xlsm_is_stored_as_a_workbook_with_macros() -> None:
    stub = Stub()
    await _templates(stub, macros=True).create(DRAFT, "Planner.XLSM", b"PK", ACTOR)
    assert [TemplateKind.XLSM] == [upload.kind for upload in stub.uploads]
    assert ["application/vnd.ms-excel.sheet.macroEnabled.12"] == stub.types


async def test_an_operator_may_refuse_macros() -> None:
    stub = Stub()
    with pytest.raises(InvalidError) as caught:
        await _templates(stub, macros=False).create(DRAFT, "planner.xlsm", b"PK", ACTOR)
    (problem,) = caught.value.problems
    assert "macros" in problem.message
    assert ".xlsx" in problem.remedy
    assert stub.uploads == []
