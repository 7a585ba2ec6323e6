"""Buttons on a row's page: each asks in a dialog, calls one service by POST, and says what came of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.enums import ActionVariant

from aforo.kernel.errors import Problem

from .rows import refuse


class Ask(forms.Form):
    """What a dialog asks for; nothing unless a subclass has fields. row: the row whose button was pressed."""

    def __init__(self, *args: Any, row: Model, **kwargs: Any) -> None:
        self.row = row
        super().__init__(*args, **kwargs)


def button(
    label: str,
    *,
    icon: str,
    says: str,
    ask: type[Ask] = Ask,
    offered: Callable[[Any], bool] = lambda row: True,
    variant: ActionVariant = ActionVariant.DEFAULT,
) -> Callable[[Callable[..., str | HttpResponse]], Callable[..., HttpResponse]]:
    """Make an entry of `actions_detail` of a method (self, request, row, **fields of ask).

    says: what pressing it will do, in a sentence. offered: whether a row has the button.
    The method returns the sentence to show on the row's page, or a response: `go_to(address)`, or a dialog to show
    instead. A Problem it raises is told in the dialog.
    """

    def of(work: Callable[..., str | HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(work)
        def run(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
            if not self.has_operate_permission(request):
                raise PermissionDenied
            row = self.get_object(request, unquote(object_id))
            form = ask(request.POST if request.method == "POST" else None, row=row)
            if form.is_valid():
                try:
                    answer = work(self, request, row, **form.cleaned_data)
                except Problem as problem:
                    refuse(form, problem)
                else:
                    return answer if isinstance(answer, HttpResponse) else self_page(request, row, answer)
            context = {"title": label, "says": says, "form": form, "row": row, "variant": variant.value}
            return TemplateResponse(request, "tenancy/dialog.html", context)

        return _entry(run, label, icon, offered, variant, "operate", is_dialog=True)

    return of


def link(
    label: str, *, icon: str, offered: Callable[[Any], bool] = lambda row: True
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Make an entry of `actions_detail` of a method (self, request, row) that shows another page and changes nothing."""

    def of(work: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(work)
        def run(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
            if not self.has_view_permission(request):
                raise PermissionDenied
            return work(self, request, self.get_object(request, unquote(object_id)))

        return _entry(run, label, icon, offered, ActionVariant.DEFAULT, "view", is_dialog=False)

    return of


def _entry(
    run: Any,
    label: str,
    icon: str,
    offered: Callable[[Any], bool],
    variant: ActionVariant,
    permission: str,
    *,
    is_dialog: bool,
) -> Any:
    """The attributes that unfold and TenantAdmin look for."""
    run.short_description, run.icon, run.variant, run.attrs = label, icon, variant, {}
    run.dialog, run.is_offered, run.allowed_permissions = is_dialog, offered, (permission,)
    return run


def page_of(row: Model) -> str:
    """The address of a row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])


def go_to(address: str) -> HttpResponse:
    """Leave the dialog for another page."""
    return HttpResponse(headers={"HX-Redirect": address})


def self_page(request: HttpRequest, row: Model, sentence: str) -> HttpResponse:
    messages.success(request, sentence)
    return go_to(page_of(row))
