"""Addresses of billing: the API under /v1/, and the pages of invoices under /invoices/."""

from django.urls import path

from .api.bill_runs import BillRunsView, BillRunView
from .api.invoices import (
    InvoiceHtmlView,
    InvoiceIssueView,
    InvoicePreviewView,
    InvoicesView,
    InvoiceTraceView,
    InvoiceView,
)
from .views import invoice_page, invoice_trace_page

urlpatterns = [
    path("bill-runs", BillRunsView.as_view(), name="bill-runs"),
    path("bill-runs/<uuid:run_id>", BillRunView.as_view(), name="bill-run"),
    path("invoices", InvoicesView.as_view(), name="invoices"),
    path("invoices/preview", InvoicePreviewView.as_view(), name="invoice-preview"),
    path("invoices/<str:name>", InvoiceView.as_view(), name="invoice"),
    path("invoices/<str:name>/trace", InvoiceTraceView.as_view(), name="invoice-trace"),
    path("invoices/<str:name>/html", InvoiceHtmlView.as_view(), name="invoice-html"),
    path("invoices/<str:name>/issue", InvoiceIssueView.as_view(), name="invoice-issue"),
]

pages = [
    path("<uuid:invoice_id>", invoice_page, name="invoice-page"),
    path("<uuid:invoice_id>/trace", invoice_trace_page, name="invoice-trace-page"),
]
