"""A client that a generator makes of the published description works against the service."""

import importlib
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from config_api.domain.rights import Role
from config_api.handlers.examples import EXAMPLES
from runtime.http import serving
from support.config_api_kit import ADMIN, Kit

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

DESCRIPTION = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"


class Generated:
    """The generated package; operations and models by their names."""

    def __init__(self, name: str) -> None:
        self._name = name

    def module(self, path: str) -> ModuleType:
        return importlib.import_module(f"{self._name}.{path}")

    def model(self, name: str) -> Any:
        return getattr(self.module("models"), name)

    async def call(self, client: Any, operation: str, *path: str, **arguments: Any) -> Any:
        """Return the answer of an operation, given as `tag.operation_id`."""
        return await self.module(f"api.{operation}").asyncio_detailed(*path, client=client, **arguments)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    folder, name = tmp_path_factory.mktemp("client"), "broadsheet_generated_client"
    settings = folder / "settings.yaml"
    settings.write_text("post_hooks: []", encoding="utf-8")
    made = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--path", str(DESCRIPTION)),
            *("--output-path", str(folder / name), "--meta", "none", "--config", str(settings)),
            "--fail-on-warning",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == made.returncode, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield Generated(name)
    sys.path.remove(str(folder))


@pytest.fixture
async def client(kit: Kit, generated: Generated) -> AsyncIterator[Any]:
    key = await kit.key(Role.ADMIN, ADMIN)
    async with serving(kit.app, host="127.0.0.1", port=0) as port:
        made = generated.module("client").AuthenticatedClient(
            base_url=f"http://127.0.0.1:{port}", token=key, raise_on_unexpected_status=True
        )
        async with made as client:
            yield client


async def _configure(generated: Generated, client: Any) -> None:
    for operation, model in (
        ("connections.create_connection", "ConnectionDraft"),
        ("storage_spaces.create_storage_space", "StorageSpaceDraft"),
        ("recipients.create_recipient", "RecipientDraft"),
        ("groups.create_group", "GroupDraft"),
        ("reports.create_report", "ReportDraft"),
        ("tasks.create_task", "TaskDraft"),
    ):
        body = generated.model(model).from_dict(EXAMPLES[model])
        answer = await generated.call(client, operation, body=body)
        assert HTTPStatus.CREATED == answer.status_code, answer.content


async def test_a_task_is_configured_changed_and_run(generated: Generated, client: Any) -> None:
    await _configure(generated, client)
    read = await generated.call(client, "tasks.get_task", "daily-delays")
    task = read.parsed
    assert ("Daily delays", 3600, True) == (task.name, task.deadline, task.enabled)
    assert "0 6 * * 1-5" == task.triggers[0].rule.expression
    draft = generated.model("TaskDraft").from_dict({**task.to_dict(), "name": "Delays of the day"})
    changed = await generated.call(
        client, "tasks.replace_task", "daily-delays", body=draft, if_match=read.headers["etag"]
    )
    assert ("Delays of the day", 2) == (changed.parsed.name, changed.parsed.version)
    stale = await generated.call(
        client, "tasks.replace_task", "daily-delays", body=draft, if_match=read.headers["etag"]
    )
    assert (412, 412) == (stale.status_code, stale.parsed.status)
    run = await generated.call(client, "executions.run_task", "daily-delays", idempotency_key="once")
    assert HTTPStatus.ACCEPTED == run.status_code
    assert "daily-delays" == run.parsed.task_id
    results = await generated.call(
        client, "tasks.disable_tasks", body=generated.model("Ids")(ids=["daily-delays", "none"])
    )
    assert [True, False] == [each.done for each in results.parsed.results]
    assert 404 == results.parsed.results[1].problem.status
    refused = await generated.call(client, "executions.run_task", "daily-delays")
    assert (409, True) == (refused.status_code, "enable" in refused.parsed.remedy)


async def test_a_template_is_uploaded_and_downloaded(generated: Generated, client: Any) -> None:
    file = generated.module("types").File(
        payload=io.BytesIO(b"<p>{{ total }}</p>"), file_name="page.html", mime_type="text/html"
    )
    body = generated.model("TemplateUpload")(file=file, name="Page", id="page", tags=["a"])
    made = await generated.call(client, "templates.create_template", body=body)
    assert HTTPStatus.CREATED == made.status_code, made.content
    assert ("page", "html", 1) == (made.parsed.id, made.parsed.kind, made.parsed.version)
    got = await generated.call(client, "templates.download_template_file", "page")
    assert b"<p>{{ total }}</p>" == got.parsed.payload.read()


async def test_refusals_are_problems_with_place_and_remedy(generated: Generated, client: Any) -> None:
    draft = generated.model("TaskDraft").from_dict(
        {"name": "xxx", "reports": [{"id": "a", "report_id": "nope", "format": "xlsx"}]}
    )
    invalid = await generated.call(client, "tasks.create_task", body=draft)
    assert 422 == invalid.status_code
    assert "reports.0.report_id" in [problem.field for problem in invalid.parsed.problems]
    assert all(problem.remedy for problem in invalid.parsed.problems)
    missing = await generated.call(client, "tasks.get_task", "none")
    assert (404, "Not found") == (missing.status_code, missing.parsed.title)


async def test_lists_page_on(generated: Generated, client: Any) -> None:
    for number in range(5):
        body = generated.model("RecipientDraft")(name=f"R{number}", id=f"r{number}")
        await generated.call(client, "recipients.create_recipient", body=body)
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await generated.call(client, "recipients.list_recipients", limit=2, after=after)
        seen += [item.id for item in page.parsed.items]
        after = page.parsed.next_
        if after is None:
            break
    assert [f"r{number}" for number in range(5)] == seen
