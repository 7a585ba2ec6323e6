"""Dry run: what a policy would have done over the last days, by the figures and the judgement that enforcement uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from aforo.kernel.clock import now
from aforo.kernel.decimals import EXACT, total
from aforo.kernel.periods import Period, local_midnight
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.selectors.tenants import customers_for
from metering.selectors.meters import meters_for
from metering.selectors.usage import Wanted, events_counted

from ..margin import WELL, MarginStanding, evaluate, margin_percent, withheld
from ..models import MarginPolicy
from ..resolution import Holding
from ..selectors.margin import margin_policies_for
from ..selectors.margin_figures import Figures, figures_of, holdings_by_customer, policy_of, window_at

DAYS = 30
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class DryDay:
    """One local day of a customer.

    standing: as judged at the day's end, by the window's revenue and cost. calls: the day's events. withheld: those that the
    standing of the evening before would have refused; revenue_kept, cost_avoided: the day's, of what was let through and of
    what was not.
    """

    on: date
    standing: MarginStanding
    revenue: Decimal
    cost: Decimal
    percent: Decimal | None
    calls: int
    withheld: int
    revenue_kept: Decimal
    cost_avoided: Decimal
    issue: str = ""


@dataclass(frozen=True, slots=True)
class DryCustomer:
    customer: Customer
    days: tuple[DryDay, ...]

    @property
    def level_max(self) -> int:
        return max((day.standing.level for day in self.days), default=0)

    @property
    def calls(self) -> int:
        return sum(day.calls for day in self.days)

    @property
    def withheld(self) -> int:
        return sum(day.withheld for day in self.days)

    @property
    def revenue_kept(self) -> Decimal:
        return total(day.revenue_kept for day in self.days)

    @property
    def cost_avoided(self) -> Decimal:
        return total(day.cost_avoided for day in self.days)


@dataclass(frozen=True, slots=True)
class DryRun:
    """customers: those the policy holds for, the worst first. customers_left: so many more were not looked at."""

    policy: MarginPolicy
    customers: tuple[DryCustomer, ...]
    customers_left: int


def margin_dry_run(
    *,
    tenant: Tenant,
    policy: MarginPolicy,
    days: int = DAYS,
    count_max: int | None = None,
    as_of: datetime | None = None,
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> DryRun:
    """Judge each past day of the customers that a policy would hold for, saved or not, as if it were active.

    days: so many local days before the present one. count_max: of the customers, by external_id. progress: called with how many are done, of how many.
    The usage is as it was: that less would have come behind a block is not guessed at.
    """
    at = as_of or now()
    others = margin_policies_for(tenant, is_active=True).exclude(code=policy.code)
    policies = [policy, *(one for one in others if (one.scope, one.owner) != (policy.scope, policy.owner))]
    customers = list(customers_for(tenant).order_by("external_id"))
    holdings = holdings_by_customer(tenant, customers)
    under = [one for one in customers if policy_of(policies, one, holdings[one.pk]) is policy]
    looked_at = under[:count_max]
    found = []
    for place, customer in enumerate(looked_at, 1):
        judged = _days(tenant, customer, policy, holdings[customer.pk], at, days)
        found.append(DryCustomer(customer, tuple(judged)))
        progress(place, len(looked_at))
    found.sort(key=lambda one: (-one.level_max, -one.withheld, one.customer.external_id))
    return DryRun(policy, tuple(found), len(under) - len(looked_at))


def _days(
    tenant: Tenant,
    customer: Customer,
    policy: MarginPolicy,
    holdings: list[Holding],
    at: datetime,
    days: int,
) -> Iterator[DryDay]:
    zone = customer.zone
    today = at.astimezone(zone).date()
    wholes = []
    for back in range(days, 0, -1):
        on = today - timedelta(days=back)
        wholes.append(Period(local_midnight(on, zone), local_midnight(on + timedelta(days=1), zone)))
    # Judged in the day's last instant.
    windows = [window_at(policy, customer, holdings, day.end - timedelta.resolution) for day in wholes]
    (figures,) = figures_of(tenant, [(customer, policy, [*windows, *wholes])])
    calls = _calls(tenant, customer, wholes)
    standing = WELL
    for place, (day, of_window) in enumerate(zip(wholes, figures, strict=False)):
        refused = withheld(standing, calls[place])
        of_day = figures[len(wholes) + place]
        if not of_window.issue:
            standing = evaluate(policy.policy(), of_window.revenue, of_window.cost, standing.level)
        yield _day(day.start.astimezone(zone).date(), standing, of_window, of_day, calls[place], refused)


def _day(
    on: date, standing: MarginStanding, of_window: Figures, of_day: Figures, calls: int, refused: int
) -> DryDay:
    share = EXACT.divide(Decimal(refused), Decimal(calls)) if calls else ZERO
    return DryDay(
        on=on,
        standing=standing,
        revenue=of_window.revenue,
        cost=of_window.cost,
        percent=margin_percent(of_window.revenue, of_window.cost),
        calls=calls,
        withheld=refused,
        revenue_kept=EXACT.multiply(of_day.revenue, EXACT.subtract(Decimal(1), share)),
        cost_avoided=EXACT.multiply(of_day.cost, share),
        issue=of_window.issue,
    )


def _calls(tenant: Tenant, customer: Customer, days: list[Period]) -> list[int]:
    """The events of each day: those of the meter that counted most, as one event may feed several."""
    meters = [row.meter() for row in meters_for(tenant)]
    wanted = [[Wanted(customer.pk, meter, day)] for day in days for meter in meters]
    counted = events_counted(tenant=tenant, wanted=wanted)
    width = len(meters)
    return [max(counted[at * width : (at + 1) * width], default=0) for at in range(len(days))]
