"""Invoices and bill runs as JSON: amounts as text in the currency's own places, quantities and prices exactly."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from aforo.kernel.canonical import canonical_value
from aforo.kernel.currencies import minor_units
from aforo.kernel.decimals import EXACT, plain, rounded, total, trimmed
from aforo.kernel.periods import instant_text

from ..models import BillRun, BillRunItem, Invoice, InvoiceLine, InvoiceTax
from ..pipeline.state import ZERO, BillingState
from ..posting import Document
from ..proof import sealed_tax
from ..selectors.bill_runs import Progress, bill_run_items_for
from .invoice import trace_of

TIER = ("tier", "quantity", "unit_price", "flat_fee", "amount")
FAILURES_SHOWN = 100
FIGURES = ("subtotal", "commitment", "discount", "tax", "total", "wallet_amount", "due_amount")


def amount_text(amount: Decimal, currency: str) -> str:
    """140.3500 USD as the store keeps it is "140.35"; 1235.0000 JPY is "1235"."""
    return plain(rounded(amount, places=minor_units(currency), mode="half_up"))


def summary_body(invoice: Invoice) -> dict[str, Any]:
    """An invoice as a list shows it. A preview has neither id nor number."""
    return {
        "id": None if invoice._state.adding else str(invoice.pk),
        "number": invoice.number,
        "status": "PREVIEW" if invoice._state.adding else invoice.status,
        "customer": invoice.customer.external_id,
        "subscription": invoice.subscription.code,
        "currency": invoice.currency,
        "period": {"start": instant_text(invoice.period_start), "end": instant_text(invoice.period_end)},
        "last_on": invoice.last_on.isoformat(),
        "issued_at": instant_text(invoice.issued_at) if invoice.issued_at else None,
        "due_on": invoice.due_on.isoformat() if invoice.due_on else None,
        **{name: amount_text(getattr(invoice, name), invoice.currency) for name in FIGURES},
    }


def invoice_body(document: Document) -> dict[str, Any]:
    """The whole invoice: figures, lines with their tiers, taxes, issues and hashes."""
    invoice = document.invoice
    tax = sealed_tax(bytes(invoice.sealed_input))
    return {
        **summary_body(invoice),
        "lines": [_line(line, invoice.currency) for line in document.lines],
        "seller_vat_number": tax.seller_vat_number or None,
        "customer_vat_number": tax.vat_number or None,
        "taxes": [_tax(each, invoice.currency) for each in document.taxes],
        "issues": [
            {name: issue.get(name, "") for name in ("severity", "code", "sentence", "subject")}
            for issue in invoice.issues
        ],
        "input_hash": invoice.input_hash,
        "result_hash": invoice.result_hash,
        "chain_hash": invoice.chain_hash or None,
    }


def current_usage_body(state: BillingState) -> dict[str, Any]:
    """A state after rating: each line of the present period, with what is left of its charge's quota."""
    quotas = {charge.code: charge.quota_units for charge in state.charges}
    used = {quantity.charge: quantity.units for quantity in state.quantities}
    lines = [line for line in state.lines if not line.adjusts]
    charges = []
    for line in lines:
        quota = quotas.get(line.code)
        left = None if quota is None else max(ZERO, EXACT.subtract(quota, used.get(line.code, ZERO)))
        charges.append(
            {
                "kind": line.kind,
                "code": line.code,
                "description": line.description,
                "quantity": trimmed(line.quantity),
                "quota": None if quota is None else trimmed(quota),
                "remaining": None if left is None else trimmed(left),
                "amount": amount_text(line.amount, state.currency),
                "tiers": [
                    {name: canonical_value(getattr(tier, name)) for name in TIER} for tier in line.tiers
                ],
            }
        )
    return {
        "subscription": state.subscription,
        "customer": state.customer,
        "currency": state.currency,
        "period": {"start": instant_text(state.period.start), "end": instant_text(state.period.end)},
        "amount": amount_text(total(line.amount for line in lines), state.currency),
        "charges": charges,
    }


def trace_body(invoice: Invoice) -> dict[str, Any]:
    """How the invoice came to be, stage by stage."""
    return {
        "id": str(invoice.pk),
        "number": invoice.number,
        "input_hash": invoice.input_hash,
        "result_hash": invoice.result_hash,
        "stages": [
            {
                "stage": stage.stage,
                "name": stage.name,
                "hash": stage.hash,
                "explanations": [
                    {
                        "code": said.code,
                        "subject": said.subject,
                        "sentence": said.sentence,
                        "facts": said.facts,
                    }
                    for said in stage.explanations
                ],
            }
            for stage in trace_of(invoice)
        ],
    }


def _line(line: InvoiceLine, currency: str) -> dict[str, Any]:
    return {
        "position": line.position,
        "kind": line.kind,
        "code": line.code,
        "description": line.description,
        "quantity": trimmed(line.quantity) if line.quantity is not None else None,
        "amount": amount_text(line.amount, currency),
        "discount": amount_text(Decimal(line.discount), currency),
        "tiers": [{name: tier[name] for name in TIER} for tier in line.tiers],
        "adjusts": line.adjusts or None,
        "corrections": line.corrections,
    }


def _tax(tax: InvoiceTax, currency: str) -> dict[str, Any]:
    return {
        "jurisdiction": tax.jurisdiction,
        "name": tax.name,
        "percent": trimmed(tax.percent),
        "is_inclusive": tax.is_inclusive,
        "taxable_amount": amount_text(tax.taxable_amount, currency),
        "amount": amount_text(tax.amount, currency),
        "treatment": tax.treatment or None,
        "note": tax.note or None,
    }


def bill_run_body(run: BillRun, progress: Progress) -> dict[str, Any]:
    """A bill run with how far it has come, and what failed."""
    return {
        "id": str(run.pk),
        "status": run.status,
        "starts_on": run.starts_on.isoformat(),
        "ends_on": run.ends_on.isoformat(),
        "scope": run.scope,
        "auto_finalize": run.auto_finalize,
        "issues_at": instant_text(run.issues_at) if run.issues_at else None,
        "refreshed_at": instant_text(run.refreshed_at) if run.refreshed_at else None,
        "events_waiting": run.events_waiting,
        "started_at": instant_text(run.started_at),
        "finished_at": instant_text(run.finished_at) if run.finished_at else None,
        "progress": asdict(progress),
        "failures": [
            {
                "customer": item.subscription.customer.external_id,
                "subscription": item.subscription.code,
                "period": {"start": instant_text(item.period_start), "end": instant_text(item.period_end)},
                "error": item.error,
            }
            for item in bill_run_items_for(run).filter(status=BillRunItem.Status.FAILED)[:FAILURES_SHOWN]
        ],
    }
