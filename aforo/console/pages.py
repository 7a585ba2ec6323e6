"""Pages of the admin that stand for no row."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from aforo.http import problems


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A page for people in the admin, problem details everywhere else."""
    if not request.path.startswith("/admin/") or not hasattr(request, "user"):
        return problems.not_found(request, exception)
    context = {**admin.site.each_context(request), "title": "Not found"}
    return render(request, "console/not_found.html", context, status=404)
