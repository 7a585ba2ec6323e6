"""Addresses of billing under /v1/."""

from django.urls import path

from .api.bill_runs import BillRunFinalizeView, BillRunsView, BillRunView
from .api.contracts import ContractsView, ContractTerminateView, ContractView
from .api.coupons import CouponAttachView, CouponsView, CouponView
from .api.credit_notes import CreditNoteApplyView, CreditNoteIssueView, CreditNotesView, CreditNoteView
from .api.current_usage import CurrentUsageView
from .api.exchange_rates import ExchangeRatesView
from .api.invoices import (
    InvoiceHtmlView,
    InvoiceIssueView,
    InvoicePreviewView,
    InvoiceStartView,
    InvoicesView,
    InvoiceTraceView,
    InvoiceView,
)
from .api.offerings import OfferingsView, OfferingView
from .api.plan_migrations import MigrationPreviewView, MigrationView
from .api.products import ProductsView, ProductView
from .api.profiles import BillingProfileView
from .api.rate_plans import (
    RatePlansView,
    RatePlanView,
    VersionArchiveView,
    VersionDiffView,
    VersionPublishView,
    VersionsView,
    VersionView,
)
from .api.subscriptions import (
    SubscriptionAddView,
    SubscriptionCancelView,
    SubscriptionChangeView,
    SubscriptionMoveView,
    SubscriptionPeriodsView,
    SubscriptionPreviewView,
    SubscriptionRemoveView,
    SubscriptionsView,
    SubscriptionView,
)
from .api.tax_exemptions import TaxExemptionEndView, TaxExemptionsView, TaxExemptionView
from .api.tax_rates import TaxRateEndView, TaxRatesView, TaxRateView
from .api.top_ups import (
    RecurringGrantEndView,
    RecurringGrantsView,
    TopUpConfirmView,
    TopUpFailView,
    TopUpRuleView,
    TopUpsView,
    TopUpView,
)
from .api.wallet_holds import HoldReleaseView, HoldSettleView, WalletHoldsView, WalletHoldView
from .api.wallets import (
    GrantReduceView,
    WalletGrantsView,
    WalletMovementsView,
    WalletsView,
    WalletView,
)

_WALLET = "wallets/<uuid:wallet_id>"
_HOLD = f"{_WALLET}/holds/<uuid:hold_id>"
_TOP_UP = f"{_WALLET}/top-ups/<uuid:top_up_id>"
_RECURRING = f"{_WALLET}/recurring-grants"
_VERSION = "rate-plans/<str:code>/versions/<int:number>"

urlpatterns = [
    path("products", ProductsView.as_view(), name="products"),
    path("products/<str:code>", ProductView.as_view(), name="product"),
    path("rate-plans", RatePlansView.as_view(), name="rate-plans"),
    path("rate-plans/<str:code>", RatePlanView.as_view(), name="rate-plan"),
    path("rate-plans/<str:code>/versions", VersionsView.as_view(), name="rate-plan-versions"),
    path(_VERSION, VersionView.as_view(), name="rate-plan-version"),
    path(f"{_VERSION}/diff", VersionDiffView.as_view(), name="rate-plan-version-diff"),
    path(
        f"{_VERSION}/migration-preview",
        MigrationPreviewView.as_view(),
        name="rate-plan-version-migration-preview",
    ),
    path(f"{_VERSION}/migrate", MigrationView.as_view(), name="rate-plan-version-migrate"),
    path(f"{_VERSION}/publish", VersionPublishView.as_view(), name="rate-plan-version-publish"),
    path(f"{_VERSION}/archive", VersionArchiveView.as_view(), name="rate-plan-version-archive"),
    path("offerings", OfferingsView.as_view(), name="offerings"),
    path("offerings/<str:code>", OfferingView.as_view(), name="offering"),
    path("subscriptions", SubscriptionsView.as_view(), name="subscriptions"),
    path("subscriptions/<str:code>", SubscriptionView.as_view(), name="subscription"),
    path("subscriptions/<str:code>/move", SubscriptionMoveView.as_view(), name="subscription-move"),
    path("subscriptions/<str:code>/change", SubscriptionChangeView.as_view(), name="subscription-change"),
    path("subscriptions/<str:code>/add", SubscriptionAddView.as_view(), name="subscription-add"),
    path("subscriptions/<str:code>/remove", SubscriptionRemoveView.as_view(), name="subscription-remove"),
    path(
        "subscriptions/<str:code>/start-invoice",
        InvoiceStartView.as_view(),
        name="subscription-start-invoice",
    ),
    path("subscriptions/<str:code>/preview", SubscriptionPreviewView.as_view(), name="subscription-preview"),
    path("subscriptions/<str:code>/cancel", SubscriptionCancelView.as_view(), name="subscription-cancel"),
    path("subscriptions/<str:code>/current-usage", CurrentUsageView.as_view(), name="current-usage"),
    path("subscriptions/<str:code>/periods", SubscriptionPeriodsView.as_view(), name="subscription-periods"),
    path("contracts", ContractsView.as_view(), name="contracts"),
    path("contracts/<str:code>", ContractView.as_view(), name="contract"),
    path("contracts/<str:code>/terminate", ContractTerminateView.as_view(), name="contract-terminate"),
    path("coupons", CouponsView.as_view(), name="coupons"),
    path("coupons/<str:code>", CouponView.as_view(), name="coupon"),
    path("coupons/<str:code>/attach", CouponAttachView.as_view(), name="coupon-attach"),
    path("tax-rates", TaxRatesView.as_view(), name="tax-rates"),
    path("tax-rates/<uuid:rate_id>", TaxRateView.as_view(), name="tax-rate"),
    path("tax-rates/<uuid:rate_id>/end", TaxRateEndView.as_view(), name="tax-rate-end"),
    path("tax-exemptions", TaxExemptionsView.as_view(), name="tax-exemptions"),
    path("tax-exemptions/<uuid:exemption_id>", TaxExemptionView.as_view(), name="tax-exemption"),
    path("tax-exemptions/<uuid:exemption_id>/end", TaxExemptionEndView.as_view(), name="tax-exemption-end"),
    path("wallets", WalletsView.as_view(), name="wallets"),
    path(_WALLET, WalletView.as_view(), name="wallet"),
    path(f"{_WALLET}/grants", WalletGrantsView.as_view(), name="wallet-grants"),
    path(f"{_WALLET}/grants/<uuid:grant_id>/reduce", GrantReduceView.as_view(), name="wallet-grant-reduce"),
    path(f"{_WALLET}/movements", WalletMovementsView.as_view(), name="wallet-movements"),
    path(f"{_WALLET}/holds", WalletHoldsView.as_view(), name="wallet-holds"),
    path(_HOLD, WalletHoldView.as_view(), name="wallet-hold"),
    path(f"{_HOLD}/settle", HoldSettleView.as_view(), name="wallet-hold-settle"),
    path(f"{_HOLD}/release", HoldReleaseView.as_view(), name="wallet-hold-release"),
    path(f"{_WALLET}/top-up-rule", TopUpRuleView.as_view(), name="wallet-top-up-rule"),
    path(f"{_WALLET}/top-ups", TopUpsView.as_view(), name="wallet-top-ups"),
    path(_TOP_UP, TopUpView.as_view(), name="wallet-top-up"),
    path(f"{_TOP_UP}/confirm", TopUpConfirmView.as_view(), name="wallet-top-up-confirm"),
    path(f"{_TOP_UP}/fail", TopUpFailView.as_view(), name="wallet-top-up-fail"),
    path(_RECURRING, RecurringGrantsView.as_view(), name="recurring-grants"),
    path(
        f"{_RECURRING}/<uuid:recurring_id>/end", RecurringGrantEndView.as_view(), name="recurring-grant-end"
    ),
    path("exchange-rates", ExchangeRatesView.as_view(), name="exchange-rates"),
    path("billing-profile", BillingProfileView.as_view(), name="billing-profile"),
    path("bill-runs", BillRunsView.as_view(), name="bill-runs"),
    path("bill-runs/<uuid:run_id>", BillRunView.as_view(), name="bill-run"),
    path("bill-runs/<uuid:run_id>/finalize", BillRunFinalizeView.as_view(), name="bill-run-finalize"),
    path("invoices", InvoicesView.as_view(), name="invoices"),
    path("invoices/preview", InvoicePreviewView.as_view(), name="invoice-preview"),
    path("invoices/<str:name>", InvoiceView.as_view(), name="invoice"),
    path("invoices/<str:name>/trace", InvoiceTraceView.as_view(), name="invoice-trace"),
    path("invoices/<str:name>/html", InvoiceHtmlView.as_view(), name="invoice-html"),
    path("invoices/<str:name>/issue", InvoiceIssueView.as_view(), name="invoice-issue"),
    path("credit-notes", CreditNotesView.as_view(), name="credit-notes"),
    path("credit-notes/<uuid:note_id>", CreditNoteView.as_view(), name="credit-note"),
    path("credit-notes/<uuid:note_id>/issue", CreditNoteIssueView.as_view(), name="credit-note-issue"),
    path("credit-notes/<uuid:note_id>/apply", CreditNoteApplyView.as_view(), name="credit-note-apply"),
]
