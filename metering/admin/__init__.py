"""The admin's pages on meters, corrections, dead letters, uploads and webhook sources."""

from . import correction, dead_letter, dead_letter_run, meter, profile, upload, webhook_source

__all__ = ["correction", "dead_letter", "dead_letter_run", "meter", "profile", "upload", "webhook_source"]
