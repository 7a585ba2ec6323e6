"""The ledger, to be read: every transaction with its entries, which sum to zero."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet, Sum
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from aforo.tenancy.admin.rows import RowInline, TenantAdmin

from ..models import LedgerEntry, LedgerTransaction
from .base import money


class EntryInline(RowInline):
    model = LedgerEntry
    verbose_name_plural = "Entries"
    fields = readonly_fields = ("account", "customer", "debit", "credit")

    @display(description="Debit")
    def debit(self, entry: LedgerEntry) -> str:
        return money(entry.amount, entry.currency) if entry.amount > 0 else ""

    @display(description="Credit")
    def credit(self, entry: LedgerEntry) -> str:
        return money(-entry.amount, entry.currency) if entry.amount < 0 else ""


@admin.register(LedgerTransaction)
class LedgerTransactionAdmin(TenantAdmin):
    list_display = ("booked_at", "description", "invoice", "booked")
    list_select_related = ("invoice",)
    list_filter = (("booked_at", RangeDateTimeFilter),)
    list_filter_submit = True
    search_fields = ("reference", "description", "invoice__number")
    ordering = ("-booked_at", "-id")
    fields = ("description", "invoice", "booked_at", "booking")
    readonly_fields = ("booking",)
    inlines = (EntryInline,)
    empty_state = "Issued invoices and wallet grants are booked here."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request).prefetch_related("entries")
        return rows.annotate(debits=Sum("entries__amount", filter=Q(entries__amount__gt=0)))

    @display(description="Reference")
    def booking(self, transaction: LedgerTransaction) -> str:
        return transaction.reference

    @display(description="Amount", ordering="debits")
    def booked(self, transaction: LedgerTransaction) -> str:
        entries = list(transaction.entries.all())
        return money(transaction.debits, entries[0].currency) if entries else "–"
