"""manage.py aggregate"""

from aforo.tenancy.management.json_lines import JsonLinesCommand
from metering.calculator import aggregate


class Command(JsonLinesCommand):
    help = "The quantity that a meter makes of events; JSON Lines in and out."
    example = (
        """echo '{"aggregation": "SUM", "property": "tokens", "group_by": ["model"], "events": ["""
        """{"key": "a", "timestamp": "2026-03-01T00:00:00Z", "properties": {"tokens": 12, "model": "m1"}}, """
        """{"key": "b", "timestamp": "2026-03-01T01:00:00Z", "properties": {"tokens": "0.5", "model": "m1"}}]}'"""
        """ | manage.py aggregate"""
    )
    answer = staticmethod(aggregate)
