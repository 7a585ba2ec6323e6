"""An invoice for a terminal: its lines with the tiers that made them, down to the total."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aforo.kernel.decimals import trimmed


def invoice_table(body: Mapping[str, Any]) -> RenderableType:
    """body: an invoice as the API answers it (`billing.documents.bodies.invoice_body`)."""
    period = body["period"]
    heading = Text.assemble(
        (f"Invoice {body['number'] or '(draft)'}", "bold"),
        f"  {body['status']}, {body['customer']}, {period['start']} to {period['end']}, {body['currency']}",
    )
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("line")
    for title in ("quantity", "unit price", "amount"):
        table.add_column(title, justify="right")
    for line in body["lines"]:
        if line["kind"] != "DISCOUNT":
            _line_add(table, line)
    table.add_section()
    table.add_row("Subtotal", "", "", body["subtotal"])
    for line in body["lines"]:
        if line["kind"] == "DISCOUNT":
            table.add_row(Text(line["description"]), "", "", line["amount"])
    for tax in body["taxes"]:
        on = f"{tax['percent']} % of {tax['taxable_amount']}"
        table.add_row(Text(f"{tax['name']} {tax['jurisdiction']}, {on}"), "", "", tax["amount"])
    table.add_section()
    table.add_row(Text("Total", "bold"), "", "", Text(body["total"], "bold"))
    return Group(heading, "", table)


def _line_add(table: Table, line: Mapping[str, Any]) -> None:
    """The line; below it its tiers, where there is more to say than one quantity times one price."""
    tiers = line["tiers"]
    is_plain = (
        len(tiers) == 1
        and not Decimal(tiers[0]["flat_fee"])
        and Decimal(tiers[0]["quantity"]) == Decimal(line["quantity"] or 0)
    )
    unit_price = _number(tiers[0]["unit_price"]) if is_plain else ""
    quantity = _number(line["quantity"]) if line["quantity"] is not None else ""
    table.add_row(Text(line["description"]), quantity, unit_price, line["amount"])
    for tier in tiers if not is_plain else ():
        fee = f" + {_number(tier['flat_fee'])}" if Decimal(tier["flat_fee"]) else ""
        table.add_row(
            Text(f"  tier {tier['tier']}", "dim"),
            Text(_number(tier["quantity"]), "dim"),
            Text(_number(tier["unit_price"]) + fee, "dim"),
            Text(_number(tier["amount"]), "dim"),
        )


def _number(text: str) -> str:
    """12361870 is 12,361,870; decimals keep what they have."""
    whole, _, decimals = trimmed(Decimal(text)).partition(".")
    return f"{int(whole):,}" + (f".{decimals}" if decimals else "")
