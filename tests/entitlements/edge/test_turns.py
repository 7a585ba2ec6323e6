"""A loop that waits for others says trouble once, and goes on."""

from __future__ import annotations

import logging
import threading

import pytest
from redis import ConnectionError as ConnectionLost

from entitlements.edge import turns
from entitlements.edge.turns import turns_take


def test_trouble_is_said_once_and_so_is_its_end(caplog, monkeypatch):
    monkeypatch.setattr(turns, "PAUSE_S", 0.001)
    caplog.set_level(logging.INFO)
    stop = threading.Event()
    script = [OSError("no route"), OSError("no route"), ConnectionLost("refused"), None, None]

    def turn() -> None:
        if not script:
            stop.set()
        elif (trouble := script.pop(0)) is not None:
            raise trouble

    turns_take(turn, stop, name="sync", every_s=0.001)
    assert caplog.messages == ["sync waits: no route", "sync waits: refused", "sync goes on"]


def test_what_a_programmer_got_wrong_ends_the_loop():
    def turn() -> None:
        raise KeyError("missing")

    with pytest.raises(KeyError):
        turns_take(turn, threading.Event(), name="sync", every_s=0.001)
