"""Upload templates: checked, stored under their own hash, and only then referred to."""

import hashlib
from collections.abc import AsyncIterator

from config_api.domain.changes import Stored, Upload
from config_api.domain.drafts import TemplateDraft
from config_api.domain.errors import InvalidError, Problem, TooLargeError
from config_api.domain.kinds import TEMPLATE
from config_api.domain.rights import Actor, Right, demand
from config_api.ports import Files, TemplateCheck
from config_api.use_cases.configuration import Configuration
from contracts.base import ObjectRef
from contracts.configuration import Template, TemplateKind

CONTENT_TYPES = {
    TemplateKind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    TemplateKind.XLSM: "application/vnd.ms-excel.sheet.macroEnabled.12",
    TemplateKind.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    TemplateKind.PPTX: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    TemplateKind.HTML: "text/html; charset=utf-8",
}
_EXTENSIONS = {
    "xlsx": TemplateKind.XLSX,
    "xlsm": TemplateKind.XLSM,
    "html": TemplateKind.HTML,
    "htm": TemplateKind.HTML,
    "docx": TemplateKind.DOCX,
    "pptx": TemplateKind.PPTX,
}


class Templates:
    """Template files."""

    def __init__(
        self,
        *,
        configuration: Configuration,
        files: Files,
        check: TemplateCheck,
        max_bytes: int,
        macros: bool = True,
    ) -> None:
        """Take the ports, how large a template may be, and whether workbooks with macros are taken."""
        self._configuration = configuration
        self._files = files
        self._check = check
        self.max_bytes = max_bytes
        self._macros = macros

    async def create(self, draft: TemplateDraft, file_name: str, data: bytes, actor: Actor) -> Stored:
        """Store a new template. Raises InvalidError with place and remedy for what is wrong in the file."""
        demand(actor, Right.CONFIGURATION)
        upload = await self._upload(file_name, data)
        return await self._configuration.create(TEMPLATE, draft, actor, upload=upload)

    async def replace(
        self, key: str, file_name: str, data: bytes, actor: Actor, *, expected: int | None
    ) -> Stored:
        """Store a new version of a template's file; `expected` None takes the present revision.

        The kind stays what it is. Raises InvalidError for a name that a report which uses the template does
        not bind: its next run would fail.
        """
        demand(actor, Right.CONFIGURATION)
        before = await self._configuration.get(TEMPLATE, key, actor)
        upload = await self._upload(file_name, data)
        if upload.kind.value != before.document["kind"]:
            raise InvalidError(
                Problem(
                    "file",
                    f"is {upload.kind.value}, the template is {before.document['kind']}",
                    "upload it as a new template",
                )
            )
        if upload.uses is not None:
            await self._configuration.demand_bound(key, upload.uses)
        draft = TemplateDraft(name=before.document["name"], tags=before.document["tags"])
        return await self._configuration.change(
            TEMPLATE,
            key,
            draft,
            actor,
            expected=before.revision if expected is None else expected,
            upload=upload,
        )

    async def download(self, key: str, actor: Actor) -> tuple[str, ObjectRef, AsyncIterator[bytes]]:
        """Return file name, reference and content of a template."""
        stored = await self._configuration.get(TEMPLATE, key, actor)
        template = Template.model_validate(stored.document)
        return f"{template.name}.{template.kind.value}", template.file, self._files.stream(template.file)

    async def _upload(self, file_name: str, data: bytes) -> Upload:
        if len(data) > self.max_bytes:
            raise TooLargeError(
                f"The template is larger than {self.max_bytes} bytes.",
                "Remove pictures, or make them smaller.",
            )
        kind = _EXTENSIONS.get(file_name.rpartition(".")[2].lower())
        if kind is None:
            remedy = "upload .xlsx, .xlsm, .html, .docx or .pptx"
            if file_name.lower().endswith((".docm", ".pptm")):
                remedy = "reports of Word and PowerPoint carry no macros: save it as .docx or .pptx"
            raise InvalidError(Problem("file", f"{file_name[:100]!r} is not a valid template", remedy))
        if kind is TemplateKind.XLSM and not self._macros:
            raise InvalidError(
                Problem(
                    "file", "may have macros, which are not taken here", "save it as .xlsx and upload that"
                )
            )
        found = await self._check(kind, data)
        if found.problems:
            raise InvalidError(*found.problems)
        key = f"templates/{hashlib.sha256(data).hexdigest()}"
        stored = await self._files.put(key, data, content_type=CONTENT_TYPES[kind])
        return Upload(kind, stored, found.uses)
