from datetime import timedelta

import pytest

from aforo.kernel.clock import clock_at, now
from aforo.kernel.errors import Problem
from aforo.tenancy.models import ApiKey, Tenant
from aforo.tenancy.services import api_keys
from aforo.tenancy.services.api_keys import (
    api_key_create,
    api_key_recognise,
    api_key_revoke,
    api_key_rotate,
)
from aforo.tenancy.services.tenants import tenant_create

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    api_keys._trusted._entries.clear()
    return tenant_create(slug="acme_corp", name="Acme")


def refused(text: str) -> str:
    with pytest.raises(Problem) as caught:
        api_key_recognise(text)
    return caught.value.code


@pytest.mark.promise("P07")
def test_the_secret_is_shown_once_and_only_its_hash_is_stored(tenant):
    key, text = api_key_create(tenant=tenant, name="gateway")

    assert text.startswith(f"sk_live_{key.public_id}")
    assert len(text) == len("sk_live_") + 8 + 32
    secret = text[-32:]
    stored = ApiKey.objects.values().get(pk=key.pk)
    assert secret not in str(stored)
    assert key.masked == f"sk_live_{key.public_id[:4]}***"
    assert key.state == "ACTIVE"


@pytest.mark.promise("P08")
def test_a_test_key_reaches_the_test_environment_only(tenant):
    test_tenant = Tenant.objects.get(slug="acme_corp", environment="test")
    key, text = api_key_create(tenant=test_tenant, name="trial")

    assert text.startswith("sk_test_")
    assert api_key_recognise(text).tenant == test_tenant
    assert key.state == "TEST"
    assert refused(text.replace("sk_test_", "sk_live_")) == "key_unknown"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "sk_live_",
        "sk_live_" + "a" * 40,
        "Bearer",
        "sk_live_" + "ü" * 40,
        "sk_other_" + "a" * 40,
        "\x00" * 48,
    ],
)
def test_what_is_no_key_is_unknown(tenant, text):
    assert refused(text) == "key_unknown"


def test_a_wrong_secret_is_told_like_an_unknown_id(tenant):
    _, text = api_key_create(tenant=tenant, name="gateway")

    assert refused(text[:-1] + ("a" if text[-1] != "a" else "b")) == "key_unknown"


def test_a_revoked_key_is_refused_at_once_where_it_was_revoked(tenant):
    key, text = api_key_create(tenant=tenant, name="gateway")
    assert api_key_recognise(text).tenant == tenant

    revoked = api_key_revoke(tenant=tenant, key_id=key.pk)
    assert api_key_revoke(tenant=tenant, key_id=key.pk).revoked_at == revoked.revoked_at

    assert refused(text) == "key_revoked"


def test_a_revocation_by_another_process_is_noticed_inside_a_second(tenant, monkeypatch):
    clock_s = 100.0
    monkeypatch.setattr(api_keys.time, "monotonic", lambda: clock_s)
    key, text = api_key_create(tenant=tenant, name="gateway")
    api_key_recognise(text)
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=now())

    clock_s = 100.99

    assert refused(text) == "key_revoked"


def test_rotation_leaves_both_keys_valid_until_the_overlap_ends(tenant):
    at = now()
    with clock_at(at):
        old, old_text = api_key_create(tenant=tenant, name="gateway", scopes=["ingest"])
        new, new_text = api_key_rotate(tenant=tenant, key_id=old.pk, overlap=timedelta(hours=1))
        assert api_key_recognise(old_text).key_id == old.pk
        assert api_key_recognise(new_text).scopes == frozenset({"ingest"})
    with clock_at(at + timedelta(hours=1)):
        assert refused(old_text) == "key_revoked"
        assert api_key_recognise(new_text).key_id == new.pk
    with pytest.raises(Problem) as caught:
        api_key_rotate(tenant=tenant, key_id=old.pk, overlap=timedelta(hours=1))
    assert caught.value.code == "state_conflict"


def test_last_used_moves_after_a_call(tenant):
    key, text = api_key_create(tenant=tenant, name="gateway")
    assert key.last_used_at is None
    at = now()
    with clock_at(at):
        api_key_recognise(text)

    key.refresh_from_db()
    assert key.last_used_at == at


def test_another_tenants_key_cannot_be_revoked(tenant):
    other = tenant_create(slug="other", name="Other")
    key, text = api_key_create(tenant=tenant, name="gateway")

    with pytest.raises(Problem) as caught:
        api_key_revoke(tenant=other, key_id=key.pk)

    assert caught.value.code == "not_found"
    assert api_key_recognise(text).tenant == tenant


def test_an_unknown_scope_is_refused_and_nothing_is_made(tenant):
    with pytest.raises(Problem) as caught:
        api_key_create(tenant=tenant, name="gateway", scopes=["everything"])

    assert caught.value.code == "input_invalid"
    assert not ApiKey.objects.exists()


def test_making_a_tenant_twice_makes_one_pair(tenant):
    again = tenant_create(slug="acme_corp", name="Acme")

    assert again == tenant
    assert sorted(Tenant.objects.values_list("environment", flat=True)) == ["live", "test"]


def test_a_keys_rate_is_kept_and_passed_on_by_rotation(tenant):
    key, text = api_key_create(tenant=tenant, name="gateway", rate_limit_per_s=50)
    _, successor = api_key_rotate(tenant=tenant, key_id=key.pk, overlap=timedelta(hours=1))

    assert api_key_recognise(text).rate_limit_per_s == 50
    assert api_key_recognise(successor).rate_limit_per_s == 50
