"""Tax tables that are shipped: rates with their source and its day, to be imported by a tenant that wants them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

NAMES = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))


@dataclass(frozen=True, slots=True)
class ShippedRate:
    """In force from starts_on until the day before ends_on. percent: 25.5 means 25.5 %."""

    jurisdiction: str
    percent: Decimal
    starts_on: date
    ends_on: date | None = None


@dataclass(frozen=True, slots=True)
class TaxTable:
    """name: of the tax, on invoices. source, as_of: where the rates were read, and until when nothing of them was to change."""

    name: str
    source: str
    as_of: date
    rates: tuple[ShippedRate, ...]


def tax_table(name: str) -> TaxTable:
    """One of NAMES, in the order of its file."""
    read = tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text())
    return TaxTable(
        name=read["name"],
        source=read["source"],
        as_of=read["as_of"],
        rates=tuple(
            ShippedRate(jurisdiction, Decimal(percent), *span)
            for jurisdiction, percent, *span in read["rates"]
        ),
    )
