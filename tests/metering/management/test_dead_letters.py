"""manage.py dead_letters: what it says to a person, and to a script."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from metering.batch import store
from metering.models import DeadLetter, Event
from metering.services.profiles import metering_profile_set
from tests.metering.rows import call, submission, tally
from tests.workspaces import customer, meter, workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    made = workspace()
    store(
        [
            submission(
                made,
                [
                    call("k1", customer_id="cust_new"),
                    call("k2", 2, customer_id="cust_new"),
                    call("k3", metric="tokens"),
                    call("k4"),
                ],
            )
        ]
    )
    return made


def dead_letters(*words: object) -> str:
    stdout = StringIO()
    call_command("dead_letters", *map(str, words), "--tenant", "acme_corp", stdout=stdout)
    return stdout.getvalue()


def refused(*words: object) -> str:
    with pytest.raises(CommandError) as caught:
        dead_letters(*words)
    return str(caught.value)


def letter(key: str) -> DeadLetter:
    return DeadLetter.objects.get(idempotency_key=key)


def test_list_tells_why_and_how_many(acme):
    lines = dead_letters("list").splitlines()

    assert lines[-1] == "3 dead letters."
    assert sum("NEW        customer_unknown: cust_new api.call k1" in line for line in lines) == 1
    assert dead_letters("list", "--code", "metric_unknown").splitlines()[-1] == "1 dead letter."
    assert dead_letters("list", "--limit", 1).splitlines()[-1] == "3 dead letters; the latest 1 are shown."
    assert dead_letters("list", "--since", "2999-01-01T00:00:00Z").strip() == "0 dead letters."

    answer = json.loads(dead_letters("list", "--customer", "cust_new", "--json"))
    assert answer["count"] == 2
    assert {row["idempotency_key"] for row in answer["dead_letters"]} == {"k1", "k2"}


def test_show_prints_the_payload(acme):
    said = dead_letters("show", letter("k2").pk)
    assert "code            customer_unknown\n" in said
    assert '"quantity":2' in said

    row = json.loads(dead_letters("show", letter("k2").pk, "--json"))
    assert row["payload"] == call("k2", 2, customer_id="cust_new")


@pytest.mark.promise("P69")
def test_a_mapping_is_fixed_and_all_that_waited_for_it_replayed(acme):
    customer(acme.tenant, "cust_new")

    said = dead_letters("replay", "--code", "customer_unknown")
    again = dead_letters("replay", "--code", "customer_unknown")

    assert said == "2 dead letters replayed: 2 accepted.\n"
    assert again == "0 dead letters replayed.\n"
    assert sorted(Event.objects.values_list("key", flat=True)) == ["k1", "k2", "k4"]
    assert tally(acme) == {"received": 4, "accepted": 3, "dead_letters": 1}
    assert letter("k1").status == "REPLAYED"
    assert letter("k1").actor.endswith("at manage.py")


def test_what_is_refused_again_is_said_and_the_command_fails_where_nothing_was_stored(acme):
    assert refused("replay", letter("k3").pk) == "None could be stored."
    assert letter("k3").attempts == 2

    meter(acme.tenant, "tokens")
    assert dead_letters("replay", "--all").startswith("3 dead letters replayed: 2 refused, 1 accepted.\n")


def test_a_corrected_payload_is_read_from_a_file(acme, tmp_path):
    corrected = tmp_path / "event.json"
    corrected.write_text(json.dumps(call("k1", "0.5")))

    answer = json.loads(dead_letters("replay", letter("k1").pk, "--payload", corrected, "--json"))

    assert answer["outcomes"] == {"accepted": 1}
    assert Event.objects.get(key="k1").quantity == 0.5


@pytest.mark.promise("P26", "P69")
def test_many_are_looked_at_mapped_and_replayed_once(acme):
    mapping = ("--metric", "tokens", "--to-metric", "api.call")

    looked_at = dead_letters("preview", *mapping)
    assert looked_at == "1 dead letter:\n          1  accepted\n"
    assert json.loads(dead_letters("preview", "--all", "--json"))["refused"] == {
        "customer_unknown": 2,
        "metric_unknown": 1,
    }
    assert tally(acme) == {"received": 4, "accepted": 1, "dead_letters": 3}

    answer = json.loads(dead_letters("replay", *mapping, "--json"))
    again = dead_letters("replay", *mapping)

    assert answer["outcomes"] == {"accepted": 1}
    assert (answer["run"]["status"], answer["run"]["metric_to"]) == ("COMPLETED", "api.call")
    assert again == "0 dead letters replayed.\n"
    assert Event.objects.get(key="k3").quantity == 1
    assert letter("k3").result["names"] == {"metric": "api.call"}
    assert tally(acme) == {"received": 4, "accepted": 2, "dead_letters": 2}
    # One by its id is mapped, too.
    assert dead_letters("replay", letter("k1").pk, "--to-customer", "cust_abc").startswith(
        "1 dead letter replayed"
    )
    assert refused("replay", "--metric", "api.call", "--to-customer", "none").startswith(
        "customer_to is unknown"
    )


def test_held_ones_are_listed_and_replayed_like_others(acme):
    metering_profile_set(tenant=acme.tenant, holds_unknown_metrics=True)
    store([submission(acme, call("k9", metric="later"), source="kong")])

    assert dead_letters("list", "--status", "HELD", "--source", "kong").splitlines()[-1] == "1 dead letter."
    meter(acme.tenant, "later")
    assert dead_letters("replay", "--status", "HELD") == "1 dead letter replayed: 1 accepted.\n"


def test_discard_needs_a_reason(acme):
    assert refused("discard", "--all").startswith("Say why")

    assert (
        dead_letters("discard", "--metric", "tokens", "--reason", "A typo.") == "1 dead letter discarded.\n"
    )
    assert (letter("k3").status, letter("k3").reason) == ("DISCARDED", "A typo.")


@pytest.mark.parametrize("action", ["replay", "discard"])
def test_nothing_is_done_to_all_of_them_by_accident(acme, action):
    assert refused(action, "--reason", "x").startswith("Which ones?")


def test_mistakes_are_sentences(acme, tmp_path):
    nobody = "01900000-0000-7000-8000-000000000000"
    assert refused("show", nobody) == f"No dead letter {nobody}."
    assert refused("show") == "show takes the id of a dead letter."
    assert refused("list", nobody).startswith("list takes filters")
    assert refused("list", "--since", "yesterday").startswith("--since 'yesterday' is no RFC 3339 instant")
    assert refused("replay", letter("k1").pk, "--payload", tmp_path / "none").startswith(
        "--payload cannot be read"
    )
    assert refused("replay", "--all", "--payload", "x").startswith("--payload corrects one dead letter")


def test_another_tenants_dead_letters_are_not_found(acme):
    workspace("other")
    stdout = StringIO()

    call_command("dead_letters", "list", "--tenant", "other", stdout=stdout)
    assert stdout.getvalue() == "0 dead letters.\n"
    with pytest.raises(CommandError):
        call_command("dead_letters", "replay", str(letter("k1").pk), "--tenant", "other")
    assert letter("k1").attempts == 1


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        call_command("dead_letters", "--help")
    assert "Example: manage.py dead_letters replay --code metric_unknown" in capsys.readouterr().out
