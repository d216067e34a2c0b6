"""The page of the API in headless Chromium: what it shows, and that the policy of the page lets it."""

import os
import shutil
from typing import Literal

import pytest
from playwright.async_api import async_playwright, expect

from runtime.http import serving
from support.config_api_kit import Kit

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium here: `apt-get install chromium-headless-shell` brings it"
    ),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_says_how_to_sign_in_and_leads_back(
    kit: Kit, scheme: Literal["light", "dark"]
) -> None:
    # Chromium's own sandbox does not work for root, which is who runs in containers.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with serving(kit.app, host="127.0.0.1", port=0) as port, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = await (await browser.new_context(color_scheme=scheme)).new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        await page.goto(f"http://127.0.0.1:{port}/api/docs")
        await expect(page.get_by_role("button", name="Authorize")).to_be_visible()
        about = page.locator(".info")
        await expect(about).to_contain_text("Send an API key as Authorization: Bearer followed by the key")
        await page.locator("#operations-tag-hub").click()
        await expect(page.get_by_text("List your files in the Hub", exact=True)).to_be_visible()
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert {"light": "rgb(244, 246, 249)", "dark": "rgb(18, 22, 28)"}[scheme] == background
        await page.get_by_role("link", name="Back to the console").click()
        await expect(page).to_have_url(f"http://127.0.0.1:{port}/sign-in")
        assert [] == faults
        await browser.close()
