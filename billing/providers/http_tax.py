"""A tax engine behind an address: the question by POST, signed as Standard Webhooks has it, the answer as JSON.

Asked again a few times where nobody answers or the engine is busy; a question keeps its Idempotency-Key.
"""

from __future__ import annotations

import http.client
import time
from urllib.parse import urlsplit

from aforo.kernel.canonical import sha256_hex
from aforo.kernel.clock import now
from metering.signatures import standard_signature

from .tax import EngineDown, EngineFailed

ATTEMPTS = 3
TIMEOUT_S = 5.0
PAUSE_FIRST_S = 0.2
ANSWER_BYTES_MAX = 1 << 20
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Busy(Exception):
    """Worth another attempt; the message says why."""


class HttpTaxEngine:
    """url: http:// or https://. key: to sign with, None to send unsigned. timeout_s: of a whole attempt."""

    def __init__(self, url: str, key: bytes | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = urlsplit(url)
        self._key = key
        self._timeout_s = timeout_s

    def ask(self, question: str) -> bytes:
        """Raises EngineDown after the last attempt, EngineFailed at once where the engine refuses the question."""
        pause_s = PAUSE_FIRST_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(question.encode())
            except (OSError, http.client.HTTPException, _Busy) as error:
                why = (
                    "did not answer in time" if isinstance(error, TimeoutError) else str(error) or repr(error)
                )
            if attempt < ATTEMPTS:
                time.sleep(pause_s)
                pause_s *= 2
        raise EngineDown(f"was asked {ATTEMPTS} times: {why}.")

    def _attempt(self, body: bytes) -> bytes:
        until = time.monotonic() + self._timeout_s
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=self._timeout_s)
        try:
            path = self._url._replace(scheme="", netloc="", fragment="").geturl() or "/"
            connection.request("POST", path, body, self._headers(body))
            answer = connection.getresponse()
            if answer.status in RETRIED:
                raise _Busy(f"it answered {answer.status}")
            if answer.status != 200:
                raise EngineFailed(f"refused the question with {answer.status}.")
            parts: list[bytes] = []
            while part := answer.read1(65_536):
                parts.append(part)
                if time.monotonic() > until:
                    raise TimeoutError
                if sum(map(len, parts)) > ANSWER_BYTES_MAX:
                    raise EngineFailed(f"answered more than {ANSWER_BYTES_MAX} bytes.")
            return b"".join(parts)
        finally:
            connection.close()

    def _headers(self, body: bytes) -> dict[str, str]:
        name = sha256_hex(body)
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Idempotency-Key": name}
        if self._key is not None:
            at = str(int(now().timestamp()))
            signature = standard_signature(self._key, message_id=name, timestamp=at, body=body)
            headers |= {"webhook-id": name, "webhook-timestamp": at, "webhook-signature": signature}
        return headers
