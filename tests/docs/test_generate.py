"""The generated tables of docs/ are those of the code, and each of them is printed somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import TABLES, pages, with_tables

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]+\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_the_tables_are_up_to_date(page: Path) -> None:
    text = page.read_text()
    assert text == with_tables(text), "run: make docs"


def test_every_table_is_printed_once() -> None:
    printed = re.findall(r"<!-- table: (\w+) -->", "".join(page.read_text() for page in pages()))
    assert sorted(printed) == sorted(TABLES)


@pytest.mark.parametrize("page", [*pages(), *ROOT.glob("*.md")], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []
