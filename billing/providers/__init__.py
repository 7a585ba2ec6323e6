"""Adapters to systems outside: each answers one port, and knows nothing of rows."""
