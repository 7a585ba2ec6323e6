"""A real Chromium on a real server; whatever goes wrong in the page, or leaves the machine, fails the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from aforo.tenancy.models import Tenant
from aforo.tenancy.services.tenants import tenant_create
from tests.console.workplace import PASSWORD, staff

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 800}

# Playwright keeps an event loop in the thread, in which Django would refuse to ask the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("Browser tests need Chromium: apt install chromium (make test installs it as root).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def tenant(transactional_db) -> Tenant:
    return tenant_create(slug="acme_corp", name="Acme")


@pytest.fixture
def page(chromium: Browser, live_server) -> Iterator[Page]:
    """A page whose test fails for a script error, a failed request, or one that leaves this machine."""
    context = chromium.new_context(viewport=DESKTOP, base_url=live_server.url)
    page = context.new_page()
    page.set_default_timeout(10_000)
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(f"script: {error}"))
    page.on("console", lambda said: found.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("requestfailed", lambda request: found.append(f"failed: {request.url} {request.failure}"))
    page.on("request", lambda request: found.extend(_strange(request.url)))
    page.on(
        "response",
        lambda answer: found.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None,
    )
    yield page
    context.close()
    # Leaving a page ends what it still asks for.
    assert [each for each in found if "ERR_ABORTED" not in each] == []


def _strange(url: str) -> list[str]:
    parts = urlsplit(url)
    is_here = parts.scheme in {"data", "blob"} or parts.hostname in {"127.0.0.1", "localhost"}
    return [] if is_here else [f"leaves the machine: {url}"]


@pytest.fixture
def signed_in_page(page: Page, transactional_db) -> Page:
    """Somebody who has signed in through the login page."""
    staff("ada")
    page.goto("/admin/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_title("Home | Aforo")
    return page
