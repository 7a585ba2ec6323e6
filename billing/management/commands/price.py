"""manage.py price"""

from aforo.tenancy.management.json_lines import JsonLinesCommand
from billing.calculators.price import price


class Command(JsonLinesCommand):
    help = "The price of a quantity under a model's terms, tier by tier; JSON Lines in and out."
    example = (
        """echo '{"model": "GRADUATED", "currency": "USD", "quantity": "15000", "terms": {"tiers": """
        """[{"up_to": "1000", "unit_price": "0.010"}, {"up_to": "10000", "unit_price": "0.008"}, """
        """{"up_to": null, "unit_price": "0.005"}]}}' | manage.py price"""
    )
    answer = staticmethod(price)
