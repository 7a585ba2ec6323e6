"""The admin's pages on what use costs, the margin guard and what it has done; one noun a file."""

from . import cost, margin, margin_policy

__all__ = ["cost", "margin", "margin_policy"]
