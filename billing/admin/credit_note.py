"""Credit notes: drafted on an invoice's page, read, issued and applied here."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from aforo.tenancy.admin.buttons import button
from aforo.tenancy.admin.columns import COLOURS
from aforo.tenancy.admin.rows import RowInline, TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request

from ..models import CreditNote, CreditNoteLine, CreditNoteTax
from ..services.credit_notes import credit_note_apply, credit_note_issue
from .base import money


class LineInline(RowInline):
    model = CreditNoteLine
    verbose_name_plural = "Lines"
    fields = readonly_fields = ("description", "given_back")

    @display(description="Line")
    def description(self, line: CreditNoteLine) -> str:
        return line.line.description

    @display(description="Given back")
    def given_back(self, line: CreditNoteLine) -> str:
        return money(line.amount, line.note.invoice.currency)


class TaxInline(RowInline):
    model = CreditNoteTax
    verbose_name_plural = "Taxes"
    fields = readonly_fields = ("name", "given_back")

    @display(description="Tax")
    def name(self, tax: CreditNoteTax) -> str:
        return tax.tax.name

    @display(description="Given back")
    def given_back(self, tax: CreditNoteTax) -> str:
        return money(tax.amount, tax.note.invoice.currency)


@admin.register(CreditNote)
class CreditNoteAdmin(TenantAdmin):
    list_display = ("title", "invoice", "customer", "given_back", "state", "reason")
    list_select_related = ("invoice__customer",)
    list_filter = (("status", ChoicesDropdownFilter),)
    list_filter_submit = True
    search_fields = ("number", "invoice__number", "invoice__customer__external_id", "reason")
    ordering = ("-created_at", "-id")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("number", "state"),
                    ("invoice", "customer"),
                    "reason",
                    ("given_back", "off_due", "into_wallet"),
                    ("created_at", "issued_at", "applied_at"),
                )
            },
        ),
        ("Proof", {"fields": ("content_hash", "previous_hash", "chain_hash"), "classes": ("collapse",)}),
    )
    readonly_fields = ("state", "customer", "given_back", "off_due", "into_wallet")
    inlines = (LineInline, TaxInline)
    actions_detail = ("issue", "apply")
    empty_state = "Give something back on an issued invoice's page, by its button Credit."

    @display(description="Number", ordering="sequence")
    def title(self, note: CreditNote) -> str:
        return str(note)

    @display(description="Customer", ordering="invoice__customer__external_id")
    def customer(self, note: CreditNote) -> str:
        return note.invoice.customer.external_id

    @display(description="Total", ordering="total")
    def given_back(self, note: CreditNote) -> str:
        return money(note.total, note.invoice.currency)

    @display(description="Off what was due")
    def off_due(self, note: CreditNote) -> str:
        return money(note.due_amount, note.invoice.currency)

    @display(description="Into the wallet")
    def into_wallet(self, note: CreditNote) -> str:
        return money(note.wallet_amount, note.invoice.currency)

    @display(description="Status", ordering="status", label=COLOURS)
    def state(self, note: CreditNote) -> str:
        return note.status

    @button(
        "Issue",
        icon="task_alt",
        variant=ActionVariant.PRIMARY,
        offered=lambda note: note.status == CreditNote.Status.DRAFT,
        says="Numbers and books it, and takes it off what is due on the invoice; from then on it never changes.",
    )
    def issue(self, request: HttpRequest, note: CreditNote) -> str:
        issued = credit_note_issue(tenant=tenant_of_request(request), note_id=note.pk)
        currency = issued.invoice.currency
        left = money(issued.total - issued.due_amount, currency)
        off = f"Issued as {issued.number}; {money(issued.due_amount, currency)} are off {issued.invoice.number}."
        return off if issued.status == CreditNote.Status.APPLIED else f"{off} {left} are left to be applied."

    @button(
        "Apply",
        icon="account_balance_wallet",
        variant=ActionVariant.PRIMARY,
        offered=lambda note: note.status == CreditNote.Status.ISSUED,
        says="Puts what is left of it into the payer's wallet.",
    )
    def apply(self, request: HttpRequest, note: CreditNote) -> str:
        applied = credit_note_apply(tenant=tenant_of_request(request), note_id=note.pk)
        return f"{money(applied.wallet_amount, applied.invoice.currency)} are in the wallet."
