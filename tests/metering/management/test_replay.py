"""manage.py replay: what it says to a person."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from aforo.kernel.clock import now
from aforo.kernel.periods import instant_text
from aforo.tenancy.models import Customer
from aforo.tenancy.services.tenants import tenant_create
from metering.conservation import conservation_for
from metering.models import DeadLetter
from metering.writer import Writer
from tests.metering.test_delivery import serve  # noqa: F401 - a fixture
from tests.workspaces import meter

pytestmark = pytest.mark.django_db

CSV = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\n2023-11-16 18:15:50,x,109\n"


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(CSV)
    return path


@pytest.fixture(autouse=True)
def cust_abc(monkeypatch):
    monkeypatch.setenv("AFORO_API_KEY", "sk_live_x")
    tenant = tenant_create(slug="acme_corp", name="Acme")
    return Customer.objects.create(tenant=tenant, external_id="cust_abc", name="ABC")


def replay(*words: object, **options) -> str:
    stdout = StringIO()
    call_command("replay", *map(str, words), stdout=stdout, **options)
    return stdout.getvalue()


def test_what_became_of_the_rows_is_said_with_lines(csv, serve):  # noqa: F811
    server = serve("refuse the second")
    said = replay(csv, "--format=llm-csv", "--customer=cust_abc", "--into=2026-10", f"--url={server.url}")
    assert said.splitlines() == [
        "2 rows sent, 2026-10-16T18:15:46.680000Z to 2026-10-16T18:15:46.680000Z.",
        "1 accepted, 0 duplicates, 1 refused (dead letters).",
        "  metric_unknown: 1",
        "  line 3 has 'x' for ContextTokens, not a whole number.",
    ]
    document = json.loads(
        replay(csv, "--format=llm-csv", "--customer=cust_abc", f"--url={server.url}", "--json", "--rows=1")
    )
    assert (document["rows"], document["first_at"]) == (1, "2023-11-16T18:15:46.680000Z")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--customer=cust_xyz"], "No customer 'cust_xyz'"),
        (["--customer=cust_abc", "--at=noon"], "--at 'noon' is no RFC 3339 instant"),
        (["--customer=cust_abc", "--into=2026-13"], "'2026-13' is no month; write it like 2026-03"),
        (["--customer=cust_abc", "--batch=10001"], "--batch is 10001; a request holds 1 to 10000 events"),
        (["--customer=cust_abc", "--rows=-1"], "--rows is -1; it cannot be negative"),
        (["--customer=cust_abc", "--url=localhost"], "'localhost' is no address"),
        (["--customer=cust_abc", "--tenant=nobody"], "No tenant 'nobody'"),
    ],
)
def test_a_wrong_option_is_a_sentence(csv, words, sentence):
    with pytest.raises(CommandError, match=sentence):
        replay(csv, "--format=llm-csv", *words)


def test_a_missing_file_or_key_and_an_unknown_format_are_sentences(csv, tmp_path, monkeypatch):
    with pytest.raises(CommandError, match=r"nothing\.csv cannot be read: No such file"):
        replay(tmp_path / "nothing.csv", "--format=llm-csv", "--customer=cust_abc")
    with pytest.raises(CommandError, match="invalid choice: 'xml'"):
        replay(csv, "--format=xml", "--customer=cust_abc")
    monkeypatch.delenv("AFORO_API_KEY")
    with pytest.raises(CommandError, match="AFORO_API_KEY is not set"):
        replay(csv, "--format=llm-csv", "--customer=cust_abc")


@pytest.mark.promise("P26", "P27")
@pytest.mark.usefixtures("redis_empty")
def test_straight_through_the_log_every_row_is_counted_and_an_unreadable_one_kept(csv, cust_abc):
    tenant = cust_abc.tenant
    meter(tenant, "llm.requests", event_name="llm.request")
    words = [csv, "--format=llm-csv", "--customer=cust_abc", f"--at={instant_text(now())}", "--via=direct"]
    for counts in ("1 accepted, 0 duplicates", "0 accepted, 1 duplicates"):
        assert f"{counts}, 1 refused (dead letters)." in replay(*words)
        Writer(0).drain()
    assert str(conservation_for(tenant)) == "received 4 = accepted 1 + duplicates 1 + dead letters 2"
    letter = DeadLetter.objects.of(tenant).first()
    assert (letter.code, letter.idempotency_key) == ("field_invalid", "trace:2")
    assert "line 3 has 'x' for ContextTokens, not a whole number" in letter.detail
