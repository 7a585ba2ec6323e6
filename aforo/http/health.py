"""/health says the process answers; /ready says that what it needs answers too."""

from __future__ import annotations

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse


def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 where database, event log and cache answer; else 503 naming those that do not."""
    checks = {
        "database": _database(),
        "log": _redis(settings.LOG_REDIS_URL),
        "cache": _redis(settings.REDIS_URL),
    }
    return JsonResponse(checks, status=200 if all(state == "ok" for state in checks.values()) else 503)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unreachable"
    return "ok"


def _redis(url: str) -> str:
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            client.ping()
    except redis.RedisError:
        return "unreachable"
    return "ok"
