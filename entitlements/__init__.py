"""Entitlements: may a customer use a feature, and how much of it is left; decided beside the gateway."""
