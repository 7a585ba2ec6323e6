"""Invoices: found, read with every line explained, and issued."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from aforo.tenancy.admin.buttons import Ask, button, go_to, link, page_of
from aforo.tenancy.admin.columns import COLOURS
from aforo.tenancy.admin.decimals import PlainDecimal
from aforo.tenancy.admin.filters import CustomerFilter
from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request

from ..documents.invoice import invoice_context, invoice_html, trace_html
from ..models import Invoice
from ..services.credit_notes import credit_note_create
from ..services.invoices import invoice_issue
from .base import money
from .filters import LastDayFilter


class Credit(Ask):
    line = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget)
    amount = PlainDecimal(
        max_digits=28,
        decimal_places=4,
        required=False,
        help_text="To give back of the line, without its tax, which follows.",
    )
    reason = forms.CharField(
        max_length=300, help_text="The customer reads it.", widget=UnfoldAdminTextInputWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lines = self.row.lines.filter(amount__gt=0)
        self.fields["line"].choices = [
            ("", "All that is left of the invoice"),
            *((str(line.position), line.description) for line in lines),
        ]

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if bool(given.get("line")) != (given.get("amount") is not None):
            self.add_error("amount", "Name a line and an amount of it, or neither for the whole invoice.")
        return given


@admin.register(Invoice)
class InvoiceAdmin(TenantAdmin):
    list_display = ("title", "customer", "subscription_code", "period", "amount", "due", "state", "due_on")
    list_select_related = ("customer", "subscription")
    list_filter = (("status", ChoicesDropdownFilter), CustomerFilter, ("last_on", LastDayFilter))
    list_filter_submit = True
    search_fields = ("number", "customer__external_id", "customer__name", "subscription__code")
    ordering = ("-last_on", "-sequence")
    fieldsets = (
        (
            "Proof",
            {
                "fields": ("engine_version", "input_hash", "result_hash", "previous_hash", "chain_hash"),
                "classes": ("collapse",),
            },
        ),
    )
    change_form_outer_before_template = "billing/admin/invoice.html"
    actions_detail = ("printable", "trace", "issue", "credit")
    empty_state = "A bill run makes a month's invoices."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("sealed_input", "trace", "stage_hashes")

    @display(description="Number", ordering="sequence")
    def title(self, invoice: Invoice) -> str:
        return invoice.number or "Draft"

    @display(description="Subscription", ordering="subscription__code")
    def subscription_code(self, invoice: Invoice) -> str:
        return invoice.subscription.code

    @display(description="Period", ordering="period_start")
    def period(self, invoice: Invoice) -> str:
        zone = invoice.customer.zone
        return f"{invoice.period_start.astimezone(zone):%Y-%m-%d} – {invoice.last_on}"

    @display(description="Total", ordering="total")
    def amount(self, invoice: Invoice) -> str:
        return money(invoice.total, invoice.currency)

    @display(description="Due", ordering="due_amount")
    def due(self, invoice: Invoice) -> str:
        return money(invoice.due_amount, invoice.currency)

    @display(description="Status", ordering="status", label=COLOURS)
    def state(self, invoice: Invoice) -> str:
        return invoice.status

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        invoice = self.get_object(request, object_id)
        context = {
            "document": invoice_context(invoice, invoice.lines.all(), invoice.taxes.all()),
            "status_colour": COLOURS.get(invoice.status, ""),
        }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @link("Printable page", icon="print")
    def printable(self, request: HttpRequest, invoice: Invoice) -> HttpResponse:
        return HttpResponse(invoice_html(invoice, invoice.lines.all(), invoice.taxes.all()))

    @link("Trace", icon="account_tree")
    def trace(self, request: HttpRequest, invoice: Invoice) -> HttpResponse:
        return HttpResponse(trace_html(invoice))

    @button(
        "Issue",
        icon="task_alt",
        variant=ActionVariant.PRIMARY,
        offered=lambda invoice: invoice.status == Invoice.Status.DRAFT,
        says="Gives the invoice its number and books it; from then on it never changes.",
    )
    def issue(self, request: HttpRequest, invoice: Invoice) -> str:
        issued = invoice_issue(tenant=tenant_of_request(request), invoice_id=invoice.pk)
        return f"Issued as {issued.number}; {money(issued.due_amount, issued.currency)} are due on {issued.due_on}."

    @button(
        "Credit",
        icon="undo",
        ask=Credit,
        offered=lambda invoice: invoice.status not in (Invoice.Status.DRAFT, Invoice.Status.VOID),
        says="Drafts a credit note, with the taxes that follow; nothing is booked before it is issued.",
    )
    def credit(
        self, request: HttpRequest, invoice: Invoice, line: str, amount: Decimal | None, reason: str
    ) -> HttpResponse:
        note = credit_note_create(
            tenant=tenant_of_request(request),
            invoice=str(invoice.pk),
            reason=reason,
            lines=[(int(line), amount)] if line and amount is not None else None,
        )
        return go_to(page_of(note))
