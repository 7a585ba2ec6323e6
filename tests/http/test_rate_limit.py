import os
import time

import pytest

from aforo.http.rate_limit import RateLimit
from aforo.kernel.errors import Problem


@pytest.fixture
def limit(redis_empty):
    return RateLimit(os.environ["REDIS_URL"])


def test_a_burst_of_two_seconds_passes_and_the_next_request_waits(limit):
    left = [limit.take("k", limit_per_s=5).remaining for _ in range(10)]

    assert left == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    with pytest.raises(Problem) as caught:
        limit.take("k", limit_per_s=5)
    assert caught.value.status == 429
    assert caught.value.retry_after_s == 1


def test_the_bucket_refills_at_the_rate(limit):
    limit.take("k", limit_per_s=50, requests=100)
    with pytest.raises(Problem):
        limit.take("k", limit_per_s=50, requests=10)

    time.sleep(0.25)  # 12 requests' worth

    assert limit.take("k", limit_per_s=50, requests=10).remaining in range(8)


def test_keys_do_not_share_a_bucket(limit):
    limit.take("one", limit_per_s=1, requests=2)

    assert limit.take("other", limit_per_s=1).remaining == 1


def test_headers_say_limit_rest_and_reset(limit):
    headers = limit.take("k", limit_per_s=5).headers()

    assert headers == {"RateLimit-Limit": "5", "RateLimit-Remaining": "9", "RateLimit-Reset": "1"}


def test_without_the_cache_requests_pass(caplog):
    assert RateLimit("redis://127.0.0.1:1/0").take("k", limit_per_s=1) is None
    assert "lets requests pass" in caplog.text
