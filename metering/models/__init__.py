"""Meters, and the rows that the writer makes of events."""

from .bucket import Bucket
from .dead_letter import DeadLetter, DeadLetterStatus
from .event import DUPLICATES_KEPT, Duplicate, Event, Identity, UsageContext
from .log import LogEntry, LogPosition, Tally
from .meter import MeterRow
from .upload import Upload, UploadStatus
from .webhook_source import WebhookScheme, WebhookSource

__all__ = [
    "DUPLICATES_KEPT",
    "Bucket",
    "DeadLetter",
    "DeadLetterStatus",
    "Duplicate",
    "Event",
    "Identity",
    "LogEntry",
    "LogPosition",
    "MeterRow",
    "Tally",
    "Upload",
    "UploadStatus",
    "UsageContext",
    "WebhookScheme",
    "WebhookSource",
]
