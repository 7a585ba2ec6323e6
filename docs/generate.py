"""The tables of docs/, made from the code that they describe.

    python -m docs.generate            writes them anew
    python -m docs.generate --check    exits 1 and names the pages that are out of date

A page marks a table's place with `<!-- table: name -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import billing.reference
import metering.reference
import sandbox.reference
from aforo.kernel.errors import PROBLEMS

FOLDER = Path(__file__).parent
_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Table = Callable[[], Iterable[tuple[str, ...]]]


def problems() -> Iterable[tuple[str, ...]]:
    yield "code", "status", "title", "what to do"
    for problem in PROBLEMS.values():
        yield f"`{problem.code}`", str(problem.status), problem.title, problem.remedy


TABLES: dict[str, Table] = {
    "problems": problems,
    **metering.reference.TABLES,
    **billing.reference.TABLES,
    **sandbox.reference.TABLES,
}


def pages() -> list[Path]:
    return sorted(FOLDER.rglob("*.md"))


def with_tables(text: str) -> str:
    """The page with each marked table made anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}{_markdown(TABLES[block[2]]())}{block[3]}", text)


def _markdown(rows: Iterable[tuple[str, ...]]) -> str:
    head, *body = rows
    lines = [head, tuple("---" for _ in head), *body]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main(is_check: bool) -> int:
    stale = [page for page in pages() if page.read_text() != with_tables(page.read_text())]
    for page in stale:
        if is_check:
            sys.stderr.write(f"{page.relative_to(FOLDER.parent)} is out of date; run: make docs\n")
        else:
            page.write_text(with_tables(page.read_text()))
    return 1 if is_check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
