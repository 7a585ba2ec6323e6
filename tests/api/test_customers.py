"""Customers over HTTP."""

from tests.workspaces import customer

from .conftest import Api

ABC = {
    "external_id": "cust_new",
    "name": "New Ltd",
    "email": "billing@new.example",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "tax_jurisdiction": "DE",
    "is_tax_exempt": True,
    "parent": "cust_abc",
}


def test_a_customer_is_made_read_listed_and_changed(api, acme):
    made = api.post("/v1/customers", ABC)
    assert made.status_code == 201
    assert made.json() | ABC == made.json()

    assert api.get("/v1/customers/cust_new").json() == made.json()
    assert [row["external_id"] for row in api.get("/v1/customers").json()["data"]] == ["cust_abc", "cust_new"]

    changed = api.patch("/v1/customers/cust_new", {"name": "Newer", "parent": None})
    assert changed.json() == {**made.json(), "name": "Newer", "parent": None}


def test_the_least_customer_takes_the_tenants_zone_and_currency(api, acme):
    made = api.post("/v1/customers", {"external_id": "cust_new"}).json()

    assert (made["name"], made["currency"], made["timezone"], made["parent"]) == (
        "cust_new",
        "USD",
        "UTC",
        None,
    )


def test_an_external_id_with_a_slash_has_an_address(api, acme):
    api.post("/v1/customers", {"external_id": "eu/berlin/7"})

    assert api.get("/v1/customers/eu/berlin/7").json()["external_id"] == "eu/berlin/7"


def test_lists_are_filtered_and_paged(api, acme):
    for number in range(5):
        customer(acme.tenant, f"cust_{number}", parent=acme.customer, currency="EUR")

    def ids(**query):
        return [row["external_id"] for row in api.get("/v1/customers", **query).json()["data"]]

    assert len(ids(parent="cust_abc")) == 5
    assert ids(parent="cust_1") == []
    assert ids(currency="USD") == ["cust_abc"]
    seen, page = [], api.get("/v1/customers", limit=2).json()
    seen += page["data"]
    while page["next"]:
        page = api.get(page["next"]).json()
        seen += page["data"]
    assert [row["external_id"] for row in seen] == ["cust_abc", *(f"cust_{number}" for number in range(5))]


def test_wrong_customers_are_a_problem_each(api, acme):
    for fields, status, code in [
        ({}, 422, "input_invalid"),
        ({"external_id": ""}, 422, "input_invalid"),
        ({"external_id": "cust_abc"}, 409, "already_exists"),
        ({"external_id": "a", "curency": "EUR"}, 422, "input_invalid"),
        ({"external_id": "a", "currency": "EURO"}, 422, "input_invalid"),
        ({"external_id": "a", "timezone": "Mars"}, 422, "input_invalid"),
        ({"external_id": "a", "timezone": 5}, 422, "input_invalid"),
        ({"external_id": "a", "email": "x"}, 422, "input_invalid"),
        ({"external_id": "a", "parent": "nobody"}, 404, "not_found"),
        ({"external_id": "a", "is_tax_exempt": "perhaps"}, 422, "input_invalid"),
        ([], 422, "input_invalid"),
        (b"{", 400, "body_unreadable"),
    ]:
        answer = api.post("/v1/customers", fields)
        assert (answer.status_code, answer.json()["code"]) == (status, code), fields
        assert answer["Content-Type"] == "application/problem+json"
    assert len(api.get("/v1/customers").json()["data"]) == 1


def test_a_ring_of_parents_is_refused(api, acme):
    api.post("/v1/customers", {"external_id": "below", "parent": "cust_abc"})

    answer = api.patch("/v1/customers/cust_abc", {"parent": "below"})

    assert (answer.status_code, answer.json()["code"]) == (409, "state_conflict")


def test_an_unknown_filter_is_refused(api, acme):
    assert api.get("/v1/customers", curency="EUR").status_code == 422
    assert api.get("/v1/customers", limit=0).status_code == 422
    assert api.get("/v1/customers", limit=201).status_code == 422


def test_another_tenants_customer_is_404(api, acme, other):
    customer(other.tenant, "theirs")

    assert api.get("/v1/customers/theirs").status_code == 404
    assert api.patch("/v1/customers/theirs", {"name": "x"}).status_code == 404
    assert api.post("/v1/customers", {"external_id": "a", "parent": "theirs"}).status_code == 404
    assert [row["external_id"] for row in api.get("/v1/customers").json()["data"]] == ["cust_abc"]
    assert api.get("/v1/customers", parent="theirs").json()["data"] == []
    assert Api(other.key).get("/v1/customers/theirs").status_code == 200


def test_reading_needs_read_and_writing_write(api, acme):
    reader = Api(api.post("/v1/api-keys", {"name": "r", "scopes": ["read"]}).json()["secret"])
    sender = Api(api.post("/v1/api-keys", {"name": "s", "scopes": ["ingest"]}).json()["secret"])

    assert reader.get("/v1/customers").status_code == 200
    assert reader.post("/v1/customers", {"external_id": "a"}).json()["code"] == "scope_missing"
    assert reader.patch("/v1/customers/cust_abc", {"name": "a"}).status_code == 403
    assert sender.get("/v1/customers").status_code == 403
    assert Api(None).get("/v1/customers").status_code == 401


def test_a_vat_number_is_checked_and_confirmed(api, acme):
    seen = api.post(
        "/v1/customers", {"external_id": "fr", "country": "FR", "vat_number": "40 303 265 045"}
    ).json()
    assert (seen["vat_number"], seen["vat_status"]) == ("FR40303265045", "format_checked")
    seen = api.patch("/v1/customers/fr", {"vat_confirmed_on": "2026-03-01"}).json()
    assert (seen["vat_confirmed_on"], seen["vat_status"]) == ("2026-03-01", "confirmed")
    # What was confirmed was the other number.
    seen = api.patch("/v1/customers/fr", {"vat_number": "FR83404833048"}).json()
    assert (seen["vat_confirmed_on"], seen["vat_status"]) == (None, "format_checked")
    assert api.patch("/v1/customers/fr", {"vat_number": ""}).json()["vat_status"] is None
    us = api.post("/v1/customers", {"external_id": "us", "country": "US", "vat_number": "12-3456789"}).json()
    assert us["vat_status"] == "unchecked"
    assert [row["external_id"] for row in api.get("/v1/customers", country="US").json()["data"]] == ["us"]


def test_a_wrong_vat_number_is_refused_with_a_sentence(api, acme):
    def refused(**fields):
        answer = api.post("/v1/customers", {"external_id": "x", **fields})
        assert answer.status_code == 422, answer.content
        return answer.json()["errors"]

    wrong = "'FR40303265046' is no VAT number of FR; check its digits and the country."
    assert refused(country="FR", vat_number="FR40303265046") == {"vat_number": [wrong]}
    assert list(refused(vat_number="FR40303265045")) == ["vat_number"]
    assert list(refused(country="EL")) == ["country"]
    assert list(refused(country="FR", vat_confirmed_on="2026-03-01")) == ["vat_confirmed_on"]
