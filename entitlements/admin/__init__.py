"""The admin's pages on who may use what, what sites hold of it, what use costs, and the margin guard; one noun a file."""

from . import cost, entitlement, feature, grant, lease, margin, margin_policy, policy

__all__ = ["cost", "entitlement", "feature", "grant", "lease", "margin", "margin_policy", "policy"]
