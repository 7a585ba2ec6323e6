"""Units as records have them, and as people read them."""

from __future__ import annotations

import pytest

from entitlements.records import units_text


@pytest.mark.parametrize(
    ("units", "places", "text"),
    # 2^53 is the largest number that a site's script counts with.
    [(450, 2, "4.50"), (450, 0, "450"), (0, 6, "0.000000"), (-7, 1, "-0.7"), (2**53, 0, "9007199254740992")],
)
def test_units_with_all_their_places(units, places, text):
    assert units_text(units, places) == text
