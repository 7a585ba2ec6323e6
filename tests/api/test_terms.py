"""Contracts, coupons, tax rates, wallets and the billing profile over HTTP."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest

from billing.services.contracts import contract_create
from billing.services.coupons import coupon_create
from billing.services.tax import tax_rate_create
from billing.services.wallets import wallet_open
from tests import catalogs, workspaces

from .conftest import Api

CONTRACT = {
    "code": "acme-2026",
    "subscription": "sub-1",
    "starts_on": "2026-01-01",
    "ends_on": "2027-01-01",
    "minimum_amount": "100",
    "discount_percent": "12.5",
    "payment_terms_days": 60,
}
COUPON = {"code": "welcome", "name": "Welcome", "kind": "PERCENTAGE", "percent": "5"}
RATE = {"jurisdiction": "US-NY", "name": "Sales tax", "percent": "8.875", "starts_on": "2026-01-01"}


@pytest.fixture
def shop(api, acme) -> Api:
    """The client, with the subscription sub-1 of cust_abc."""
    catalogs.on_sale(acme.tenant)
    catalogs.subscribed(acme.tenant)
    return api


def problem(answer) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json", answer.content
    return answer.status_code, answer.json()["code"]


def refused(shop, address, body, wrong: list[dict], status=422, code="input_invalid") -> None:
    for fields in wrong:
        answer = shop.post(address, {**body, **fields})
        assert problem(answer) == (status, code), (fields, answer.json())


# Contracts.


def test_a_contract_is_made_read_and_listed(shop):
    made = shop.post("/v1/contracts", CONTRACT)
    assert made.status_code == 201, made.content
    assert made.json() == {
        **CONTRACT,
        "customer": "cust_abc",
        "currency": "USD",
        "minimum_amount": "100.00",
        "maximum_amount": None,
        "renewal_months": None,
        "notice_days": 0,
        "terminated_at": None,
        **{name: [] for name in ("commitments", "discounts", "prices", "trials", "renewals")},
        "warnings": [
            "Up to 12.5 % off can bring what is paid to 87.50 USD, below the minimum of 100.00: a minimum is of what is used, "
            "before discounts."
        ],
    }
    assert shop.get("/v1/contracts/acme-2026").json() == made.json()
    assert shop.get("/v1/contracts", subscription="sub-1").json()["data"] == [made.json()]
    assert shop.get("/v1/contracts", subscription="sub-2").json()["data"] == []


def test_a_contract_has_its_rows_as_they_were_agreed(shop):
    rows = {
        "commitments": [
            {
                "kind": "MINIMUM",
                "amount": "100000.00",
                "product": "standard",
                "meter": None,
                "period": "year",
                "true_up": "quarter",
            },
            {
                "kind": "MAXIMUM",
                "amount": "50000.00",
                "product": None,
                "meter": "api.call",
                "period": "quarter",
                "true_up": "",
            },
        ],
        "discounts": [
            {
                "percent": "10",
                "threshold": "500000",
                "threshold_meter": "api.call",
                "product": None,
                "meter": "api.call",
            }
        ],
        "prices": [{"charge": "calls", "model": "PER_UNIT", "terms": {"unit_price": "0.004"}}],
        "trials": [{"product": "standard", "days": 90}],
    }
    made = shop.post("/v1/contracts", {**CONTRACT, **rows, "renewal_months": 12, "notice_days": 30})
    assert made.status_code == 201, made.content
    assert made.json() == {**made.json(), **rows}
    listed = shop.get("/v1/contracts").json()["data"]
    assert listed == [made.json()]


def test_wrong_rows_are_told_at_their_place(shop):
    body = {**CONTRACT, "commitments": [{"amount": "1", "period": "month", "true_up": "year"}]}
    answer = shop.post("/v1/contracts", body).json()
    assert answer["errors"] == {
        "commitments[0].true_up": ["is a year, which is longer than the period, a month."]
    }


def test_a_contract_is_terminated(shop):
    shop.post("/v1/contracts", {**CONTRACT, "ends_on": None})
    assert problem(shop.post("/v1/contracts/acme-2026/terminate", {})) == (422, "input_invalid")
    ended = shop.post("/v1/contracts/acme-2026/terminate", {"ends_on": "2030-01-01"})
    assert (ended.status_code, ended.json()["ends_on"]) == (200, "2030-01-01")
    assert problem(shop.post("/v1/contracts/acme-2027/terminate", {})) == (404, "not_found")


def test_wrong_contracts_are_a_problem_each(shop):
    wrong = [
        {"currency": "EUR"},
        {"minimum_amount": "-1"},
        {"minimum_amount": "1", "maximum_amount": "0.5"},
        {"minimum_amount": "0.001"},
        {"discount_percent": "101"},
        {"ends_on": "2026-01-01"},
        {"ends_on": "10000-01-01"},
        {"starts_on": "0001-01-01"},
        {"payment_terms_days": 2.5},
        {"minimum": "5"},
    ]
    refused(shop, "/v1/contracts", CONTRACT, wrong)
    refused(shop, "/v1/contracts", CONTRACT, [{"subscription": "sub-2"}], 404, "not_found")
    shop.post("/v1/contracts", CONTRACT)
    refused(shop, "/v1/contracts", CONTRACT, [{}], 409, "already_exists")
    # Terms of one subscription do not overlap.
    refused(shop, "/v1/contracts", CONTRACT, [{"code": "second", "starts_on": "2026-12-31", "ends_on": None}])


# Coupons.


def test_a_coupon_is_made_read_listed_and_attached(shop):
    made = shop.post("/v1/coupons", COUPON)
    assert made.status_code == 201, made.content
    assert made.json() == made.json() | {**COUPON, "duration": "FOREVER", "redemption_count": 0}
    first = shop.post("/v1/coupons/welcome/attach", {"subscription": "sub-1"})
    assert first.json() == first.json() | {"coupon": "welcome", "subscription": "sub-1"}
    assert shop.post("/v1/coupons/welcome/attach", {"subscription": "sub-1"}).json() == first.json()

    assert shop.get("/v1/coupons/welcome").json() == {**made.json(), "redemption_count": 1}
    assert [row["code"] for row in shop.get("/v1/coupons").json()["data"]] == ["welcome"]
    assert shop.get("/v1/subscriptions/sub-1").json()["coupons"] == ["welcome"]


def test_a_fixed_amount_reads_in_its_currencys_places(shop):
    yen = {"code": "yen", "name": "Yen", "kind": "FIXED_AMOUNT", "amount": "500", "currency": "JPY"}
    assert shop.post("/v1/coupons", yen).json()["amount"] == "500"
    attached = shop.post("/v1/coupons/yen/attach", {"subscription": "sub-1"})
    assert problem(attached) == (422, "input_invalid")


def test_wrong_coupons_are_a_problem_each(shop):
    wrong = [
        {"percent": "0"},
        {"percent": "100.5"},
        {"percent": None},
        {"kind": "FIXED_AMOUNT"},
        {"kind": "FIXED_AMOUNT", "percent": None, "amount": "0.001"},
        {"duration": "REPEATING"},
        {"duration": "ONCE", "duration_periods": 2},
        {"redemptions_max": -1},
        {"currency": "EURO"},
        {"code": "a/b"},
    ]
    refused(shop, "/v1/coupons", COUPON, wrong)
    shop.post("/v1/coupons", {**COUPON, "redemptions_max": 0})
    refused(shop, "/v1/coupons", COUPON, [{}], 409, "already_exists")
    attach = "/v1/coupons/welcome/attach"
    assert problem(shop.post(attach, {"subscription": "sub-1"})) == (409, "state_conflict")
    assert problem(shop.post(attach, {"subscription": "sub-9"})) == (404, "not_found")
    assert problem(shop.post(attach, {})) == (422, "input_invalid")


# The tax table.


def test_a_tax_rate_is_made_read_listed_and_ended(shop):
    made = shop.post("/v1/tax-rates", RATE)
    assert made.status_code == 201, made.content
    rate = made.json()
    rest = {"is_inclusive": False, "position": 1, "is_compound": False, "tax_category": "", "ends_on": None}
    assert rate == {**RATE, **rest, "id": rate["id"]}
    assert shop.get(f"/v1/tax-rates/{rate['id']}").json() == rate
    assert shop.get("/v1/tax-rates", jurisdiction="US-NY").json()["data"] == [rate]
    assert shop.get("/v1/tax-rates", jurisdiction="DE").json()["data"] == []

    overlapping = {**RATE, "percent": "9", "starts_on": "2026-07-01"}
    assert problem(shop.post("/v1/tax-rates", overlapping)) == (422, "input_invalid")
    ended = shop.post(f"/v1/tax-rates/{rate['id']}/end", {"ends_on": "2026-07-01"})
    assert ended.json() == {**rate, "ends_on": "2026-07-01"}
    assert shop.post("/v1/tax-rates", overlapping).status_code == 201


def test_wrong_tax_rates_are_a_problem_each(shop):
    wrong = [
        {"percent": "-1"},
        {"percent": "101"},
        {"percent": "much"},
        {"jurisdiction": ""},
        {"ends_on": "2025-01-01"},
        {"starts_on": "2026-02-30"},
        {"name": "x" * 101},
    ]
    refused(shop, "/v1/tax-rates", RATE, wrong)
    rate = shop.post("/v1/tax-rates", RATE).json()
    assert problem(shop.post(f"/v1/tax-rates/{rate['id']}/end", {"ends_on": "2026-01-01"}))[0] == 422


def test_a_certificate_is_made_read_listed_and_ended(shop):
    asked = {"customer": "cust_abc", "number": "ST-1", "reason": "resale", "starts_on": "2026-01-01"}
    made = shop.post("/v1/tax-exemptions", asked)
    assert made.status_code == 201, made.content
    certificate = made.json()
    rest = {"jurisdiction": "", "document_reference": "", "ends_on": None}
    assert certificate == {**asked, **rest, "id": certificate["id"]}
    assert shop.get(f"/v1/tax-exemptions/{certificate['id']}").json() == certificate
    assert shop.get("/v1/tax-exemptions", customer="cust_abc").json()["data"] == [certificate]
    assert shop.get("/v1/tax-exemptions", customer="cust_x").json()["data"] == []
    assert shop.get("/v1/tax-exemptions", jurisdiction="DE").json()["data"] == []

    # One a jurisdiction and day; another jurisdiction's stands beside it.
    wrong = [{}, {"ends_on": "2025-01-01"}, {"number": ""}, {"reason": ""}, {"starts_on": None}, {"x": 1}]
    refused(shop, "/v1/tax-exemptions", asked, wrong)
    refused(shop, "/v1/tax-exemptions", asked, [{"customer": "nobody"}], 404, "not_found")
    assert shop.post("/v1/tax-exemptions", {**asked, "jurisdiction": "US"}).status_code == 201
    end = f"/v1/tax-exemptions/{certificate['id']}/end"
    assert shop.post(end, {"ends_on": "2026-07-01"}).json() == {**certificate, "ends_on": "2026-07-01"}
    assert problem(shop.post(end, {"ends_on": "2026-01-01"})) == (422, "input_invalid")


# Wallets.


def test_a_wallet_is_opened_filled_and_read(shop):
    opened = shop.post("/v1/wallets", {"customer": "cust_abc"})
    assert opened.status_code == 200
    wallet = opened.json()
    assert wallet == {"id": wallet["id"], "customer": "cust_abc", "currency": "USD"}
    assert shop.post("/v1/wallets", {"customer": "cust_abc", "currency": "USD"}).json() == wallet
    assert shop.get("/v1/wallets", customer="cust_abc", currency="USD").json()["data"] == [wallet]
    assert shop.get("/v1/wallets", currency="EUR").json()["data"] == []

    cash = shop.post(f"/v1/wallets/{wallet['id']}/grants", {"amount": "50"})
    assert (cash.status_code, cash.json()["amount"], cash.json()["kind"]) == (201, "50.00", "CASH")
    promotion = {"amount": "20.5", "kind": "PROMO", "expires_at": "2999-01-01T00:00:00Z"}
    promo = shop.post(f"/v1/wallets/{wallet['id']}/grants", promotion)
    later = {"amount": "7", "starts_at": "2998-01-01T00:00:00Z"}
    shop.post(f"/v1/wallets/{wallet['id']}/grants", later)

    read = shop.get(f"/v1/wallets/{wallet['id']}").json()
    figures = {"balance": "70.50", "held": "0.00", "available": "70.50"}
    assert read == {**wallet, **figures, "grants": read["grants"]}
    assert [each["left"] for each in read["grants"]] == ["20.50", "50.00", "0.00"]
    assert read["grants"][0] == {**promo.json(), "left": "20.50", "held": "0.00"}


def test_a_grant_is_sent_twice_under_one_key(shop):
    wallet = shop.post("/v1/wallets", {"customer": "cust_abc"}).json()["id"]
    grants = f"/v1/wallets/{wallet}/grants"
    first = shop.post(grants, {"amount": "50"}, Idempotency_Key="g-1")
    again = shop.post(grants, {"amount": "50"}, Idempotency_Key="g-1")

    assert first.content == again.content
    assert problem(shop.post(grants, {"amount": "51"}, Idempotency_Key="g-1")) == (409, "idempotency_reused")
    assert shop.get(f"/v1/wallets/{wallet}").json()["balance"] == "50.00"


def test_wrong_wallets_and_grants_are_a_problem_each(shop):
    assert problem(shop.post("/v1/wallets", {"customer": "nobody"})) == (404, "not_found")
    refused(shop, "/v1/wallets", {"customer": "cust_abc"}, [{"currency": "USDT"}, {"currency": ""}])
    wallet = shop.post("/v1/wallets", {"customer": "cust_abc"}).json()["id"]
    wrong = [
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "0.001"},
        {"amount": "0.00001"},
        {"amount": "Infinity"},
        {"amount": None},
        {"kind": "LOAN"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"currency": "EUR"},
    ]
    refused(shop, f"/v1/wallets/{wallet}/grants", {"amount": "5"}, wrong)
    assert shop.get(f"/v1/wallets/{wallet}").json()["grants"] == []


# The billing profile.


def test_the_billing_profile_is_read_and_changed(shop):
    before = shop.get("/v1/billing-profile").json()
    assert (before["number_prefix"], before["rounding"]) == ("INV", "half_up")
    after = shop.patch("/v1/billing-profile", {"rounding": "half_even"}).json()
    assert after == {**before, "rounding": "half_even"} == shop.get("/v1/billing-profile").json()
    for fields in (
        {"rounding": "down"},
        {"number_prefix": ""},
        {"legal_name": "x" * 201},
        {"prefix": "x"},
        {"country": "EU"},
        {"vat_number": "DE136695976"},
        {"country": "DE", "vat_number": "DE136695977"},
    ):
        assert problem(shop.patch("/v1/billing-profile", fields)) == (422, "input_invalid")
    seller = {"country": "DE", "vat_number": "DE 136 695 976"}
    assert shop.patch("/v1/billing-profile", seller).json()["vat_number"] == "DE136695976"


# Another tenant's.


def test_what_is_another_tenants_is_404(shop, other):
    catalogs.on_sale(other.tenant)
    catalogs.subscribed(other.tenant, "theirs")
    workspaces.customer(other.tenant, "cust_theirs")
    contract_create(tenant=other.tenant, code="theirs", subscription="theirs", starts_on=date(2026, 1, 1))
    coupon_create(tenant=other.tenant, code="theirs", name="x", kind="PERCENTAGE", percent="5")
    rate = tax_rate_create(
        tenant=other.tenant, jurisdiction="DE", name="VAT", percent="19", starts_on=date(2026, 1, 1)
    )
    wallet = wallet_open(tenant=other.tenant, customer="cust_abc")
    shop.post("/v1/coupons", COUPON)

    for address in (
        "contracts/theirs",
        "coupons/theirs",
        f"tax-rates/{rate.pk}",
        f"wallets/{wallet.pk}",
        f"tax-rates/{uuid4()}",
    ):
        assert problem(shop.get(f"/v1/{address}")) == (404, "not_found"), address
    for address in ("contracts/theirs", "coupons/theirs", f"tax-rates/{rate.pk}", f"wallets/{wallet.pk}"):
        assert Api(other.key).get(f"/v1/{address}").status_code == 200
    for address, body in (
        ("contracts", {**CONTRACT, "subscription": "theirs"}),
        ("coupons/theirs/attach", {"subscription": "sub-1"}),
        ("coupons/welcome/attach", {"subscription": "theirs"}),
        (f"tax-rates/{rate.pk}/end", {"ends_on": "2027-01-01"}),
        ("wallets", {"customer": "cust_theirs"}),
        (f"wallets/{wallet.pk}/grants", {"amount": "5"}),
    ):
        assert problem(shop.post(f"/v1/{address}", body)) == (404, "not_found"), address
    for noun in ("contracts", "tax-rates", "wallets"):
        assert shop.get(f"/v1/{noun}").json()["data"] == []


def test_a_reader_cannot_write_terms(shop):
    reader = Api(shop.post("/v1/api-keys", {"name": "r", "scopes": ["read"]}).json()["secret"])
    for noun in ("contracts", "coupons", "tax-rates", "wallets"):
        assert reader.get(f"/v1/{noun}").status_code == 200
        assert problem(reader.post(f"/v1/{noun}", {})) == (403, "scope_missing")
    assert problem(reader.patch("/v1/billing-profile", {})) == (403, "scope_missing")
