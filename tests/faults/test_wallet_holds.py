"""Holds over HTTP: 50 callers at once, and workers killed between a hold and its settlement."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from billing.models import LedgerEntry, WalletHold
from billing.services.wallets import wallet_grant_add
from tests.workspaces import workspace

from .programs import web

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_empty"),
]

CALLERS = 50


def test_fifty_reserve_thirty_and_a_kill_before_settling_loses_and_doubles_nothing():
    shop = workspace()
    wallet = wallet_grant_add(tenant=shop.tenant, customer="cust_abc", amount="30").wallet
    with web() as server:

        def post(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            request = urllib.request.Request(
                f"{server.url}/v1/wallets/{wallet.pk}/{path}",
                json.dumps(body).encode(),
                {"Authorization": f"Bearer {shop.key}", "Content-Type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as refused:
                return refused.code, json.load(refused)

        start = threading.Barrier(CALLERS)

        def reserve(number: int) -> tuple[int, dict[str, Any]]:
            start.wait(30)
            return post("holds", {"amount": "1.00", "reference": f"job-{number}"})

        with ThreadPoolExecutor(CALLERS) as pool:
            answers = list(pool.map(reserve, range(CALLERS)))
        held = [body["id"] for status, body in answers if status == 201]
        refused = [body["code"] for status, body in answers if status != 201]
        assert (len(held), refused) == (30, ["wallet_insufficient"] * 20)

        def settle(hold: str) -> None:
            # As a caller does whose worker died: again, until there is an answer.
            while True:
                try:
                    assert post(f"holds/{hold}/settle", {"amount": "0.40"})[0] == 200
                    return
                except (OSError, ValueError):
                    continue

        with ThreadPoolExecutor(8) as pool:
            settling = [pool.submit(settle, hold) for hold in held]
            settling[3].result()
            for pid in server.workers():
                os.kill(pid, signal.SIGKILL)
            for each in settling:
                each.result()

    # 30 x 0.40 = 12.00 of 30.00: 18.00 are owed still.
    assert {hold.status for hold in WalletHold.objects.all()} == {"SETTLED"}
    booked = dict.fromkeys(("revenue", "wallet_liability"), 0)
    for entry in LedgerEntry.objects.exclude(account="cash"):
        booked[entry.account] += entry.amount
    assert booked == {"revenue": -12, "wallet_liability": -18}
