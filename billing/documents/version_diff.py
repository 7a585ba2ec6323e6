"""What is different between two versions of a rate plan, in words: by charge, and in it by term."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any, Literal

from babel import Locale

from ..models import RatePlanVersion
from ..pipeline.state import Charge
from ..pricing.terms import Tier
from ..selectors.terms import charge_value
from .numbers import DEFAULT, number_text

# Terms whose field's name is not how one says it.
LABELS = {
    "position": "place on the invoice",
    "units_max": "units at most",
    "minimum_amount": "minimum",
    "maximum_amount": "maximum",
    "quota_units": "quota",
}
NONE = "none"
# A charge is known by its code, and has the product of its plan; what it excludes follows from the charges beside it, and
# spans are of a subscription.
UNSAID = frozenset({"code", "product", "spans", "excludes"})


@dataclass(frozen=True, slots=True)
class TermChange:
    """One term of a charge, before and after, as people read it."""

    term: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ChargeChange:
    """A charge that only one of the versions has, or that has other terms. name: as the later version has it.

    terms: what changed; of an added charge what it has, of a removed one what it had.
    """

    code: str
    name: str
    change: Literal["ADDED", "REMOVED", "CHANGED"]
    terms: tuple[TermChange, ...]

    @property
    def sentence(self) -> str:
        """Input tokens: tier up to 1,000: 0.01 → 0.009; included: 500,000 → 600,000."""
        if self.change == "CHANGED":
            said = [f"{each.term}: {each.before} → {each.after}" for each in self.terms]
            return f"{self.name}: {'; '.join(said)}"
        said = [f"{each.term} {each.after if self.change == 'ADDED' else each.before}" for each in self.terms]
        return f"{self.name} is {self.change.lower()}: {', '.join(said)}"


def version_diff(
    before: RatePlanVersion | None, after: RatePlanVersion, *, locale: Locale = DEFAULT
) -> tuple[ChargeChange, ...]:
    """The charges that differ, in the order of the later version, and those that it lost at the end; none where all agree.

    Both with charges, meters and tiers. Against nothing, every charge is added.
    """
    old = {charge.code: charge_value(charge) for charge in before.charges.all()} if before else {}
    new = {charge.code: charge_value(charge) for charge in after.charges.all()}
    changes = [_change(old.get(code), charge, locale) for code, charge in new.items()]
    changes += [_change(charge, None, locale) for code, charge in old.items() if code not in new]
    return tuple(change for change in changes if change.terms)


def _change(before: Charge | None, after: Charge | None, locale: Locale) -> ChargeChange:
    is_whole = before is None or after is None
    was, now = (dict(_terms(each, "", locale, is_whole)) if each else {} for each in (before, after))
    terms = [TermChange(term, was.get(term, NONE), now.get(term, NONE)) for term in {**was, **now}]
    charge = after or before
    return ChargeChange(
        charge.code,
        charge.name,
        "ADDED" if before is None else "REMOVED" if after is None else "CHANGED",
        tuple(term for term in terms if term.before != term.after),
    )


def _terms(value: Any, prefix: str, locale: Locale, is_whole: bool) -> Iterator[tuple[str, str]]:
    """Each term in words. is_whole: of a charge that is told alone, without what is at its default."""
    for field in fields(value):
        found = getattr(value, field.name)
        if field.name in UNSAID or found in (None, "", ()) or (is_whole and found == field.default):
            continue
        if field.name == "tiers":
            yield from _tiers(found, locale)
        elif is_dataclass(found):
            yield from _terms(found, "" if field.name == "terms" else f"{field.name} ", locale, is_whole)
        else:
            yield prefix + LABELS.get(field.name, field.name.replace("_", " ")), _text(found, locale)


def _tiers(tiers: tuple[Tier, ...], locale: Locale) -> Iterator[tuple[str, str]]:
    for tier in tiers:
        bound = "without end" if tier.up_to is None else f"up to {number_text(tier.up_to, locale)}"
        # Also a price of nothing: without one the tier would not be there.
        yield f"tier {bound}", number_text(tier.unit_price, locale)
        for name in ("percent", "flat_fee", "cap"):
            if getattr(tier, name):
                yield f"tier {bound}, {name.replace('_', ' ')}", number_text(getattr(tier, name), locale)


def _text(value: Any, locale: Locale) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal | int):
        return number_text(Decimal(value), locale)
    if isinstance(value, tuple):
        return ", ".join(" = ".join(map(str, pair)) for pair in value)
    return str(value)
