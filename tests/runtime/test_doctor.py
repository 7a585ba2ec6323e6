"""The doctor looks, and harms nothing."""

from __future__ import annotations

import pytest

from aforo.runtime.doctor import log_guarded
from aforo.runtime.errors import RuntimeFault
from aforo.runtime.process import port_pick
from aforo.runtime.valkey import EmbeddedValkey, command


def test_a_user_who_could_empty_the_log_is_found_without_emptying_it(tmp_path):
    log = EmbeddedValkey(tmp_path / "log", port_pick(), "log")
    log.start()
    try:
        command(log.url, "SET", "aforo:kept", "1")

        assert log_guarded(log.url) == "FLUSHALL, FLUSHDB, CONFIG SET refused"
        with pytest.raises(
            RuntimeFault, match=r"^FLUSHALL, FLUSHDB, CONFIG SET: allowed .* ACL SETUSER aforo on "
        ):
            log_guarded(log.admin_url)

        assert command(log.url, "GET", "aforo:kept") == "1"
    finally:
        log.stop()
