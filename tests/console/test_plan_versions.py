"""A plan version's page: what it changes, what a move to it would come to, and the move."""

from __future__ import annotations

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from aforo.kernel.clock import clock_at
from billing.services.catalog import version_draft, version_publish
from tests import catalogs
from tests.billing.builders import APRIL_2, a_tenant
from tests.workspaces import customer, meter

from .workplace import signed_in

pytestmark = pytest.mark.django_db


def address(page, version):
    return reverse(f"admin:billing_rateplanversion_{page}", args=[version.pk])


def test_a_change_is_said_previewed_and_made():
    tenant = a_tenant()
    meter(tenant)
    customer(tenant)
    first = catalogs.on_sale(tenant)
    with clock_at(APRIL_2):
        subscription = catalogs.subscribed(tenant)
    fee = {"code": "base", "name": "Base", "kind": "FEE", "model": "FLAT_RATE", "amount": "12"}
    second = version_draft(tenant=tenant, plan="standard", charges=[fee])
    client = signed_in(tenant)
    assert "is removed: " in client.get(address("change", second)).content.decode()

    with clock_at(APRIL_2):
        asked = client.get(address("preview_move", first)).content.decode()
        assert "v2 (draft)" in asked
        shown = client.post(address("preview_move", first), {"to": second.number})
        assert "Subscriptions: 1. They come to $" in _said(shown)
        refused = client.post(address("move", first), {"to": second.number, "effective": "now"})
        assert "Moved to version 2: 0. 1 cannot, such as sub-1: " in _said(refused)
        version_publish(tenant=tenant, plan="standard", version=2)
        client.post(address("move", first), {"to": second.number, "effective": "period_end"})
    assert [item.plan_version.number for item in subscription.items.order_by("starts_at")] == [1, 2]


def _said(answer) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))
