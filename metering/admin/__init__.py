"""The admin's pages on meters and dead letters."""

from . import dead_letter, dead_letter_run, meter, profile

__all__ = ["dead_letter", "dead_letter_run", "meter", "profile"]
