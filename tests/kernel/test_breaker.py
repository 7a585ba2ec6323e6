"""Three failures in a row open the breaker; a probe a second, until one succeeds."""

from __future__ import annotations

from aforo.kernel import breaker
from aforo.kernel.breaker import Breaker


def test_three_in_a_row_stop_the_asking_and_one_a_second_is_let_through(monkeypatch):
    at_s = 100.0
    monkeypatch.setattr(breaker.time, "monotonic", lambda: at_s)
    ours = Breaker()
    for _ in range(2):
        assert ours.lets_through()
        ours.failed()
    ours.succeeded()
    # Not in a row: the count starts anew.
    for _ in range(3):
        assert ours.lets_through()
        ours.failed()
    assert not ours.lets_through()
    at_s += breaker.PAUSE_S
    # One probe; whoever comes meanwhile does not wait for it.
    assert [ours.lets_through(), ours.lets_through()] == [True, False]
    ours.succeeded()
    assert [ours.lets_through(), ours.lets_through()] == [True, True]
