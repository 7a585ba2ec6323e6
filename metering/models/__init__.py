"""Meters, and the rows that the writer makes of events."""

from .archive import ArchiveFile
from .bucket import Bucket
from .correction import Correction, CorrectionKind
from .dead_letter import OPEN, DeadLetter, DeadLetterStatus
from .dead_letter_run import DeadLetterRun, DeadLetterRunAction, DeadLetterRunStatus
from .event import DUPLICATES_KEPT, Duplicate, Event, Identity, UsageContext
from .log import LogEntry, LogPosition, Tally
from .meter import MeterRow
from .profile import MeteringProfile
from .upload import Upload, UploadStatus
from .webhook_source import WebhookScheme, WebhookSource

__all__ = [
    "DUPLICATES_KEPT",
    "OPEN",
    "ArchiveFile",
    "Bucket",
    "Correction",
    "CorrectionKind",
    "DeadLetter",
    "DeadLetterRun",
    "DeadLetterRunAction",
    "DeadLetterRunStatus",
    "DeadLetterStatus",
    "Duplicate",
    "Event",
    "Identity",
    "LogEntry",
    "LogPosition",
    "MeterRow",
    "MeteringProfile",
    "Tally",
    "Upload",
    "UploadStatus",
    "UsageContext",
    "WebhookScheme",
    "WebhookSource",
]
