from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing"

    def ready(self) -> None:
        """Tell metering who knows what a customer has bought, and which bills its usage is on; and entitlements who
        knows what there is to be held, who holds it, and what they earn."""
        from entitlements.ports import entitlement_owners_fill, revenue_source_fill, standing_source_fill
        from metering.ports import customer_directory_fill, invoice_impact_fill

        from .selectors.directory import SubscriptionDirectory
        from .selectors.impact import SubscriptionImpact
        from .selectors.standings import Owners
        from .services.revenue import Revenue
        from .services.standings import Standings

        customer_directory_fill(SubscriptionDirectory())
        invoice_impact_fill(SubscriptionImpact())
        entitlement_owners_fill(Owners())
        standing_source_fill(Standings())
        revenue_source_fill(Revenue())
