"""Every endpoint is described, and shows one provider nothing of another's.

The list of endpoints is the API's own description; a new one fails here until `World` makes a thing at its address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator

from aforo.kernel.clock import clock_at
from billing.services.bill_runs import bill_run_work
from entitlements.edge.central import central_store
from entitlements.records import CustomerRecord, FeatureRecord
from entitlements.services.margin_guard import margins_evaluate
from metering.writer import Writer
from tests.api.conftest import Api
from tests.workspaces import workspace

# Stands in the name of everything that the first provider makes.
MARK = "zq7k"
MAY = datetime(2026, 5, 10, 12, tzinfo=UTC)
METHODS = ("get", "post", "put", "patch", "delete")


def description() -> dict[str, dict[str, Any]]:
    """Address -> method -> operation, of all that stands under /v1/."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return {path: {m: what[m] for m in METHODS if m in what} for path, what in paths.items()}


DESCRIPTION = description()
# Asked for with a signature and no key, so that nobody has a key of another provider there.
SIGNED = {"/v1/ingest/webhook/{public_id}"}
NAMED = sorted(path for path in DESCRIPTION if "{" in path and path not in SIGNED)
UNNAMED = sorted(path for path in DESCRIPTION if "{" not in path)


def test_every_address_is_described() -> None:
    served = set()
    for pattern in get_resolver().url_patterns:
        if str(pattern.pattern) == "v1/":
            served |= {f"/v1/{_template(str(inner.pattern))}" for inner in pattern.url_patterns}
    assert served == set(DESCRIPTION)


def _template(route: str) -> str:
    """rate-plans/<str:code>/publish as rate-plans/{code}/publish."""
    return "/".join(
        "{" + part[1:-1].partition(":")[2] + "}" if part.startswith("<") else part
        for part in route.split("/")
    )


def test_every_operation_says_what_it_does_and_how_it_is_refused() -> None:
    for path, operations in DESCRIPTION.items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation.get("summary"), where
            refusals = [status for status in operation["responses"] if status.startswith("4")]
            assert "401" in refusals, where
            if path in NAMED:
                assert "404" in refusals, where


class World:
    """One provider with one of everything, made over HTTP in May 2026, and the addresses of it."""

    def __init__(self) -> None:
        self.owner = workspace("owner")
        self.api = Api(self.owner.key)
        self.stranger = Api(workspace("stranger").key)
        self.names: dict[str, dict[str, str]] = {}
        with clock_at(datetime(2026, 3, 1, 9, tzinfo=UTC)):
            self._catalog()
        with clock_at(MAY):
            self._site()
            self._usage()
            self._money()

    def made(self, address: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
        answer = self.api.post(address, body)
        assert answer.status_code == status, (address, answer.content)
        return answer.json()

    def _catalog(self) -> None:
        self.made("/v1/customers", {"external_id": MARK, "name": MARK})
        self.made("/v1/meters", {"key": MARK, "name": MARK, "aggregation": "SUM"})
        key = self.made("/v1/api-keys", {"name": MARK})
        self.made("/v1/products", {"code": MARK, "name": MARK})
        charge = {"code": "calls", "name": MARK, "model": "PER_UNIT", "meter": MARK, "unit_price": "1"}
        self.made("/v1/rate-plans", {"product": MARK, "code": MARK, "name": MARK, "charges": [charge]})
        self.made(f"/v1/rate-plans/{MARK}/versions/1/publish", {}, 200)
        self.made("/v1/offerings", {"code": MARK, "name": MARK, "plans": [MARK]})
        subscription = {"code": MARK, "customer": MARK, "offering": MARK, "starts_on": "2026-03-01"}
        self.made("/v1/subscriptions", subscription)
        contract = {"code": MARK, "subscription": MARK, "starts_on": "2026-03-01", "minimum_amount": "1.00"}
        self.made("/v1/contracts", contract)
        self.made("/v1/coupons", {"code": MARK, "name": MARK, "kind": "PERCENTAGE", "percent": "5"})
        rate = {"jurisdiction": MARK, "name": MARK, "percent": "10", "starts_on": "2026-01-01"}
        tax_rate = self.made("/v1/tax-rates", rate)
        exemption = {"customer": MARK, "number": MARK, "reason": "resale", "starts_on": "2030-01-01"}
        tax_exemption = self.made("/v1/tax-exemptions", exemption)
        wallet = self.made("/v1/wallets", {"customer": MARK, "currency": "USD"}, 200)
        grant = self.made(f"/v1/wallets/{wallet['id']}/grants", {"amount": "5.00"})
        of_wallet = f"/v1/wallets/{wallet['id']}"
        hold = self.made(f"{of_wallet}/holds", {"amount": "1.00", "reference": MARK})
        top_up = self.made(f"{of_wallet}/top-ups", {"amount": "1.00"})
        self.api.put(f"{of_wallet}/top-up-rule", {"threshold": "1.00", "amount": "1.00"})
        recurring = self.made(f"{of_wallet}/recurring-grants", {"amount": "1.00", "starts_on": "2027-01-01"})
        rate = {"meter": MARK, "unit_cost": "0.001", "starts_at": "2026-01-01T00:00:00Z"}
        cost_rate = self.made("/v1/cost-rates", rate)
        self.made("/v1/margin-policies", {"code": MARK, "name": MARK})
        cost = {"customer": MARK, "on": "2026-03-01", "amount": "1", "source": MARK, "external_key": MARK}
        self.made("/v1/imported-costs", {"costs": [cost]}, 200)
        margins_evaluate(tenant=self.owner.tenant)
        self.made("/v1/features", {"code": MARK, "name": MARK, "kind": "METERED", "meter": MARK})
        entitlement = {"feature": MARK, "layer": "CUSTOMER", "owner": MARK, "limit": "10"}
        entitled = self.made("/v1/entitlements", entitlement)
        units = self.made("/v1/grants", {"customer": MARK, "feature": MARK, "amount": "5"})
        self.names |= {
            "features": {"code": MARK},
            "entitlements": {"entitlement_id": entitled["id"]},
            "grants": {"grant_id": units["id"]},
            "cost-rates": {"rate_id": cost_rate["id"]},
            "margin-policies": {"code": MARK},
            "margins": {"external_id": MARK},
            "customers": {"external_id": MARK},
            "meters": {"key": MARK},
            "api-keys": {"key_id": key["id"]},
            "products": {"code": MARK},
            "rate-plans": {"code": MARK, "number": "1"},
            "offerings": {"code": MARK},
            "subscriptions": {"code": MARK},
            "contracts": {"code": MARK},
            "coupons": {"code": MARK},
            "tax-rates": {"rate_id": tax_rate["id"]},
            "tax-exemptions": {"exemption_id": tax_exemption["id"]},
            "wallets": {
                "wallet_id": wallet["id"],
                "grant_id": grant["id"],
                "hold_id": hold["id"],
                "top_up_id": top_up["id"],
                "recurring_id": recurring["id"],
            },
        }

    def _site(self) -> None:
        tenant = "owner/live"
        record = {"tenant": tenant, "customer": MARK, "version": 1, "as_of_ms": 0}
        feature = FeatureRecord(**record, feature=MARK, kind="metered")
        central_store().apply([CustomerRecord(**record), feature])
        asked = self.made("/v1/canAccess", {"tenantId": MARK, "featureKey": MARK, "reserve": True}, 200)
        self.names["reservations"] = {"reservation_id": asked["reservation"]["id"]}

    def _usage(self) -> None:
        event = {
            "id": MARK,
            "metric": MARK,
            "customer_id": MARK,
            "quantity": 5,
            "time": "2026-04-20T00:00:00Z",
        }
        self.made("/v1/events", event, 202)
        self.made("/v1/events", {**event, "id": f"{MARK}-2", "metric": f"{MARK}.unknown"}, 422)
        Writer(0).drain()
        (letter,) = self.api.get("/v1/dead-letters").json()["data"]
        run = self.made("/v1/dead-letter-runs", {"action": "REPLAY", "metric": f"{MARK}.unknown"}, 202)
        amended = self.made(f"/v1/events/{MARK}/amend", {"quantity": 6, "reason": MARK})
        source = self.made("/v1/webhook-sources", {"name": MARK})
        file = b"customer_id,metric\n"
        upload = self.api.post(f"/v1/ingest/upload?file_name={MARK}.csv", file, content_type="text/csv")
        assert upload.status_code == 202, upload.content
        self.names |= {
            "events": {"key": MARK},
            "dead-letters": {"letter_id": letter["id"]},
            "dead-letter-runs": {"run_id": run["id"]},
            "corrections": {"correction_id": amended["id"]},
            "webhook-sources": {"source_id": source["id"]},
            "ingest": {"upload_id": upload.json()["id"]},
        }

    def _money(self) -> None:
        run = self.made("/v1/bill-runs", {"period": "2026-04", "auto_finalize": False}, 202)
        bill_run_work(tenant=self.owner.tenant, run_id=run["id"])
        (invoice,) = self.api.get("/v1/invoices").json()["data"]
        self.made(f"/v1/invoices/{invoice['id']}/issue", {}, 200)
        note = self.made("/v1/credit-notes", {"invoice": invoice["id"], "reason": MARK})
        self.names |= {
            "bill-runs": {"run_id": run["id"]},
            "invoices": {"name": invoice["id"]},
            "credit-notes": {"note_id": note["id"]},
        }

    def address(self, path: str, names: Callable[[str], str]) -> str:
        """The path with each name filled in by the owner's thing, as `names` has it."""
        collection = path.split("/")[2]
        for parameter, name in self.names[collection].items():
            path = path.replace("{" + parameter + "}", names(name))
        assert "{" not in path, f"World names nothing for {path}"
        return path


# What an operation needs in its body to come as far as looking for the thing.
BODIES: dict[str, dict[str, Any]] = {
    "/v1/dead-letters/{letter_id}/discard": {"reason": "a test"},
    "/v1/events/{key}/amend": {"quantity": 7, "reason": "a test"},
    "/v1/events/{key}/void": {"reason": "a test"},
    "/v1/subscriptions/{code}/add": {"offering": MARK},
    "/v1/subscriptions/{code}/move": {"to": "PAUSED"},
    "/v1/subscriptions/{code}/preview": {"move": {"to": "PAUSED"}},
    "/v1/subscriptions/{code}/remove": {"offering": MARK},
    "/v1/coupons/{code}/attach": {"subscription": MARK},
    "/v1/wallets/{wallet_id}/grants": {"amount": "1.00"},
    "/v1/wallets/{wallet_id}/grants/{grant_id}/reduce": {"reason": "a test"},
    "/v1/wallets/{wallet_id}/holds": {"amount": "1.00", "reference": "a test"},
    "/v1/wallets/{wallet_id}/top-up-rule": {"threshold": "1.00", "amount": "1.00"},
    "/v1/wallets/{wallet_id}/top-ups": {"amount": "1.00"},
    "/v1/wallets/{wallet_id}/top-ups/{top_up_id}/confirm": {"payment_reference": "a test"},
    "/v1/wallets/{wallet_id}/top-ups/{top_up_id}/fail": {"failure": "a test"},
    "/v1/wallets/{wallet_id}/recurring-grants": {"amount": "1.00", "starts_on": "2027-01-01"},
    "/v1/wallets/{wallet_id}/recurring-grants/{recurring_id}/end": {"ends_on": "2028-01-01"},
    "/v1/cost-rates/{rate_id}/end": {"ends_at": "2027-01-01T00:00:00Z"},
    "/v1/tax-rates/{rate_id}/end": {"ends_on": "2027-01-01"},
    "/v1/rate-plans/{code}/versions/{number}/migration-preview": {"to": 1},
    "/v1/rate-plans/{code}/versions/{number}/migrate": {"to": 1, "effective": "now"},
    "/v1/tax-exemptions/{exemption_id}/end": {"ends_on": "2031-01-01"},
    "/v1/rate-plans/{code}/versions/{number}": {"charges": []},
}
QUERIES: dict[str, dict[str, str]] = {
    "/v1/usage": {"customer_id": MARK, "metric": MARK, "start": "2026-04-01", "end": "2026-05-01"},
}
# Lists and figures in which the owner's things show.
SHOWS = sorted(
    {path for path in UNNAMED if "get" in DESCRIPTION[path]}
    - {
        "/v1/usage/conservation",
        "/v1/dead-letters/growth",
        "/v1/billing-profile",
        "/v1/metering-profile",
        "/v1/bill-runs",
        "/v1/exchange-rates",
        "/v1/edge/policy",
        # Shows what the publisher has made; tests/entitlements/edge/test_feed.py asks it by two tenants.
        "/v1/edge/changes",
        # Counters of metered features, of which the owner has none; as the one above.
        "/v1/edge/reconciliation",
    }
)


@pytest.fixture
def world(db: None, redis_empty: None, settings: Any, tmp_path: Path) -> Iterator[World]:
    settings.UPLOAD_DIR = str(tmp_path)
    made = World()
    with clock_at(MAY):
        yield made


def send(api: Api, method: str, address: str, body: dict[str, Any], **query: str) -> Any:
    if method == "get":
        return api.get(address, **query)
    return api._send(method, address, body, "application/json", {})


def test_a_stranger_finds_nothing_at_an_owners_address(world: World) -> None:
    for path in NAMED:
        owned = world.address(path, lambda name: name)
        # Of a plan's versions, the number stays: it is the plan that is another's.
        missing = world.address(path, lambda name: name if name == "1" else _other(name))
        for method in DESCRIPTION[path]:
            body = BODIES.get(path, {})
            if method == "get":
                assert world.api.get(owned).status_code == 200, owned
            refused = send(world.stranger, method, owned, body)
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), (method, owned)
            # Nothing tells an owner's thing from one that nobody has.
            absent = send(world.stranger, method, missing, body)
            assert (absent.status_code, absent.json()["code"]) == (404, "not_found"), (method, missing)


def _other(name: str) -> str:
    return str(uuid4()) if len(name) == 36 else f"{name}-missing"


def test_a_strangers_lists_show_nothing_of_an_owners(world: World) -> None:
    for path in SHOWS:
        query = QUERIES.get(path, {})
        seen = world.api.get(path, **query)
        assert seen.status_code == 200, (path, seen.content)
        assert MARK in seen.content.decode(), path
        hidden = world.stranger.get(path, **query)
        # A question about the owner's customer by name has no answer; a list of one's own is empty.
        if hidden.status_code != 404:
            assert hidden.status_code == 200, (path, hidden.content)
            assert MARK not in hidden.content.decode(), path
