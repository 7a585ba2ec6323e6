"""Cursors that nobody was given: told as such, and never an error of ours."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.api.conftest import Api
from tests.workspaces import workspace

pytestmark = pytest.mark.django_db

# Lists that are ordered by a number, by a UUID and by an instant.
LISTS = ("/v1/customers", "/v1/corrections", "/v1/dead-letters", "/v1/bill-runs", "/v1/invoices")


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("position", ["abc", "9" * 30, "1%00", "", "2026-13-01", "é", "[]"])
def test_a_position_that_is_none_is_not_found(redis_empty, address, position):
    api = Api(workspace().key)
    for text in (f"p={position}", f"r=1&p={position}", f"o=3&p={position}"):
        answer = api.get(address, cursor=b64encode(text.encode()).decode())
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), text


def test_a_cursor_of_a_page_leads_to_the_next(redis_empty):
    acme = workspace()
    api = Api(acme.key)
    for number in range(3):
        api.post("/v1/customers", {"external_id": f"c{number}"})

    first = api.get("/v1/customers", limit=2).json()
    second = api.get(first["next"]).json()

    assert [row["external_id"] for row in [*first["data"], *second["data"]]] == ["cust_abc", "c0", "c1", "c2"]
