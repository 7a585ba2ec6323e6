"""The WSGI application of a site's agent; no database is asked."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aforo.settings")
django.setup()

# Needs the apps.
from .server import Server  # noqa: E402
from .server_settings import settings_of  # noqa: E402

application = Server(settings_of(os.environ))
