"""Meters, and the rows that the writer makes of events."""

from .bucket import Bucket
from .dead_letter import DeadLetter, DeadLetterStatus
from .event import Event, Identity, UsageContext
from .log import LogEntry, LogPosition, Tally
from .meter import MeterRow

__all__ = [
    "Bucket",
    "DeadLetter",
    "DeadLetterStatus",
    "Event",
    "Identity",
    "LogEntry",
    "LogPosition",
    "MeterRow",
    "Tally",
    "UsageContext",
]
