"""What holds for every page of the admin."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from .pages import not_found

# Alpine.js compiles the admin's expressions, and the theme's colours stand in a style element.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


ADMIN = "/admin/"


class AdminContentSecurity:
    """A page runs, and asks for, nothing but what this server gives it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith(ADMIN):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


class AdminQueryWithoutNul:
    """A search for NUL finds nothing: no store keeps it, and none can be asked for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(ADMIN) and "%00" in request.META["QUERY_STRING"]:
            return not_found(request)
        return self.get_response(request)
