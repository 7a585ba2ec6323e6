"""An event amended or voided by a person: what it says now in a form, and why it should say something else."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from aforo.kernel.decimals import trimmed
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.admin.rows import refuse
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant
from metering.corrections import AMENDABLE
from metering.selectors.corrections import counting_event_for
from metering.selectors.events import StoredEvent
from metering.services.corrections import event_amend, event_void
from metering.strict_json import check_shape, read_json


def _line() -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget()


class VoidForm(forms.Form):
    reason = forms.CharField(max_length=1000, widget=_line(), help_text="Kept with the correction.")

    def __init__(self, data: Any, *, event: StoredEvent) -> None:
        super().__init__(data)


class AmendForm(VoidForm):
    """What is left as it was is not amended."""

    customer_id = forms.CharField(label="Customer", required=False, widget=_line())
    metric = forms.CharField(required=False, widget=_line())
    quantity = forms.CharField(required=False, widget=_line())
    timestamp = forms.CharField(label="Happened", required=False, widget=_line())
    properties = forms.CharField(
        required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 6, "class": "font-mono"})
    )
    field_order = (*AMENDABLE, "reason")

    def __init__(self, data: Any, *, event: StoredEvent) -> None:
        super().__init__(data, event=event)
        said = {
            "customer_id": event.customer_id,
            "metric": event.metric,
            "quantity": trimmed(event.quantity),
            "timestamp": instant_text(event.timestamp),
            "properties": event.properties,
        }
        for name, text in said.items():
            self.fields[name].initial = text

    def clean_properties(self) -> Any:
        content = self.cleaned_data["properties"].encode()
        try:
            check_shape(content)
            return read_json(content)
        except Problem as problem:
            raise forms.ValidationError(problem.detail) from None

    def changes(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in AMENDABLE if name in self.changed_data}


def event_amend_page(request: HttpRequest, key: str) -> HttpResponse:
    def amend(form: AmendForm, **of: Any) -> str:
        event_amend(**of, changes=form.changes())
        return "The event is amended."

    return _answered(
        request,
        key,
        form=AmendForm,
        title="Amend",
        says="The event stays as it was accepted; what this form says counts from now on.",
        work=amend,
    )


def event_void_page(request: HttpRequest, key: str) -> HttpResponse:
    def void(form: VoidForm, **of: Any) -> str:
        event_void(**of)
        return "The event is voided."

    return _answered(
        request,
        key,
        form=VoidForm,
        title="Void",
        says="The event stays where it is and counts no longer. This cannot be undone.",
        work=void,
    )


def _answered(
    request: HttpRequest, key: str, *, form: type[VoidForm], title: str, says: str, work: Any
) -> HttpResponse:
    """The form, or what came of it. Another tab may have switched the tenant: the form names the one it is of."""
    tenant = _tenant(request)
    try:
        event = counting_event_for(tenant, key)
    except Problem as problem:
        raise Http404(problem.detail) from None
    if event is None or request.POST.get("form_tenant", str(tenant.pk)) != str(tenant.pk):
        raise Http404(f"No event {key!r} that counts in {tenant}.")
    asked = form(request.POST if request.method == "POST" else None, event=event)
    if asked.is_valid():
        try:
            said = work(
                asked,
                tenant=tenant,
                key=key,
                reason=asked.cleaned_data["reason"],
                actor=request.user.get_username(),
            )
        except Problem as problem:
            refuse(asked, problem)
        else:
            messages.success(request, said)
            return redirect("console-event", key=key)
    context = {"title": f"{title} event {key}", "button": title, "says": says, "form": asked, "key": key}
    frame = {**admin.site.each_context(request), "form_tenant": tenant}
    return TemplateResponse(request, "console/event_correction.html", {**frame, **context})


def _tenant(request: HttpRequest) -> Tenant:
    if not request.user.has_perm("metering.add_correction"):
        raise PermissionDenied
    tenant = tenant_of_request(request)
    if tenant is None:
        raise Http404("There is no tenant to work in.")
    return tenant
