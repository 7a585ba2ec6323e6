"""The admin's pages on meters, corrections and dead letters."""

from . import correction, dead_letter, dead_letter_run, meter, profile

__all__ = ["correction", "dead_letter", "dead_letter_run", "meter", "profile"]
