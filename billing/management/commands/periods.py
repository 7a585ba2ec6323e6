"""manage.py periods"""

from aforo.tenancy.management.json_lines import JsonLinesCommand
from billing.calculators.periods import periods


class Command(JsonLinesCommand):
    help = "The billing periods that an anchor lays out; JSON Lines in and out."
    example = """echo '{"anchor": "2026-01-31", "interval": "month", "count": 3, "timezone": "UTC"}' | manage.py periods"""
    answer = staticmethod(periods)
