"""manage.py invoice"""

from aforo.tenancy.management.json_lines import JsonLinesCommand
from billing.calculators.invoice import invoice


class Command(JsonLinesCommand):
    help = "Lines through commitment, discount, tax and wallet to what is due; JSON Lines in and out."
    example = (
        """echo '{"currency": "USD", "lines": [{"id": "api", "amount": "100.00"}], "minimum": """
        """{"amount": "95.00"}, "discounts": [{"percent": "10"}], "taxes": [{"rate": "19"}]}' | manage.py invoice"""
    )
    answer = staticmethod(invoice)
