"""Problem details (RFC 9457): the one form in which anything is refused."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from aforo.kernel.errors import Problem

from .rendering import json_bytes

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger(__name__)


def headers_of(problem: Problem) -> dict[str, str]:
    headers = dict(problem.headers)
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="aforo"'
    return headers


def problem_of(error: Exception) -> Problem | None:
    """The problem that an exception of Django or DRF stands for; None where it is a programmer's mistake."""
    match error:
        case Problem():
            return error
        case Http404() | exceptions.NotFound():
            return Problem("not_found", "There is nothing at this address for your key.")
        case exceptions.ValidationError():
            return Problem("input_invalid", _sentence(error.detail), errors=_plain(error.detail))
        case exceptions.ParseError():
            return Problem("body_unreadable", str(error.detail))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return Problem("key_missing", "This endpoint needs an API key.")
        case PermissionDenied() | exceptions.PermissionDenied():
            return Problem("scope_missing", "The API key may not do this.")
        case exceptions.MethodNotAllowed():
            return Problem("method_not_allowed", str(error.detail))
        case exceptions.NotAcceptable():
            return Problem("not_acceptable", str(error.detail))
        case exceptions.UnsupportedMediaType():
            return Problem("media_type_unsupported", str(error.detail))
        case exceptions.Throttled():
            return Problem("rate_limited", str(error.detail), retry_after_s=max(1, int(error.wait or 1)))
        case OperationalError() | InterfaceError():
            log.error("The database is away or busy", exc_info=error)
            return Problem("storage_unavailable", "The database cannot be reached now.", retry_after_s=2)
    return None


def _plain(detail: Any) -> Any:
    if isinstance(detail, dict):
        return {str(key): _plain(value) for key, value in detail.items()}
    if isinstance(detail, list):
        return [_plain(value) for value in detail]
    return str(detail)


def _sentence(detail: Any) -> str:
    if isinstance(detail, dict):
        return "; ".join(f"{key}: {_sentence(value)}" for key, value in detail.items())
    if isinstance(detail, list):
        return " ".join(_sentence(value) for value in detail)
    return str(detail)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook. Anything unknown goes on to Django, which logs it and calls `server_error`."""
    problem = problem_of(error)
    if problem is None:
        return None
    headers = headers_of(problem)
    if problem.code == "method_not_allowed":
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    response = Response(problem.document(), status=problem.status, headers=headers)
    response.content_type = MEDIA_TYPE
    return response


def problem_response(problem: Problem) -> HttpResponse:
    """The same answer outside DRF."""
    return HttpResponse(
        json_bytes(problem.document()),
        status=problem.status,
        content_type=MEDIA_TYPE,
        headers=headers_of(problem),
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(Problem("not_found", f"There is nothing at {request.path}."))


def internal(request_id: str) -> Problem:
    """What is said of a programmer's mistake; the log says more under this name."""
    return Problem("internal", "The request failed on our side.", request_id=request_id)


def server_error(request: HttpRequest) -> HttpResponse:
    return problem_response(internal(getattr(request, "request_id", "")))
