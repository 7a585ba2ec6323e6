"""Signatures, against the reference implementation of Standard Webhooks."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from metering.signatures import (
    is_plain_signature,
    is_standard_signature,
    plain_key,
    signed_at,
    standard_key,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "QUJD" * 11
BODY = b'{"test": 2432232314}'


def is_valid(
    header: str, *secrets: str, message_id: str = "msg_1", timestamp: str = "1614265330", body: bytes = BODY
) -> bool:
    keys = [standard_key(secret) for secret in secrets or (SECRET,)]
    return is_standard_signature(keys, message_id=message_id, timestamp=timestamp, body=body, header=header)


def reference(secret: str = SECRET, message_id: str = "msg_1") -> str:
    at = datetime.fromtimestamp(1614265330, UTC)
    return Webhook(secret).sign(msg_id=message_id, timestamp=at, data=BODY.decode())


def test_what_the_reference_signs_is_valid():
    assert is_valid(reference())
    # The example of the specification's own libraries.
    assert is_valid(
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", message_id="msg_p5jXN8AQM9LWM0D4loKWxJek"
    )


def test_any_of_several_signatures_by_any_of_several_secrets_will_do():
    assert is_valid(f"v1,AAAA v2,x {reference()}")
    assert is_valid(reference(OTHER), SECRET, OTHER)
    assert not is_valid(" ".join(["v1,AAAA"] * 10 + [reference()]))


@pytest.mark.parametrize(
    "change",
    [
        {"message_id": "msg_2"},
        {"timestamp": "1614265331"},
        {"body": BODY + b" "},
        {"header": ""},
        {"header": "v1,"},
        {"header": "v1"},
        {"header": "v1,ü\udc80"},
        {"header": reference().removeprefix("v1,")},
        {"header": reference().replace("v1,", "v1a,")},
        {"header": reference(OTHER)},
    ],
)
def test_nothing_else_is(change):
    assert not is_valid(**{"header": reference(), **change})


def test_a_plain_signature_covers_the_body():
    key = plain_key("a secret of sixteen")
    digest = hmac.new(b"a secret of sixteen", BODY, hashlib.sha256).hexdigest()
    assert is_plain_signature([b"another", key], body=BODY, header=f"sha256={digest}")
    assert is_plain_signature([key], body=BODY, header=f"SHA256={digest.upper()}")
    for header in ("", digest, f"sha1={digest}", f"sha256={digest[:-1]}", "sha256=", "sha256=é"):
        assert not is_plain_signature([key], body=BODY, header=header)
    assert not is_plain_signature([key], body=BODY + b" ", header=f"sha256={digest}")


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "QUJD" * 30, SECRET[6:], "whsec_ä" * 9]
)
def test_a_secret_that_is_no_standard_one_is_said_to_be_none(secret):
    with pytest.raises(ValueError, match="in base64"):
        standard_key(secret)


@pytest.mark.parametrize("secret", ["", "short", "x" * 256, "ä" * 20, "tab\tin a secret of sixteen"])
def test_a_secret_that_is_no_plain_one_is_said_to_be_none(secret):
    with pytest.raises(ValueError, match="16 to 255"):
        plain_key(secret)


def test_times_are_whole_seconds():
    assert signed_at("1614265330") == datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)
    for text in ("", "-1", "1.5", "1e9", "١", "9" * 12, "noon"):
        assert signed_at(text) is None


@given(st.text())
def test_any_header_is_read(header):
    assert not is_valid(header)
    assert not is_plain_signature([b"key"], body=BODY, header=header)
    signed_at(header)
