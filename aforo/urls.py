"""Addresses: the API, its documentation, the admin, and what supervisors ask."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from aforo.http.health import health, ready
from metering.api.metrics import metrics

urlpatterns = [
    path("health", health),
    path("ready", ready),
    path("metrics", metrics),
    # Addresses that people type.
    path("", RedirectView.as_view(url="/admin/")),
    path("admin", RedirectView.as_view(url="/admin/")),
    # What a browser asks of pages that stand alone, such as a printed invoice.
    path("favicon.ico", RedirectView.as_view(url=static("aforo/favicon.svg"))),
    path("admin/", include("aforo.console.urls")),
    path("admin/", admin.site.urls),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="api-docs"),
    # Before the customers' own addresses, whose external_id may hold a slash: customers/cust_abc/entitlements.
    path("v1/", include("entitlements.urls")),
    path("v1/", include("aforo.http.urls")),
    path("v1/", include("metering.urls")),
    path("v1/", include("billing.urls")),
]

handler404 = "aforo.console.pages.not_found"
handler500 = "aforo.http.problems.server_error"
