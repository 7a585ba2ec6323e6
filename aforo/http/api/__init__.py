"""Tenancy over HTTP: customers and API keys. It stands here because aforo.http stands above aforo.tenancy."""
