"""The doors to contracts; each asks for the tenant."""

from __future__ import annotations

from decimal import Decimal

from django.db.models import QuerySet

from aforo.kernel.decimals import EXACT, plain, trimmed
from aforo.kernel.money import round_minor
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import Contract, ContractCommitment, ContractDiscount

# Every row that a contract is made of, each in one query for any number of contracts.
ROWS = (
    *("commitments__product", "commitments__meter"),
    *("discounts__product", "discounts__meter", "discounts__threshold_meter"),
    *("prices", "trials__product", "renewals"),
)


def contracts_for(tenant: Tenant) -> QuerySet[Contract]:
    """With subscription and customer, and all of their rows."""
    return Contract.objects.of(tenant).select_related("subscription__customer").prefetch_related(*ROWS)


def contracts_listed(tenant: Tenant, *, subscription: str | None = None) -> QuerySet[Contract]:
    """subscription: its code."""
    return contracts_for(tenant).filter(**given(subscription__code=subscription))


def contract_for(tenant: Tenant, code: str) -> Contract:
    """Raises Problem not_found."""
    return found(contracts_for(tenant), code=code)


def contracts_renewing() -> QuerySet[Contract]:
    """Of every tenant, those that are renewed at their end; with subscription and customer."""
    return Contract.objects.filter(renewal_months__isnull=False, terminated_at=None).select_related(
        "subscription__customer"
    )


def undercuts(contract: Contract) -> list[str]:
    """What to know before it is signed: a minimum is of use, so a discount can bring what is paid below it.

    A minimum of 100.00 with 10 % off: "Up to 10 % off can bring what is paid to 90.00 USD, below the minimum of 100.00."
    """
    minimums = [(contract.minimum_amount, None)] if contract.minimum_amount else []
    minimums += [(row.amount, row) for row in contract.commitments.all() if row.kind == "MINIMUM"]
    return [
        _undercut(contract, amount, percent)
        for amount, row in minimums
        if (percent := _percent_off(contract, row))
    ]


def _percent_off(contract: Contract, minimum: ContractCommitment | None) -> Decimal:
    """The most that may come off what counts towards a minimum: the contract's percentage, then the highest step."""
    kept = EXACT.subtract(Decimal(100), contract.discount_percent or Decimal(0))
    steps = [row.percent for row in contract.discounts.all() if minimum is None or _meet(minimum, row)]
    step = EXACT.multiply(kept, EXACT.scaleb(max(steps, default=Decimal(0)), -2))
    return EXACT.subtract(Decimal(100), EXACT.subtract(kept, step))


def _meet(minimum: ContractCommitment, discount: ContractDiscount) -> bool:
    """Whether some line may be of both scopes; a product's may be of any meter, and a meter's of any product."""
    return all(
        one is None or other is None or one == other
        for one, other in ((minimum.product_id, discount.product_id), (minimum.meter_id, discount.meter_id))
    )


def _undercut(contract: Contract, minimum: Decimal, percent: Decimal) -> str:
    paid = EXACT.multiply(minimum, EXACT.scaleb(EXACT.subtract(Decimal(100), percent), -2))
    least, most = (plain(round_minor(each, contract.currency, "half_up")) for each in (paid, minimum))
    return (
        f"Up to {trimmed(percent)} % off can bring what is paid to {least} {contract.currency}, below the minimum of {most}: "
        "a minimum is of what is used, before discounts."
    )
