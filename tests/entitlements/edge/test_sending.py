"""Events to an origin: what each of its answers means."""

from __future__ import annotations

import pytest

from entitlements.edge.sending import BATCH_EVENTS, Sender, Unreadable, Waits

from .origins import Origin, events, problem


def waits(sender: Sender) -> Waits:
    with pytest.raises(Waits) as caught:
        sender.send(events(3))
    return caught.value


def test_batches_go_in_order_and_what_the_origin_refuses_is_a_dead_letter_there():
    origin = Origin()
    sender = Sender(origin)
    assert sender.send(events(2 * BATCH_EVENTS + 1)) == []
    assert origin.taken == [f"k{number}" for number in range(2_001)]
    origin.script = [(202, None, b'{"accepted": 1, "duplicates": 0, "rejected": 2}')]
    assert sender.send(events(3)) == []
    assert (sender.tally.sent, sender.tally.refused) == (2_004, 2)


def test_one_event_that_cannot_be_read_is_found_by_halves():
    # 8 events: 8, then 4 and 4, 2 and 2, 1 and 1; the other seven arrive.
    origin = Origin(unreadable={"k5": 422})
    unreadable = Sender(origin).send(events(8))
    assert unreadable == [Unreadable(5, 422, problem("k5 cannot be read."))]
    assert origin.taken == ["k0", "k1", "k2", "k3", "k4", "k6", "k7"]


@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_an_origin_that_refuses_the_sender_is_asked_again_after_a_minute(status):
    sender = Sender(Origin((status, None, problem("This call needs a key with the scope 'ingest'."))))
    wait = waits(sender)
    assert (wait.seconds, wait.refused_status) == (60.0, status)
    assert "needs a key with the scope" in str(wait)
    assert sender.tally.refused_status == status
    # The key was mended.
    assert sender.send(events(3)) == []
    assert (sender.tally.refused_status, sender.tally.dead) == (0, 0)


@pytest.mark.parametrize(
    "answer",
    [
        (200, None, b"{}"),
        (200, None, b"<html>Please sign in</html>"),
        (202, None, b'{"accepted": 3, "rej'),
        (503, None, b""),
        (408, None, b""),
        ConnectionResetError("reset"),
    ],
)
def test_what_is_no_answer_of_an_origin_is_tried_again(answer):
    origin = Origin(answer)
    sender = Sender(origin, chance=lambda: 0.5)
    wait = waits(sender)
    assert (wait.seconds, wait.refused_status) == (0.25, 0)
    assert sender.send(events(3)) == []
    assert origin.attempts == [1, 2]


def test_waits_double_up_to_a_minute_and_retry_after_is_kept():
    sender = Sender(Origin(*[(503, None, b"")] * 9), chance=lambda: 1.0)
    assert [waits(sender).seconds for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    sender = Sender(Origin((429, "7", b""), (429, "0", b""), (503, "9999", b"")))
    assert [waits(sender).seconds for _ in range(3)] == [7, 1, 300]
