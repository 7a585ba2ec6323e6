"""A tax engine over HTTP, asked at a real address."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from aforo.kernel.canonical import sha256_hex
from billing.providers import http_tax
from billing.providers.http_tax import HttpTaxEngine
from billing.providers.tax import EngineDown, EngineFailed
from metering.signatures import is_standard_signature
from tests.billing.tax_engine import tax_engine

QUESTION = '{"currency":"USD","lines":[]}'
KEY = b"k" * 32


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(http_tax, "PAUSE_FIRST_S", 0.01)


def test_a_question_is_posted_signed_and_can_be_told_from_others():
    with tax_engine() as engine:
        HttpTaxEngine(engine.url, KEY).ask(QUESTION)
        HttpTaxEngine(engine.url).ask(QUESTION)
    assert engine.bodies == [QUESTION.encode()] * 2
    signed, unsigned = engine.headers
    assert signed["idempotency-key"] == unsigned["idempotency-key"] == sha256_hex(QUESTION.encode())
    assert is_standard_signature(
        [KEY],
        message_id=signed["webhook-id"],
        timestamp=signed["webhook-timestamp"],
        body=engine.bodies[0],
        header=signed["webhook-signature"],
    )
    assert "webhook-signature" not in unsigned


def test_a_busy_engine_is_asked_again():
    with tax_engine(failures=2) as engine:
        HttpTaxEngine(engine.url).ask(QUESTION)
    assert len(engine.asked) == 3
    with tax_engine(failures=3) as engine, pytest.raises(EngineDown) as caught:
        HttpTaxEngine(engine.url).ask(QUESTION)
    assert str(caught.value) == "was asked 3 times: it answered 503."


def test_a_refused_question_is_not_asked_again():
    with tax_engine(status=422) as engine, pytest.raises(EngineFailed) as caught:
        HttpTaxEngine(engine.url).ask(QUESTION)
    assert (str(caught.value), len(engine.asked)) == ("refused the question with 422.", 1)
    # Another address is not followed: the signature is for this one.
    with tax_engine(status=302) as engine, pytest.raises(EngineFailed, match="302"):
        HttpTaxEngine(engine.url).ask(QUESTION)


def test_a_slow_engine_has_not_answered():
    with tax_engine(sleeps_s=0.3) as engine, pytest.raises(EngineDown) as caught:
        HttpTaxEngine(engine.url, timeout_s=0.05).ask(QUESTION)
    assert str(caught.value) == "was asked 3 times: did not answer in time."


def test_an_answer_that_trickles_in_ends_with_the_time():
    """One byte at a time never runs into the timeout of a single read."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def trickle() -> None:
            for _ in range(http_tax.ATTEMPTS):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                    try:
                        for _ in range(1000):
                            connection.sendall(b" ")
                            time.sleep(0.02)
                    except OSError:
                        pass  # it has hung up

        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(EngineDown, match="did not answer in time"):
            HttpTaxEngine(url, timeout_s=0.1).ask(QUESTION)
        thread.join()


def test_nobody_at_the_address():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(EngineDown, match="refused"):
        HttpTaxEngine(f"http://127.0.0.1:{port}/").ask(QUESTION)


def test_an_endless_answer_is_cut_off(monkeypatch):
    monkeypatch.setattr(http_tax, "ANSWER_BYTES_MAX", 1000)
    with tax_engine(answer=b" " * 100_000) as engine, pytest.raises(EngineFailed) as caught:
        HttpTaxEngine(engine.url).ask(QUESTION)
    assert str(caught.value) == "answered more than 1000 bytes."
