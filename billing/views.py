"""Pages for people who are logged in to the admin."""

from __future__ import annotations

from uuid import UUID

from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse

from aforo.kernel.errors import Problem

from .documents.invoice import invoice_html, trace_html
from .documents.numbers import locale_of
from .models import Invoice
from .posting import document_stored
from .selectors.invoices import invoice_of_any_tenant


@staff_member_required
def invoice_page(request: HttpRequest, invoice_id: UUID) -> HttpResponse:
    """The invoice as its customer sees it. Query: locale."""
    document = document_stored(_invoice(invoice_id))
    locale = locale_of(request.GET.get("locale"))
    return HttpResponse(invoice_html(document.invoice, document.lines, document.taxes, locale=locale))


@staff_member_required
def invoice_trace_page(request: HttpRequest, invoice_id: UUID) -> HttpResponse:
    """How the invoice came to be, stage by stage. Query: locale."""
    return HttpResponse(trace_html(_invoice(invoice_id), locale=locale_of(request.GET.get("locale"))))


def _invoice(invoice_id: UUID) -> Invoice:
    try:
        return invoice_of_any_tenant(invoice_id)
    except Problem as problem:
        raise Http404(problem.detail) from None
