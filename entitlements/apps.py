from django.apps import AppConfig


class EntitlementsConfig(AppConfig):
    name = "entitlements"
    verbose_name = "Entitlements"

    def ready(self) -> None:
        """Have metering tell of usage as it is counted."""
        from metering.ports import usage_sink_fill

        from .sink import EdgeSink

        usage_sink_fill(EdgeSink())
