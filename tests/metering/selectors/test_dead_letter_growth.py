"""The alarm on dead letters: both thresholds, to the letter and the event."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from metering.batch import store
from metering.models import DeadLetter
from metering.selectors import dead_letter_growth
from metering.selectors.dead_letter_growth import growth_for
from metering.services.dead_letters import dead_letter_discard
from metering.services.profiles import metering_profile_set
from metering.tasks import dead_letters_watch
from tests.metering.rows import call, submission
from tests.workspaces import workspace

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture
def acme():
    made = workspace()
    metering_profile_set(tenant=made.tenant, alert_letters_min=4, alert_share_percent=Decimal(20))
    return made


@pytest.fixture(autouse=True)
def _noon():
    with clock_at(NOON):
        yield


def sent(acme, *, events=0, letters=0, at=NOON):
    made = [call(f"e{number}-{at}") for number in range(events)]
    made += [call(f"l{number}-{at}", customer_id="nobody") for number in range(letters)]
    store([submission(acme, made, received_at=at)])


@pytest.mark.parametrize(
    ("letters", "events", "is_alarm", "share"),
    [
        # 4 of 20 are 20 percent.
        (4, 16, True, "20.00"),
        (4, 17, False, None),
        (3, 0, False, None),
        (5, 1, True, "83.33"),
        (0, 5, False, None),
    ],
)
def test_both_thresholds_have_to_be_reached(acme, letters, events, is_alarm, share):
    sent(acme, events=events, letters=letters)

    growth = growth_for(acme.tenant)

    assert (growth.is_alarm, growth.letters) == (is_alarm, letters)
    assert growth.share_percent == (share and Decimal(share))


def test_an_hour_counts(acme):
    sent(acme, letters=4, at=NOON - timedelta(hours=1))
    assert growth_for(acme.tenant).letters == 0
    # What was received before does not make the share smaller.
    sent(acme, events=100, at=NOON - timedelta(hours=1))
    sent(acme, letters=4, at=NOON - timedelta(minutes=59))
    assert growth_for(acme.tenant).is_alarm


def test_what_somebody_has_dealt_with_does_not_count(acme):
    sent(acme, letters=4)
    letter = DeadLetter.objects.first()
    dead_letter_discard(tenant=acme.tenant, letter_id=letter.pk, reason="A test.", actor="ada")

    assert not growth_for(acme.tenant).is_alarm


def test_without_a_share_the_number_decides(acme):
    metering_profile_set(tenant=acme.tenant, alert_share_percent=Decimal(0))
    sent(acme, letters=4, events=100)
    assert growth_for(acme.tenant).is_alarm


def test_so_many_that_the_events_are_not_counted_are_an_alarm(acme, monkeypatch):
    monkeypatch.setattr(dead_letter_growth, "COUNTED_MAX", 10)
    sent(acme, letters=4, events=17)

    growth = growth_for(acme.tenant)
    assert (growth.is_alarm, growth.share_percent) == (True, None)
    assert str(growth) == "4 dead letters in the last hour"


def test_by_itself_a_hundred_an_hour_and_five_percent_are_an_alarm():
    acme = workspace()
    sent(acme, letters=99)
    assert not growth_for(acme.tenant).is_alarm
    sent(acme, letters=1, events=1_900, at=NOON - timedelta(minutes=1))
    assert str(growth_for(acme.tenant)) == "100 dead letters in the last hour, 5.00 % of what was received"
    assert growth_for(acme.tenant).is_alarm


def test_an_alarm_is_logged_and_names_its_tenant(acme, caplog):
    workspace("quiet")
    sent(acme, letters=4)

    with caplog.at_level(logging.WARNING):
        dead_letters_watch()

    (record,) = caplog.records
    assert record.getMessage() == (
        "dead letters grow, tenant=acme_corp (live): 4 dead letters in the last hour, 100.00 % of what was received"
    )
