from django.apps import AppConfig


class EntitlementsConfig(AppConfig):
    name = "entitlements"
    verbose_name = "Entitlements"

    def ready(self) -> None:
        """Have metering tell of usage as it is counted, settle what was reserved for it, and show how the edge is."""
        from metering.api.metrics import metrics_add
        from metering.ports import reservation_desk_fill, usage_sink_fill

        from .edge.metrics import EdgeMetrics
        from .reservations import CentralDesk
        from .sink import EdgeSink

        usage_sink_fill(EdgeSink())
        reservation_desk_fill(CentralDesk())
        metrics_add(EdgeMetrics())
