"""Addresses of entitlements under /v1/."""

from django.urls import path

from .api.access import CanAccessBatchView, CanAccessView, ReservationSettleView, ReservationView
from .api.feed import ChangesView
from .api.leases import LeasesView
from .api.reconciliation import ReconciliationView

urlpatterns = [
    path("canAccess", CanAccessView.as_view(), name="can-access"),
    path("canAccess/batch", CanAccessBatchView.as_view(), name="can-access-batch"),
    path("reservations/<str:reservation_id>", ReservationView.as_view(), name="reservation"),
    path(
        "reservations/<str:reservation_id>/settle", ReservationSettleView.as_view(), name="reservation-settle"
    ),
    path("edge/changes", ChangesView.as_view(), name="edge-changes"),
    path("edge/reconciliation", ReconciliationView.as_view(), name="edge-reconciliation"),
    path("edge/leases", LeasesView.as_view(), name="edge-leases"),
]
