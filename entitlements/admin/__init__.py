"""The admin's pages on who may use what, what use costs, and the margin guard; one noun a file."""

from . import cost, entitlement, feature, grant, margin, margin_policy, policy

__all__ = ["cost", "entitlement", "feature", "grant", "margin", "margin_policy", "policy"]
