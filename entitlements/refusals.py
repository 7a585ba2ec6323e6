"""What a gateway makes of a decision: status, headers and problem of a refusal, and what it adds to a call let through.

429 for quota and margin, 403 for every other reason; problem details as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from aforo.kernel.errors import Problem

from .decision import Decision, Reason

# The codes of aforo/kernel/errors.py.
CODES: dict[Reason, str] = {
    Reason.NOT_ENTITLED: "not_entitled",
    Reason.QUOTA_EXCEEDED: "quota_exceeded",
    Reason.SUBSCRIPTION_INACTIVE: "subscription_inactive",
    Reason.WALLET_EMPTY: "wallet_empty",
    Reason.MARGIN_BLOCK: "service_restricted_margin",
    Reason.MARGIN_THROTTLE: "rate_limited_margin",
    Reason.UNKNOWN_CUSTOMER: "unknown_customer",
    Reason.UNKNOWN_FEATURE: "unknown_feature",
}
_SENTENCES: dict[Reason, str] = {
    Reason.NOT_ENTITLED: "{customer} is not entitled to {feature}.",
    Reason.QUOTA_EXCEEDED: "{customer} has used {used} of {limit} units of {feature}.",
    Reason.SUBSCRIPTION_INACTIVE: "{customer} has no subscription in force.",
    Reason.WALLET_EMPTY: "The wallet of {customer} is empty.",
    Reason.MARGIN_BLOCK: "Service to {customer} is restricted for now.",
    Reason.MARGIN_THROTTLE: "Calls of {customer} are limited for now.",
    Reason.UNKNOWN_CUSTOMER: "There is no customer {customer}.",
    Reason.UNKNOWN_FEATURE: "There is no feature {feature}.",
}


def refusal_of(
    decision: Decision,
    *,
    customer: str,
    feature: str,
    limit: str = "",
    used: str = "",
    headers: Mapping[str, str] | None = None,
) -> Problem:
    """The answer to a call that is not let through. limit, used: as they are shown. headers: as of `headers_of`.

    QUOTA_EXCEEDED with 1,000 of 1,000 used: 429 quota-exceeded, Retry-After the seconds until the window ends.
    """
    sentence = _SENTENCES[decision.reason].format(
        customer=repr(customer), feature=repr(feature), limit=limit, used=used
    )
    facts = {"reason": decision.reason.value, "customer": customer, "feature": feature}
    return Problem(
        CODES[decision.reason], sentence, retry_after_s=decision.retry_after_s, headers=headers, **facts
    )


def headers_of(
    decision: Decision, *, limit: str, remaining: str, now_ms: int, margin_level: int = 0
) -> dict[str, str]:
    """What goes with every answer: limit, what is left, seconds until it starts anew, a warning of the margin guard.

    limit, remaining: as they are shown; "" where there is no limit.
    """
    headers = {}
    if limit:
        headers["X-Aforo-Limit"] = limit
        headers["X-Aforo-Remaining"] = remaining
    if decision.window_end_ms is not None:
        headers["X-Aforo-Reset"] = str(max(0, -(-(decision.window_end_ms - now_ms) // 1000)))
    if decision.retry_after_s is not None:
        headers["Retry-After"] = str(decision.retry_after_s)
    if margin_level:
        headers["X-Margin-Guard-Warning"] = f"L{margin_level}"
    return headers
