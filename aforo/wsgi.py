"""The WSGI application that the server loads: the hot path, and Django behind it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aforo.settings")

django = get_wsgi_application()

# Needs the apps, which Django has loaded by now.
from .hot import Hot  # noqa: E402

application = Hot(django)
