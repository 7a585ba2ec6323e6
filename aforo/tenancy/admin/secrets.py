"""Secrets: shown once, when they are made or rotated; the old one may go on working for a while."""

from __future__ import annotations

from typing import Any, Literal

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminSelectWidget

from .buttons import Ask

OVERLAPS_H = {0: "Stop it now", 1: "For an hour", 24: "For a day", 168: "For a week"}


class Rotation(Ask):
    """What the button Rotate asks for."""

    overlap_h = forms.TypedChoiceField(
        label="Keep the old one working",
        choices=list(OVERLAPS_H.items()),
        initial=24,
        coerce=int,
        widget=UnfoldAdminSelectWidget,
    )


def secret_answer(
    request: HttpRequest,
    frame: Literal["page", "dialog"],
    *,
    heading: str,
    inside: str,
    back: str,
    **context: Any,
) -> HttpResponse:
    """The answer that holds the secret; it goes into no message, no session and no cache.

    inside: the template that shows it, out of the context. back: where "I have copied it" leads.
    """
    context |= {"heading": heading, "inside": inside, "back": back}
    answer = TemplateResponse(request, f"tenancy/secret_{frame}.html", context)
    answer["Cache-Control"] = "no-store"
    return answer
