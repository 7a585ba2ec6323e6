"""Products, rate plans and offerings over HTTP."""

from __future__ import annotations

import pytest

from billing.models import Charge, Offering, RatePlan
from tests import catalogs, workspaces

from .conftest import Api

TIERS = [
    {"up_to": "1000", "unit_price": "0.010"},
    {"up_to": "10000", "unit_price": "0.008", "flat_fee": "1"},
    {"up_to": None, "unit_price": "0.0000025"},
]
BASE = {"code": "base", "name": "Base", "kind": "FEE", "model": "FLAT_RATE", "amount": "49.09"}
CALLS = {"code": "calls", "name": "Calls", "model": "GRADUATED", "meter": "api.call", "tiers": TIERS}
PLAN = {"product": "api", "code": "payg", "name": "Pay as you go", "charges": [BASE, CALLS]}


@pytest.fixture
def shop(api, acme) -> Api:
    """The client, with the product `api`."""
    assert api.post("/v1/products", {"code": "api", "name": "API"}).status_code == 201
    return api


def problem(answer) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json", answer.content
    return answer.status_code, answer.json()["code"]


def test_a_product_is_made_read_listed_and_renamed(shop):
    product = {"code": "api", "name": "API", "description": "", "tax_category": ""}
    assert shop.get("/v1/products/api").json() == product
    assert shop.patch("/v1/products/api", {"description": "All of it"}).json()["description"] == "All of it"
    assert [row["code"] for row in shop.get("/v1/products").json()["data"]] == ["api"]
    assert problem(shop.post("/v1/products", {"code": "api", "name": "x"})) == (409, "already_exists")
    for fields in (
        {},
        {"code": "a b", "name": "x"},
        {"code": "x", "name": ""},
        {"code": "x" * 65, "name": "x"},
        {"code": "x", "name": "x", "tax_category": "e books"},
    ):
        assert problem(shop.post("/v1/products", fields)) == (422, "input_invalid")
    assert problem(shop.patch("/v1/products/api", {"code": "other"})) == (422, "input_invalid")


def test_a_plan_is_made_with_its_draft_and_reads_as_it_was_written(shop):
    made = shop.post("/v1/rate-plans", PLAN)
    assert made.status_code == 201, made.content
    plan = made.json()

    assert (plan["code"], plan["product"], plan["currency"]) == ("payg", "api", "USD")
    (version,) = plan["versions"]
    assert (version["number"], version["status"], version["published_at"]) == (1, "DRAFT", None)
    base, calls = version["charges"]
    assert base == base | BASE
    assert base["meter"] is None
    assert calls["meter"] == "api.call"
    # Prices come back as they would be written, none padded to the column's 12 places.
    assert calls["tiers"] == [
        {"up_to": "1000", "unit_price": "0.01", "flat_fee": "0", "percent": "0", "cap": None},
        {"up_to": "10000", "unit_price": "0.008", "flat_fee": "1", "percent": "0", "cap": None},
        {"up_to": None, "unit_price": "0.0000025", "flat_fee": "0", "percent": "0", "cap": None},
    ]
    assert shop.get("/v1/rate-plans/payg").json() == plan
    assert shop.get("/v1/rate-plans").json()["data"] == [plan]
    assert shop.get("/v1/rate-plans", product="api").json()["data"] == [plan]
    assert shop.get("/v1/rate-plans", product="other").json()["data"] == []
    assert shop.get("/v1/rate-plans/payg/versions/1").json() == version


@pytest.mark.promise("P54")
def test_a_plan_is_published_changed_by_a_new_version_and_archived(shop):
    shop.post("/v1/rate-plans", PLAN)
    assert problem(shop.post("/v1/rate-plans/payg/versions", {})) == (409, "state_conflict")
    published = shop.post("/v1/rate-plans/payg/versions/1/publish")
    assert (published.status_code, published.json()["status"]) == (200, "PUBLISHED")
    assert problem(shop.put("/v1/rate-plans/payg/versions/1", {"charges": [BASE]})) == (409, "state_conflict")
    assert problem(shop.post("/v1/rate-plans/payg/versions/1/publish")) == (409, "state_conflict")

    draft = shop.post("/v1/rate-plans/payg/versions", {}).json()
    assert (draft["number"], draft["charges"]) == (2, published.json()["charges"])
    dearer = {**BASE, "amount": "59.09"}
    changed = shop.put("/v1/rate-plans/payg/versions/2", {"charges": [dearer], "proration": "second"}).json()
    assert ([charge["amount"] for charge in changed["charges"]], changed["proration"]) == (
        ["59.09"],
        "second",
    )
    assert problem(shop.post("/v1/rate-plans/payg/versions/2/archive")) == (409, "state_conflict")
    shop.post("/v1/rate-plans/payg/versions/2/publish")

    versions = shop.get("/v1/rate-plans/payg").json()["versions"]
    assert [(version["number"], version["charges"][0]["amount"]) for version in versions] == [
        (2, "59.09"),
        (1, "49.09"),
    ]
    assert shop.post("/v1/rate-plans/payg/versions/1/archive").json()["status"] == "ARCHIVED"
    given = shop.post("/v1/rate-plans/payg/versions", {"charges": [CALLS]}).json()
    assert [charge["code"] for charge in given["charges"]] == ["calls"]


@pytest.mark.parametrize(
    ("charge", "field"),
    [
        # Units above 10,000 would have no price: a gap.
        ({**CALLS, "tiers": TIERS[:2]}, "charges[0].tiers[1].up_to"),
        ({**CALLS, "tiers": [TIERS[1], TIERS[0], TIERS[2]]}, "charges[0].tiers[1].up_to"),
        ({**CALLS, "tiers": [TIERS[2], TIERS[0]]}, "charges[0].tiers[0].up_to"),
        ({**CALLS, "tiers": [{"up_to": None, "unit_price": "-0.01"}]}, "charges[0].tiers[0].unit_price"),
        ({**CALLS, "tiers": [{"unit_price": "0.01"}]}, "charges"),
        ({**CALLS, "tiers": []}, "charges[0].tiers"),
        ({**CALLS, "unit_price": "1"}, "charges[0].unit_price"),
        ({**CALLS, "model": "CHEAP"}, "charges"),
        ({**CALLS, "included_units": "many"}, "charges"),
        ({**CALLS, "included_units": "1e400"}, "charges"),
        ({**CALLS, "included_units": "NaN"}, "charges"),
        ({**CALLS, "unitprice": "1"}, "charges"),
        ({**CALLS, "dimension_filters": {"model": "gpt-4o"}}, "charges[0].dimension_filters"),
        ({**CALLS, "dimension_filters": ["model"]}, "charges"),
        ({**CALLS, "minimum_amount": "0.005"}, "charges"),
        ({**CALLS, "minimum_amount": "2", "maximum_amount": "1"}, "charges[0].minimum_amount"),
        ({**CALLS, "meter": None}, "charges[0].row"),
        ({**BASE, "amount": "-1"}, "charges[0].amount"),
        ({**BASE, "meter": "api.call"}, "charges[0].row"),
        ("x", "charges"),
    ],
)
def test_a_charge_that_cannot_be_priced_is_refused_by_name_and_nothing_is_kept(shop, charge, field):
    answer = shop.post("/v1/rate-plans", {**PLAN, "charges": [charge]})

    assert problem(answer) == (422, "input_invalid"), answer.json()
    errors = answer.json()["errors"]
    if charge == {**CALLS, "minimum_amount": "0.005"}:
        assert list(errors) == ["charges[0].minimum_amount"]
    else:
        assert list(errors) == [field], errors
    assert not RatePlan.objects.exists()


def test_what_a_plan_names_and_is_not_there_is_404(shop):
    assert problem(shop.post("/v1/rate-plans", {**PLAN, "product": "no"})) == (404, "not_found")
    charge = {**CALLS, "meter": "nobody.knows"}
    assert problem(shop.post("/v1/rate-plans", {**PLAN, "charges": [charge]})) == (404, "not_found")
    assert not RatePlan.objects.exists()
    for address in ("nothing", "nothing/versions/1"):
        assert problem(shop.get(f"/v1/rate-plans/{address}")) == (404, "not_found")
    shop.post("/v1/rate-plans", PLAN)
    assert problem(shop.get("/v1/rate-plans/payg/versions/2")) == (404, "not_found")
    assert problem(shop.get(f"/v1/rate-plans/payg/versions/{10**30}")) == (404, "not_found")
    assert problem(shop.post("/v1/rate-plans/payg/versions/2/publish")) == (404, "not_found")
    assert problem(shop.post("/v1/rate-plans", PLAN)) == (409, "already_exists")
    twice = {"charges": [BASE, BASE]}
    assert problem(shop.put("/v1/rate-plans/payg/versions/1", twice)) == (409, "already_exists")
    assert Charge.objects.count() == 2


def test_an_empty_plan_is_made_and_not_published(shop):
    assert shop.post("/v1/rate-plans", {**PLAN, "charges": []}).status_code == 201
    assert problem(shop.post("/v1/rate-plans/payg/versions/1/publish")) == (422, "input_invalid")


def test_publishing_is_sent_twice_under_one_key(shop):
    shop.post("/v1/rate-plans", PLAN)
    first = shop.post("/v1/rate-plans/payg/versions/1/publish", Idempotency_Key="p-1")
    again = shop.post("/v1/rate-plans/payg/versions/1/publish", Idempotency_Key="p-1")

    assert first.status_code == again.status_code == 200
    assert first.content == again.content


def test_an_offering_is_made_read_and_listed(shop):
    shop.post("/v1/rate-plans", PLAN)
    asked = {"code": "payg", "name": "PAYG", "plans": ["payg"], "billing_mode": "HYBRID"}
    made = shop.post("/v1/offerings", asked)
    assert made.status_code == 201
    assert made.json() == {
        **asked,
        "currency": "USD",
        "payment_terms_days": 30,
        "kind": "STANDALONE",
        "interval": "month",
        "alignment": "anniversary",
        "trial_days": 0,
        "setup_fee": "0.00",
    }
    assert shop.get("/v1/offerings/payg").json() == made.json()
    assert shop.get("/v1/offerings").json()["data"] == [made.json()]


def test_wrong_offerings_are_a_problem_each(shop):
    shop.post("/v1/rate-plans", PLAN)
    shop.post("/v1/rate-plans", {**PLAN, "code": "eu", "currency": "EUR", "charges": []})
    for fields, status, code in [
        ({"plans": []}, 422, "input_invalid"),
        ({"plans": "payg"}, 422, "input_invalid"),
        ({"plans": ["nothing"]}, 404, "not_found"),
        ({"plans": ["payg", "eu"]}, 422, "input_invalid"),
        ({"plans": ["payg"], "currency": "EUR"}, 422, "input_invalid"),
        ({"plans": ["payg"], "billing_mode": "FREE"}, 422, "input_invalid"),
        ({"plans": ["payg"], "payment_terms_days": -1}, 422, "input_invalid"),
        ({"plans": ["payg"], "kind": "PACK"}, 422, "input_invalid"),
        ({"plans": ["payg"], "interval": "week"}, 422, "input_invalid"),
        ({"plans": ["payg"], "trial_days": 3651}, 422, "input_invalid"),
        ({"plans": ["payg"], "setup_fee": "0.005"}, 422, "input_invalid"),
        ({"plans": ["payg"], "setup_fee": "-1"}, 422, "input_invalid"),
    ]:
        answer = shop.post("/v1/offerings", {"code": "x", "name": "X", **fields})
        assert problem(answer) == (status, code), fields
    assert not Offering.objects.exists()


def test_another_tenants_catalog_is_404(shop, other):
    catalogs.on_sale(other.tenant, "theirs")
    workspaces.meter(other.tenant, "theirs.call")

    for address in (
        "products/theirs",
        "rate-plans/theirs",
        "rate-plans/theirs/versions/1",
        "offerings/theirs",
    ):
        assert problem(shop.get(f"/v1/{address}")) == (404, "not_found")
        assert Api(other.key).get(f"/v1/{address}").status_code == 200
    for address, body in (
        ("rate-plans/theirs/versions", {}),
        ("rate-plans/theirs/versions/1/publish", None),
        ("rate-plans/theirs/versions/1/archive", None),
        ("rate-plans", {**PLAN, "product": "theirs"}),
        ("rate-plans", {**PLAN, "charges": [{**CALLS, "meter": "theirs.call"}]}),
        ("offerings", {"code": "x", "name": "X", "plans": ["theirs"]}),
    ):
        assert problem(shop.post(f"/v1/{address}", body)) == (404, "not_found"), address
    assert problem(shop.patch("/v1/products/theirs", {"name": "x"})) == (404, "not_found")
    body = {"charges": [BASE]}
    assert problem(shop.put("/v1/rate-plans/theirs/versions/1", body)) == (404, "not_found")
    for noun in ("products", "rate-plans", "offerings"):
        assert "theirs" not in [row["code"] for row in shop.get(f"/v1/{noun}").json()["data"]]


def test_a_reader_cannot_write_the_catalog(shop):
    reader = Api(shop.post("/v1/api-keys", {"name": "r", "scopes": ["read"]}).json()["secret"])
    shop.post("/v1/rate-plans", PLAN)

    assert reader.get("/v1/rate-plans/payg").status_code == 200
    for address in ("products", "rate-plans", "offerings", "rate-plans/payg/versions/1/publish"):
        assert problem(reader.post(f"/v1/{address}", {})) == (403, "scope_missing")
    assert problem(reader.put("/v1/rate-plans/payg/versions/1", {})) == (403, "scope_missing")


def test_a_version_is_compared_previewed_and_moved_to(shop, acme):
    catalogs.on_sale(acme.tenant)
    catalogs.subscribed(acme.tenant)
    first = shop.get("/v1/rate-plans/standard").json()["versions"][0]
    address = "/v1/rate-plans/standard/versions"
    assert [each["change"] for each in shop.get(f"{address}/1/diff").json()["charges"]] == ["ADDED"] * len(
        first["charges"]
    )
    fee = {"code": "base", "name": "Base", "kind": "FEE", "model": "FLAT_RATE", "amount": "12"}
    assert shop.post(address, {"charges": [fee]}).status_code == 201
    compared = shop.get(f"{address}/2/diff").json()
    assert (compared["number"], compared["against"]) == (2, 1)
    assert compared["charges"] == shop.get(f"{address}/2/diff", against=1).json()["charges"]
    assert problem(shop.get(f"{address}/2/diff", against=9)) == (404, "not_found")
    assert problem(shop.get(f"{address}/2/diff", against="x")) == (422, "input_invalid")

    preview = shop.post(f"{address}/1/migration-preview", {"to": 2, "period": "present"}).json()
    (effect,) = preview["effects"]
    assert (effect["customer"], effect["after"], preview["after"]) == ("cust_abc", "12.00", "12.00")
    move = {"to": 2, "effective": "period_end"}
    assert shop.post(f"{address}/1/migrate", move).json()["migrated"] == 0  # a draft
    assert shop.post(f"{address}/2/publish").status_code == 200
    assert shop.post(f"{address}/1/migrate", move).json() == {"migrated": 1, "refused": []}
    for wrong in (
        {},
        {"to": 2},
        {"to": 0, "effective": "now"},
        {**move, "effective": "soon"},
        {**move, "x": 1},
    ):
        assert problem(shop.post(f"{address}/1/migrate", wrong)) == (422, "input_invalid")
    missing = {**move, "subscriptions": ["nobody"]}
    assert problem(shop.post(f"{address}/1/migrate", missing)) == (404, "not_found")
