"""What a person does on the admin's pages."""

from __future__ import annotations

from playwright.sync_api import Page


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def press(page: Page, label: str) -> None:
    """A button of the page's head, and the same in the dialog it opens."""
    page.get_by_role("link", name=label).click()
    page.locator("#dialog").get_by_role("button", name=label).click()


def open_row(page: Page, text: str = "") -> None:
    """The row of a list that shows the text."""
    page.locator("#result_list tbody", has_text=text).get_by_role("link").first.click()


def choose(page: Page, field: str, text: str) -> None:
    """Pick a row by its name in a field that looks rows up."""
    page.locator(f".field-{field} .select2-selection").click()
    page.locator(".select2-search__field").fill(text)
    page.locator(".select2-results__option", has_text=text).first.click()


def add(page: Page, path: str, **fields: str) -> None:
    """Open the page that adds a row, and fill in its text fields."""
    page.goto(f"/admin/{path}/add/")
    for name, value in fields.items():
        page.locator(f"[name={name}]").fill(value)
