"""Addresses of the console's own pages, beside the admin's under /admin/."""

from django.contrib import admin
from django.urls import path

from . import edge_reconciliation, edge_sites, event_corrections, events, in_force, margins
from .tenant_switch import tenant_switch

urlpatterns = [
    path("margins/", admin.site.admin_view(margins.margins_page), name="console-margins"),
    path("in-force/", admin.site.admin_view(in_force.in_force_page), name="console-in-force"),
    path("edge-sites/", admin.site.admin_view(edge_sites.edge_sites_page), name="console-edge-sites"),
    path(
        "edge-reconciliation/",
        admin.site.admin_view(edge_reconciliation.edge_reconciliation_page),
        name="console-edge-reconciliation",
    ),
    path("tenant", admin.site.admin_view(tenant_switch), name="tenant-switch"),
    path("events/", admin.site.admin_view(events.events_page), name="console-events"),
    path("live-events/", admin.site.admin_view(events.events_live_page), name="console-events-live"),
    path("live-events/rows", admin.site.admin_view(events.events_live_rows), name="console-events-live-rows"),
    path("events/<path:key>", admin.site.admin_view(events.event_page), name="console-event"),
    path(
        "amend-event/<path:key>",
        admin.site.admin_view(event_corrections.event_amend_page),
        name="console-event-amend",
    ),
    path(
        "void-event/<path:key>",
        admin.site.admin_view(event_corrections.event_void_page),
        name="console-event-void",
    ),
]
