"""Metering over HTTP: each view parses, calls one service or selector, and presents."""
