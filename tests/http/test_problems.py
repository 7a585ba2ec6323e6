import pytest
from rest_framework import exceptions

from aforo.http.problems import problem_of, problem_response
from aforo.kernel.errors import PROBLEMS, Problem


def test_a_problem_becomes_problem_details():
    response = problem_response(
        Problem("timestamp_too_old", "2025-11-01T00:00:00Z is 140 days before receipt.", age_days=140)
    )

    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    assert b'"type":"https://aforo.space/problems/timestamp-too-old"' in response.content
    assert b'"age_days":140' in response.content


def test_retry_after_and_challenge_are_headers():
    assert problem_response(Problem("storage_unavailable", "…", retry_after_s=2))["Retry-After"] == "2"
    assert problem_response(Problem("key_missing", "…"))["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exceptions.NotFound(), "not_found"),
        (exceptions.ValidationError({"name": ["This field is required."]}), "input_invalid"),
        (exceptions.ParseError("bad"), "body_unreadable"),
        (exceptions.MethodNotAllowed("PUT"), "method_not_allowed"),
        (exceptions.UnsupportedMediaType("text/plain"), "media_type_unsupported"),
        (exceptions.Throttled(wait=3), "rate_limited"),
    ],
)
def test_the_frameworks_refusals_speak_the_same_way(error, code):
    assert problem_of(error).code == code


def test_a_programmers_mistake_is_no_problem():
    assert problem_of(KeyError("x")) is None


def test_codes_are_unique_words():
    for code, kind in PROBLEMS.items():
        assert code == kind.code
        assert code.replace("_", "").isalpha()
        assert kind.uri == "https://aforo.space/problems/" + code.replace("_", "-")


@pytest.mark.parametrize("address", ["/", "/admin"])
def test_the_addresses_that_people_type_lead_to_the_admin(client, address):
    assert client.get(address)["Location"] == "/admin/"
