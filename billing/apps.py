from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing"

    def ready(self) -> None:
        """Tell metering who knows what a customer has bought."""
        from metering.ports import customer_directory_fill

        from .selectors.directory import SubscriptionDirectory

        customer_directory_fill(SubscriptionDirectory())
