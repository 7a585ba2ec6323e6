"""The hot path: usage events from the socket to the log, and decisions from the site, past Django's request and response.

It stands before Django in the same process (aforo/wsgi.py). It has no rules of its own: keys, rates, bodies, intake, log,
decisions and refusals are the functions that the views call, so both give the same answers, and the tests of the one are run on
the other. What a plain request does not need (an answer in another media type, a host to refuse) is left to the views.

A view costs about 200 microseconds of processor time more for each request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from http.client import responses
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import resolve

from aforo.http.authentication import key_holder, scope_demand
from aforo.http.middleware import HEADER, request_id_new
from aforo.http.problems import MEDIA_TYPE, headers_of, internal, problem_of
from aforo.http.rate_limit import key_rate_take
from aforo.http.rendering import json_bytes
from entitlements.api import access
from entitlements.edge.gate import Reply
from entitlements.edge.keys import EdgeHolder
from metering.api.ingest import SCOPE, ingested
from metering.event import Door

PATHS = (
    "/v1/events",
    "/v1/events/batch",
    "/v1/ingest",
    "/v1/ingest/batch",
    "/v1/ingest/events",
    "/v1/ingest/events/batch",
    "/v1/ingest/compound",
    "/v1/meter",
)

Environ = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], Any]
# Status and body of the answer; its headers are added to those given as they become known. Raises Problem.
Call = Callable[[Environ, dict[str, str]], tuple[int, bytes]]
Application = Callable[[Environ, Start], Iterable[bytes]]

_logger = logging.getLogger(__name__)


class Hot:
    """A WSGI application that answers events and `/v1/canAccess` by itself and hands all else on.

    otherwise: Django's application.
    """

    def __init__(self, otherwise: Application) -> None:
        self._otherwise = otherwise
        self._calls: dict[str, Call] = {}
        self._headers: dict[str, dict[str, str]] = {}
        for path in (*PATHS, *access.HOT):
            view = resolve(path).func.view_class()
            view.setup(HttpRequest())
            self._calls[path] = _decision(access.HOT[path]) if path in access.HOT else _ingest(view.door)
            self._headers[path] = _standing_headers(view.allowed_methods)

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path not in self._calls or not _is_plain(environ):
            return self._otherwise(environ, start_response)
        request_id = request_id_new()
        headers = {**self._headers[path], HEADER: request_id}
        try:
            status, content = self._calls[path](environ, headers)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                _logger.exception("The request failed: %s", path)
                problem = internal(request_id)
            status, content = problem.status, json_bytes(problem.document())
            headers |= headers_of(problem)
            headers["Content-Type"] = MEDIA_TYPE
        headers["Content-Length"] = str(len(content))
        start_response(f"{status} {responses[status]}", list(headers.items()))
        return [content]


def _ingest(door: Door) -> Call:
    def answer(environ: Environ, headers: dict[str, str]) -> tuple[int, bytes]:
        # What Django does at a request's start: a connection that broke or grew old is not used again.
        close_old_connections()
        holder = key_holder(environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_TENANT_ID"))
        scope_demand(holder, SCOPE)
        allowance = key_rate_take(holder)
        if allowance is not None:
            headers |= allowance.headers()
        document, more = ingested(environ, holder=holder, door=door)
        headers |= more
        headers["Content-Type"] = "application/json"
        return 202, json_bytes(document)

    return answer


def _decision(decide: Callable[[EdgeHolder, Environ], Reply]) -> Call:
    def answer(environ: Environ, headers: dict[str, str]) -> tuple[int, bytes]:
        holder, more = access.access_holder(environ, before_store=close_old_connections)
        headers |= more
        reply = decide(holder, environ)
        headers |= reply.headers
        headers["Content-Type"] = "application/json"
        return 200, json_bytes(reply.document)

    return answer


def _is_plain(environ: Environ) -> bool:
    """Whether a view would come straight to its work: a host of ours, and nothing to negotiate."""
    accept = environ.get("HTTP_ACCEPT") or "*/*"
    return (
        environ["REQUEST_METHOD"] == "POST"
        and (accept == "application/json" or "*/*" in accept)
        and "format" not in environ.get("QUERY_STRING", "")
        and _is_ours(environ.get("HTTP_HOST", ""), tuple(settings.ALLOWED_HOSTS))
    )


@lru_cache(maxsize=1_000)
def _is_ours(host: str, allowed_hosts: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed_hosts)


def _standing_headers(methods: Iterable[str]) -> dict[str, str]:
    """What Django's middleware and the view put into every answer."""
    response = HttpResponse()
    del response["Content-Type"]
    for middleware in (XFrameOptionsMiddleware, SecurityMiddleware):
        middleware(lambda request: response)(HttpRequest())
    return {**response.headers, "Allow": ", ".join(methods)}
