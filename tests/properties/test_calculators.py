"""A calculator answers whatever it is asked, and its answer adds up."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.errors import Problem
from billing.calculators.invoice import invoice
from billing.calculators.price import price
from billing.pricing import MODELS

numbers = st.one_of(
    st.decimals(-1000, 1000, allow_nan=False, places=3).map(str),
    st.sampled_from(["0", "-1", "1e28", "1e-28", "-0", "NaN", "Infinity", "", "12,5", None, 7]),
)
flags = st.sampled_from([None, True, False])


def rows(**fields) -> st.SearchStrategy[list[dict[str, object]]]:
    return st.lists(st.fixed_dictionaries({}, optional=fields), max_size=3)


ids = st.sampled_from(["a", "b", "c"])
scopes = st.lists(ids, max_size=2)
invoices = st.fixed_dictionaries(
    {
        "currency": st.sampled_from(["USD", "JPY", "KWD"]),
        "lines": st.lists(numbers, max_size=3).map(
            lambda amounts: [{"id": id, "amount": amount} for id, amount in zip("abc", amounts, strict=False)]
        ),
    },
    optional={
        "minimum": st.one_of(st.none(), st.fixed_dictionaries({"amount": numbers})),
        "maximum": st.one_of(st.none(), st.fixed_dictionaries({"amount": numbers})),
        "discounts": rows(percent=numbers, amount=numbers, lines=scopes),
        "taxes": rows(rate=numbers, lines=scopes),
        "tax_inclusive": flags,
        "wallet": rows(id=ids, balance=numbers),
        "rounding": st.sampled_from(["half_up", "half_even"]),
    },
)


@settings(max_examples=300, deadline=None)
@given(invoices)
def test_an_invoice_adds_up(request):
    try:
        answer = invoice(request)
    except Problem:
        return
    figures = {name: Decimal(text) for name, text in answer.items() if name != "lines"}
    if request.get("tax_inclusive"):
        figures["tax"] = Decimal(0)
    before = [figures["subtotal"], figures["commitment"], EXACT.minus(figures["discount"]), figures["tax"]]
    assert total(before) == figures["total"]
    assert total([figures["wallet"], figures["due"]]) == figures["total"]
    assert total(Decimal(line["amount"]) for line in answer["lines"]) == figures["subtotal"]


good = st.decimals(0, 1000, allow_nan=False, places=3).map(str)
# Mostly what a model knows, so that most requests are answered; now and then anything.
some = st.one_of(good, good, good, numbers)
bounds = st.sets(st.integers(1, 5000), max_size=3).map(lambda found: [*map(str, sorted(found)), None])
tiers = st.builds(
    lambda up_to, prices: [
        {"up_to": bound, "unit_price": price, "flat_fee": fee}
        for bound, (price, fee) in zip(up_to, prices, strict=False)
    ],
    bounds,
    st.lists(st.tuples(some, good), min_size=4, max_size=4),
)
steps = {
    "STAIRSTEP": st.builds(
        lambda up_to, fees: [
            {"up_to": bound, "flat_fee": fee} for bound, fee in zip(up_to, fees, strict=False)
        ],
        bounds,
        st.lists(some, min_size=4, max_size=4),
    ),
    "GRADUATED_PERCENTAGE": st.builds(
        lambda up_to, shares: [
            {"up_to": bound, "percent": percent, "cap": cap}
            for bound, (percent, cap) in zip(up_to, shares, strict=False)
        ],
        bounds,
        st.lists(st.tuples(some, st.one_of(st.none(), good)), min_size=4, max_size=4),
    ),
}
optional = {
    "PACKAGE": {"free_units": some},
    "DYNAMIC": {"multiplier": some},
    "PER_UNIT": {"included": some},
    "INCLUDED_QUOTA": {
        "included": some,
        "block_size": good,
        "rate_basis": st.sampled_from(["per_unit", "x"]),
    },
    "PERCENTAGE": {
        "fixed_fee": good,
        "minimum_fee": good,
        "free_amount": good,
        "free_transactions": st.integers(0, 3),
        "min_per_transaction": good,
    },
}


@st.composite
def prices(draw) -> dict[str, object]:
    model = draw(st.sampled_from([*MODELS, "BARTER"]))
    needs = MODELS[model].NEEDS if model in MODELS else ()
    needed = {name: steps.get(model, tiers) if name == "tiers" else some for name in needs}
    request = {
        "model": model,
        "currency": draw(st.sampled_from(["USD", "JPY", "KWD"])),
        "terms": draw(st.fixed_dictionaries(needed, optional=optional.get(model, {}))),
        "quantity": draw(some),
    }
    extras = {
        "transactions": st.lists(some, max_size=4),
        "minimum": good,
        "maximum": some,
        "already_billed": st.fixed_dictionaries({"quantity": good, "amount": some}),
        "conversion": st.fixed_dictionaries(
            {"operation": st.sampled_from(["multiply", "divide"]), "factor": some},
            optional={"rounding": st.sampled_from(["up", "down", "half_up"]), "places": st.integers(-3, 3)},
        ),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(extras)), max_size=2))
    return {**request, **{name: draw(extras[name]) for name in sorted(chosen)}}


@settings(max_examples=300, deadline=None)
@given(prices())
def test_a_price_adds_up(request):
    try:
        answer = price(request)
    except Problem:
        return
    billed = Decimal((request.get("already_billed") or {}).get("amount") or 0)
    parts = [Decimal(answer[name]) for name in ("gross", "true_up", "capped")]
    assert total([parts[0], parts[1], EXACT.minus(parts[2]), EXACT.minus(billed)]) == Decimal(
        answer["unrounded"]
    )
    assert total(Decimal(row["amount"]) for row in answer["breakdown"]) == parts[0]


@settings(max_examples=200, deadline=None)
@given(prices(), good, good)
def test_what_is_billed_in_two_steps_is_billed_once(request, first, second):
    # PERCENTAGE rates transactions, and two of them have other fees and bounds than one.
    assume(request["model"] != "PERCENTAGE")
    asked = {name: request[name] for name in ("model", "currency", "terms")}
    try:
        before = price({**asked, "quantity": first})
        billed = {"quantity": first, "amount": before["unrounded"]}
        after = price({**asked, "quantity": second, "already_billed": billed})
        whole = price({**asked, "quantity": str(Decimal(first) + Decimal(second))})
    except Problem:
        return
    parts = [Decimal(before["unrounded"]), Decimal(after["unrounded"])]
    assert total(parts) == Decimal(whole["unrounded"])
