"""Aforo: usage metering, entitlements and billing for APIs."""
