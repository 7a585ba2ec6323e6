"""Metering: usage events in, exact quantities out."""
