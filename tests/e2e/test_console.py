"""The console and the Hub in headless Chromium, with JavaScript off: the pages promise to work without it."""

import os
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from standalone.platform import ADMIN_EMAIL
from support.platforms import CUSTOMERS_APP, Stage
from support.servers import unique

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium here: `apt-get install chromium-headless-shell` brings it"
    ),
]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # Chromium's own sandbox does not work for root, which is who runs in containers.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        await started.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(java_script_enabled=False, accept_downloads=True)
    yield await context.new_page()
    await context.close()


async def sign_in(page: Page, stage: Stage, email: str, password: str) -> None:
    await page.goto(f"{stage.platform.console_url}/sign-in")
    await page.locator("#email").fill(email)
    await page.locator("#password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def customer_task(stage: Stage) -> tuple[str, str, str]:
    """Create a task for one person who may sign in; return task id, address and password."""
    tag, password = unique("console"), secrets.token_urlsafe(12)
    email = f"{tag}@example.com"
    await stage.create(
        "recipients", id=tag, name="Customer Seven", email=email, attributes={"customer": "C0007"}
    )
    await stage.create("accounts", email=email, password=password, role="reader", recipient_id=tag)
    await stage.create(
        "tasks",
        id=tag,
        name=f"Letter {tag}",
        reports=[
            {"id": "r", "report_id": "per-customer", "format": "html", "hub": {"publish": True}},
        ],
        recipients=[{"recipient_id": tag, "scope": "own", "scope_attribute": "customer"}],
        notification={"on_success": False, "on_warning": False, "on_error": False},
    )
    return tag, email, password


async def test_a_task_is_run_from_the_console_and_its_reader_finds_only_their_file(
    stage: Stage, page: Page, browser: Browser, tmp_path: Path
) -> None:
    task_id, email, password = await customer_task(stage)
    await sign_in(page, stage, ADMIN_EMAIL, stage.platform.admin_password)
    await page.goto(f"{stage.platform.console_url}/tasks")
    await page.get_by_role("button", name=f"Run now Letter {task_id}").click()
    row = page.get_by_role("row").filter(has_text=f"Letter {task_id}").filter(has_text="success")
    for _ in range(120):
        await page.goto(f"{stage.platform.console_url}/status?task_id={task_id}")
        if await row.count():
            break
        await page.wait_for_timeout(500)
    await expect(row).to_have_count(1)
    await row.get_by_role("link").first.click()
    await expect(
        page.get_by_text("report-generated").or_(page.get_by_text("generated")).first
    ).to_be_visible()
    await page.screenshot(path=tmp_path / "execution.png", full_page=True)

    context = await browser.new_context(java_script_enabled=False, accept_downloads=True)
    reader = await context.new_page()
    await sign_in(reader, stage, email, password)
    await reader.goto(f"{stage.platform.console_url}/hub")
    files = reader.get_by_role("link").filter(has_text="per-customer C0007")
    await expect(files).to_have_count(1)
    async with reader.expect_download() as started:
        await files.click()
    target = tmp_path / "file.html"
    await (await started.value).save_as(target)
    assert f'<p id="total">{stage.totals["C0007"]}</p>' in target.read_text(encoding="utf-8")
    answer = await reader.goto(f"{stage.platform.console_url}/status")
    assert answer is not None
    assert answer.status in {403, 404}, "a reader has no business on the status page"
    await context.close()


async def test_a_task_is_switched_off_in_the_list_and_cannot_be_run(stage: Stage, page: Page) -> None:
    task_id, _, _ = await customer_task(stage)
    await sign_in(page, stage, ADMIN_EMAIL, stage.platform.admin_password)
    await page.goto(f"{stage.platform.console_url}/tasks")

    await page.get_by_role("switch", name=f"Letter {task_id} enabled").click()

    await expect(page.get_by_role("button", name=f"Run now Letter {task_id}")).to_be_disabled()
    assert not (await stage.rest.call("GET", f"/api/v1/tasks/{task_id}"))["enabled"]


async def test_a_wrong_password_is_told_and_lets_nobody_in(stage: Stage, page: Page) -> None:
    await sign_in(page, stage, ADMIN_EMAIL, "not the password")

    await expect(page.get_by_role("alert")).to_be_visible()
    answer = await page.goto(f"{stage.platform.console_url}/status")
    assert answer is not None
    assert "/sign-in" in page.url


async def test_an_app_is_picked_from_the_list_of_its_site(stage: Stage, page: Page) -> None:
    await sign_in(page, stage, ADMIN_EMAIL, stage.platform.admin_password)

    await page.get_by_role("link", name="Qlik sites").click()
    row = page.get_by_role("row").filter(has_text="customers-site")
    await row.get_by_role("link", name="Apps and details").click()
    await page.get_by_label("Search by name").fill("cust")
    await page.get_by_role("button", name="Search").click()

    await expect(
        page.get_by_role("region", name="Apps").get_by_text(CUSTOMERS_APP, exact=True)
    ).to_be_visible()
    await page.get_by_label("Search by name").fill("no app is called like this")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_text("No app matches the search")).to_be_visible()


async def test_no_page_is_wider_than_a_phone_and_actions_are_in_view(
    stage: Stage, browser: Browser, tmp_path: Path
) -> None:
    task_id, _, _ = await customer_task(stage)
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    await sign_in(page, stage, ADMIN_EMAIL, stage.platform.admin_password)
    paths = (
        "/status",
        "/tasks",
        "/reports",
        "/reports/per-customer",
        "/sites",
        "/sites/customers-site",
        "/audit",
    )

    widths = {}
    for path in (*paths, "/hub", "/nowhere"):
        await page.goto(f"{stage.platform.console_url}{path}")
        widths[path] = await page.evaluate("document.documentElement.scrollWidth")
        await page.screenshot(path=tmp_path / f"{path.strip('/').replace('/', '-')}.png")
    assert dict.fromkeys(widths, 390) == widths

    await page.goto(f"{stage.platform.console_url}/tasks")
    box = await page.get_by_role("button", name=f"Run now Letter {task_id}").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
    await context.close()
