"""An invoice in a terminal shows how each amount came to be."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from aforo.console.invoice_table import invoice_table


def tier(number: int, quantity: str, unit_price: str, amount: str, flat_fee: str = "0") -> dict:
    return {
        "tier": number,
        "quantity": quantity,
        "unit_price": unit_price,
        "flat_fee": flat_fee,
        "amount": amount,
    }


def line(description: str, quantity: str | None, amount: str, *tiers: dict, kind: str = "USAGE_FEE") -> dict:
    return {
        "kind": kind,
        "description": description,
        "quantity": quantity,
        "amount": amount,
        "tiers": list(tiers),
    }


def test_one_price_stands_on_the_line_and_anything_more_below_it():
    stream = StringIO()
    Console(file=stream, width=90).print(
        invoice_table(
            {
                "number": "INV-000001",
                "status": "OPEN",
                "customer": "cust_abc",
                "currency": "USD",
                "period": {"start": "2026-10-01T00:00:00Z", "end": "2026-11-01T00:00:00Z"},
                "subtotal": "38.38",
                "total": "39.70",
                "taxes": [
                    {
                        "name": "Sales tax",
                        "jurisdiction": "US-NY",
                        "percent": "8.875",
                        "taxable_amount": "36.46",
                        "amount": "3.24",
                    }
                ],
                "lines": [
                    line("Calls", "1000", "1.00", tier(1, "1000.000", "0.0010", "1.000")),
                    line("Output tokens", "4088665", "35.89", tier(1, "3588665", "0.00001", "35.88665")),
                    line("Seats", "3", "1.49", tier(1, "3", "0.33", "1.49", flat_fee="0.50")),
                    line("Minimum [A]", None, "0.00", kind="TRUE_UP"),
                    line("Welcome, 5 %", None, "-1.92", kind="DISCOUNT"),
                ],
            }
        )
    )
    rows = [" ".join(row.replace("│", " ").split()) for row in stream.getvalue().splitlines()]
    assert rows[0].startswith("Invoice INV-000001 OPEN, cust_abc, 2026-10-01T00:00:00Z to")
    # 4,088,665 units of which 500,000 are included: the line's quantity times the price would be another amount.
    assert [row for row in rows if row and "─" not in row][-10:] == [
        "Calls 1,000 0.001 1.00",
        "Output tokens 4,088,665 35.89",
        "tier 1 3,588,665 0.00001 35.88665",
        "Seats 3 1.49",
        "tier 1 3 0.33 + 0.5 1.49",
        "Minimum [A] 0.00",
        "Subtotal 38.38",
        "Welcome, 5 % -1.92",
        "Sales tax US-NY, 8.875 % of 36.46 3.24",
        "Total 39.70",
    ]
