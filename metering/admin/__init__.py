"""The admin's pages on meters and dead letters."""

from . import dead_letter, meter, profile

__all__ = ["dead_letter", "meter", "profile"]
