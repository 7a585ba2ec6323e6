from django.apps import AppConfig


class EntitlementsConfig(AppConfig):
    name = "entitlements"
    verbose_name = "Entitlements"

    def ready(self) -> None:
        """Have metering tell of usage as it is counted, and show how the edge is."""
        from metering.api.metrics import metrics_add
        from metering.ports import usage_sink_fill

        from .edge.metrics import EdgeMetrics
        from .sink import EdgeSink

        usage_sink_fill(EdgeSink())
        metrics_add(EdgeMetrics())
