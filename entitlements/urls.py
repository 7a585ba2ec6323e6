"""Addresses of entitlements under /v1/."""

from django.urls import path

from .api.access import CanAccessBatchView, CanAccessView, ReservationSettleView, ReservationView
from .api.catalog import (
    CustomerEntitlementsView,
    EdgePolicyView,
    EntitlementsView,
    EntitlementView,
    FeaturesView,
    FeatureView,
    GrantHistoryView,
    GrantRevokeView,
    GrantsView,
    GrantView,
)
from .api.feed import ChangesView
from .api.leases import LeasesView
from .api.margins import (
    CostRateEndView,
    CostRatesView,
    CostRateView,
    ImportedCostsView,
    MarginDryRunView,
    MarginEventsView,
    MarginPoliciesView,
    MarginPolicyView,
    MarginsView,
    MarginView,
)
from .api.reconciliation import ReconciliationView

urlpatterns = [
    path("canAccess", CanAccessView.as_view(), name="can-access"),
    path("canAccess/batch", CanAccessBatchView.as_view(), name="can-access-batch"),
    path("reservations/<str:reservation_id>", ReservationView.as_view(), name="reservation"),
    path(
        "reservations/<str:reservation_id>/settle", ReservationSettleView.as_view(), name="reservation-settle"
    ),
    path("features", FeaturesView.as_view(), name="features"),
    path("features/<str:code>", FeatureView.as_view(), name="feature"),
    path("entitlements", EntitlementsView.as_view(), name="entitlements"),
    path("entitlements/<uuid:entitlement_id>", EntitlementView.as_view(), name="entitlement"),
    path("grants", GrantsView.as_view(), name="grants"),
    path("grants/<uuid:grant_id>", GrantView.as_view(), name="grant"),
    path("grants/<uuid:grant_id>/history", GrantHistoryView.as_view(), name="grant-history"),
    path("grants/<uuid:grant_id>/revoke", GrantRevokeView.as_view(), name="grant-revoke"),
    path(
        "customers/<path:external_id>/entitlements",
        CustomerEntitlementsView.as_view(),
        name="customer-entitlements",
    ),
    path("edge/policy", EdgePolicyView.as_view(), name="edge-policy"),
    path("edge/changes", ChangesView.as_view(), name="edge-changes"),
    path("edge/reconciliation", ReconciliationView.as_view(), name="edge-reconciliation"),
    path("edge/leases", LeasesView.as_view(), name="edge-leases"),
    path("margin-policies", MarginPoliciesView.as_view(), name="margin-policies"),
    path("margin-policies/<str:code>", MarginPolicyView.as_view(), name="margin-policy"),
    path("margin-policies/<str:code>/dry-run", MarginDryRunView.as_view(), name="margin-dry-run"),
    path("cost-rates", CostRatesView.as_view(), name="cost-rates"),
    path("cost-rates/<uuid:rate_id>", CostRateView.as_view(), name="cost-rate"),
    path("cost-rates/<uuid:rate_id>/end", CostRateEndView.as_view(), name="cost-rate-end"),
    path("imported-costs", ImportedCostsView.as_view(), name="imported-costs"),
    path("margins", MarginsView.as_view(), name="margins"),
    path("margins/<path:external_id>", MarginView.as_view(), name="margin"),
    path("margin-events", MarginEventsView.as_view(), name="margin-events"),
]
