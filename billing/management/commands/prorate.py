"""manage.py prorate"""

from aforo.tenancy.management.json_lines import JsonLinesCommand
from billing.calculators.prorate import prorate


class Command(JsonLinesCommand):
    help = "The share of an amount for the part of a period that was active; JSON Lines in and out."
    example = (
        """echo '{"amount": "30.00", "currency": "USD", "period": {"start": "2026-06-01T00:00:00Z", """
        """"end": "2026-07-01T00:00:00Z"}, "active": {"start": "2026-06-20T00:00:00Z", """
        """"end": "2026-07-01T00:00:00Z"}, "basis": "day"}' | manage.py prorate"""
    )
    answer = staticmethod(prorate)
