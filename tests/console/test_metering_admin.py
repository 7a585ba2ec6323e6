"""Forms of metering's pages: a webhook source with its secret, a file handed in, many dead letters at once."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from aforo.kernel.clock import now
from metering.models import DeadLetter, DeadLetterRun, Event, Upload, WebhookSource
from metering.services import dead_letter_runs
from metering.services.dead_letter_runs import dead_letter_run_work
from metering.services.uploads import upload_read
from metering.writer import Writer
from tests.metering.rows import append, call
from tests.workspaces import customer, workspace

from .workplace import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(redis_empty, settings, tmp_path):
    settings.UPLOAD_DIR = str(tmp_path)
    return workspace()


@pytest.fixture
def client(acme):
    return signed_in(acme.tenant)


def page(model: str, name: str, *args: object) -> str:
    return reverse(f"admin:metering_{model}_{name}", args=args)


def test_a_source_is_made_and_its_secret_shown_once(client):
    form = {"name": "Orders", "scheme": "standard", "mapping": '{"metric": "=api.call"}', "tolerance_s": 300}

    made = client.post(page("webhooksource", "add"), form)

    source = WebhookSource.objects.get()
    secret = made.context["secret"]
    assert secret.startswith("whsec_")
    assert secret in made.content.decode()
    assert "no-store" in made.headers["Cache-Control"]
    assert secret not in client.get(page("webhooksource", "change", source.pk)).content.decode()
    assert source.mapping == {"metric": "=api.call"}


def test_a_source_is_changed_rotated_and_revoked(client):
    client.post(
        page("webhooksource", "add"),
        {"name": "Orders", "scheme": "plain", "mapping": "{}", "tolerance_s": 300},
    )
    source = WebhookSource.objects.get()
    address = page("webhooksource", "change", source.pk)

    wrong = client.post(address, {"name": "Orders", "mapping": '{"nothing": "x"}', "tolerance_s": 300})
    assert "is no field" in wrong.content.decode()
    changed = client.post(address, {"name": "Orders 2", "mapping": "", "tolerance_s": 60})
    assert changed.status_code == 302
    rotated = client.post(page("webhooksource", "rotate", source.pk), {"overlap_h": 24})
    assert rotated.context["secret"].startswith("whsec_")
    client.post(page("webhooksource", "revoke", source.pk), {})

    source.refresh_from_db()
    assert (source.name, source.tolerance_s, source.is_active) == ("Orders 2", 60, False)
    assert source.secret_before_until > now()


def test_what_a_source_delivered_is_shown(acme, client):
    client.post(
        page("webhooksource", "add"),
        {"name": "Orders", "scheme": "plain", "mapping": "{}", "tolerance_s": 300},
    )
    source = WebhookSource.objects.get()
    append(acme, call("from orders"), source=f"webhook:{source.public_id}")
    append(acme, call("from elsewhere"))
    Writer(0).drain()

    shown = client.get(page("webhooksource", "change", source.pk)).content.decode()

    assert "from orders" in shown
    assert "from elsewhere" not in shown


def test_a_file_is_handed_in_and_its_errors_told_by_line(acme, client):
    file = SimpleUploadedFile(
        "march.csv", b"metric,customer_id\napi.call,cust_abc\napi.call,nobody\ntokens,cust_abc\n"
    )

    answer = client.post(page("upload", "add"), {"file": file, "file_format": ""})

    upload = Upload.objects.get()
    assert answer.headers["Location"] == page("upload", "change", upload.pk)
    assert (upload.form, upload.file_name) == ("csv", "march.csv")
    assert upload_read(tenant=acme.tenant, upload_id=upload.pk)
    Writer(0).drain()
    shown = client.get(page("upload", "change", upload.pk))
    assert "3 rows: 1 accepted, 0 duplicates, 2 rejected." in " ".join(shown.content.decode().split())
    assert [letter.facts["line"] for letter in shown.context["letters"]] == [3, 4]

    planned = client.post(page("upload", "replay_letters", upload.pk), {})
    run = DeadLetterRun.objects.get()
    assert planned.headers["HX-Redirect"] == page("deadletterrun", "change", run.pk)
    assert run.total == 2


@pytest.mark.parametrize(
    ("name", "content", "form", "said"),
    [
        ("march.xlsx", b"x", "", "does not say it; choose one"),
        ("march.csv", b"", "", "empty"),
        ("march.csv", b"x", "xml", "Select a valid choice"),
    ],
)
def test_a_file_that_is_not_taken_is_told(acme, client, name, content, form, said):
    answer = client.post(
        page("upload", "add"), {"file": SimpleUploadedFile(name, content), "file_format": form}
    )

    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Upload.objects.exists()


@pytest.fixture
def letters(acme):
    """Three that wait, in one order."""
    append(
        acme,
        [call("k1", customer_id="cust_new"), call("k2", customer_id="cust_new"), call("k3", metric="tokens")],
    )
    Writer(0).drain()
    return list(DeadLetter.objects.order_by("pk"))


def selected(client, action, letters):
    form = {"action": action, "_selected_action": [str(letter.pk) for letter in letters], "index": 0}
    return client.post(page("deadletter", "changelist"), form)


@pytest.mark.promise("P26", "P69")
def test_many_are_looked_at_mapped_and_replayed(acme, client, letters, monkeypatch):
    monkeypatch.setattr(dead_letter_runs, "dead_letter_run_queue", lambda **asked: None)
    customer(acme.tenant, "cust_new")

    answer = selected(client, "replay_selected", letters)

    run = DeadLetterRun.objects.get()
    address = page("deadletterrun", "change", run.pk)
    assert answer.headers["Location"] == address
    preview = client.get(address).context["preview"]
    assert (preview.count, preview.accepted, preview.refused) == (3, 2, {"metric_unknown": 1})
    refused = client.post(page("deadletterrun", "map_names", run.pk), {"metric_to": "api.call"})
    assert "Stands for one name" in refused.content.decode()

    client.post(page("deadletterrun", "replay", run.pk), {})
    assert dead_letter_run_work(tenant=acme.tenant, run_id=run.pk)
    # A second press is told, and changes nothing.
    again = client.post(page("deadletterrun", "replay", run.pk), {})
    assert "The run is COMPLETED." in again.content.decode()
    assert "2 accepted, 1 refused" in client.get(address).content.decode()
    assert Event.objects.count() == 2

    # The same letters once more: only the one that waits is left, and its name is mapped.
    selected(client, "replay_selected", letters)
    second = DeadLetterRun.objects.first()
    assert second.total == 1
    client.post(page("deadletterrun", "map_names", second.pk), {"metric_to": "api.call"})
    assert client.get(page("deadletterrun", "change", second.pk)).context["preview"].accepted == 1


def test_many_are_discarded_with_a_reason(acme, client, letters, monkeypatch):
    monkeypatch.setattr(dead_letter_runs, "dead_letter_run_queue", lambda **asked: None)
    selected(client, "discard_selected", letters)
    run = DeadLetterRun.objects.get()

    assert client.post(page("deadletterrun", "discard", run.pk), {}).context["form"].errors
    client.post(page("deadletterrun", "discard", run.pk), {"reason": "A load test."})
    dead_letter_run_work(tenant=acme.tenant, run_id=run.pk)

    assert {(letter.status, letter.reason, letter.actor) for letter in DeadLetter.objects.all()} == {
        ("DISCARDED", "A load test.", "ada")
    }
    selected(client, "replay_selected", letters)
    assert DeadLetterRun.objects.count() == 1


def test_letters_are_filtered(client, letters):
    def found(**query):
        return {
            row.idempotency_key
            for row in client.get(page("deadletter", "changelist"), query).context["cl"].result_list
        }

    assert found(metric="tokens") == {"k3"}
    assert found(customer="cust_new", source="rest") == {"k1", "k2"}
    assert found(code="metric_unknown", source="kong") == set()
    assert json.loads(bytes(letters[0].payload))["customer_id"] == "cust_new"
