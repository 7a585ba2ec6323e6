from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing"

    def ready(self) -> None:
        """Tell metering who knows what a customer has bought, and which bills its usage is on."""
        from metering.ports import customer_directory_fill, invoice_impact_fill

        from .selectors.directory import SubscriptionDirectory
        from .selectors.impact import SubscriptionImpact

        customer_directory_fill(SubscriptionDirectory())
        invoice_impact_fill(SubscriptionImpact())
