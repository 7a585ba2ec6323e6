"""What is done for every request: a name for it, so that a report can be found in the logs, and what is left to ask."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from aforo.kernel.errors import Problem
from aforo.kernel.identifiers import random_text

from .problems import problem_response

HEADER = "X-Request-Id"


def request_id_new() -> str:
    return f"req_{random_text(16)}"


class RequestId:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = request_id_new()  # type: ignore[attr-defined]
        response = self.get_response(request)
        response[HEADER] = request.request_id  # type: ignore[attr-defined]
        return response


class RateLimitHeaders:
    """What the key's rate has left, where it has a limit; see rate_limit.KeyRate."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        allowance = getattr(request, "rate_allowance", None)
        if allowance is not None:
            for name, value in allowance.headers().items():
                response[name] = value
        return response


class AddressWithoutNul:
    """An address with NUL names nothing: no store keeps such a text, or can look for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info:
            return problem_response(Problem("not_found", "There is nothing at this address."))
        return self.get_response(request)
