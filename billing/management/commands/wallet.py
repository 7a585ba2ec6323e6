"""manage.py wallet"""

from aforo.tenancy.management.json_lines import JsonLinesCommand
from billing.calculators.wallet import wallet


class Command(JsonLinesCommand):
    help = "What a wallet's grants pay, in burn order; JSON Lines in and out."
    example = (
        """echo '{"currency": "USD", "grants": [{"id": "promo", "amount": "15.00", "kind": "PROMO", """
        """"starts_at": "2026-03-01T00:00:00Z"}], "uses": [{"at": "2026-03-05T00:00:00Z", "amount": "20.00"}], """
        """"at": "2026-03-31T00:00:00Z"}' | manage.py wallet"""
    )
    answer = staticmethod(wallet)
