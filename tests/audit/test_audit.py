"""The audit: appended with the change, chained, and verified."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from aforo.audit.models import AuditEntry, AuditHead
from aforo.audit.selectors import audit_verify
from aforo.audit.services import audit_write
from aforo.tenancy.models import Tenant
from tests.billing.builders import tampering
from tests.workspaces import workspace


def wrote(tenant: Tenant, count: int) -> None:
    for number in range(1, count + 1):
        with transaction.atomic():
            audit_write(
                tenant=tenant,
                actor="ada",
                action="margin_policy.edited",
                subject="margin policy standard",
                before={"floor_3": Decimal("0.00")},
                after={"floor_3": Decimal(number)},
            )


@pytest.fixture
def tenant(db: None) -> Tenant:
    made = workspace().tenant
    wrote(made, 5)
    return made


def test_a_chain_of_five_is_whole(tenant: Tenant):
    verdict = audit_verify(tenant)
    last = AuditEntry.objects.get(sequence=5)
    assert (verdict.entries, verdict.first_wrong, verdict.head) == (5, None, f"5:{last.hash}")
    assert last.before == {"floor_3": "0"}
    assert last.previous_hash == AuditEntry.objects.get(sequence=4).hash


def test_the_store_refuses_to_change_or_remove_an_entry(tenant: Tenant):
    for change in (
        lambda: AuditEntry.objects.filter(sequence=2).update(actor="eve"),
        lambda: AuditEntry.objects.filter(sequence=2).delete(),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


@pytest.mark.parametrize(
    ("sql", "wrong"),
    [
        ("UPDATE audit_auditentry SET actor = 'eve' WHERE sequence = 3", "Entry 3 is not as it was written."),
        ("DELETE FROM audit_auditentry WHERE sequence = 3", "Entry 3 is missing; 4 follows 2."),
        (
            # 2 and 3 change places.
            "UPDATE audit_auditentry SET sequence = -3 WHERE sequence = 2;"
            "UPDATE audit_auditentry SET sequence = 2 WHERE sequence = 3;"
            "UPDATE audit_auditentry SET sequence = 3 WHERE sequence = -3",
            "Entry 2 does not follow the one before it.",
        ),
        (
            "INSERT INTO audit_auditentry (tenant_id, sequence, at, actor, action, subject, previous_hash, hash)"
            " SELECT tenant_id, 6, at, 'eve', action, subject, hash, hash FROM audit_auditentry WHERE sequence = 5",
            "Entry 6 is not as it was written.",
        ),
        ("DELETE FROM audit_auditentry WHERE sequence >= 4", "Entry 4 is missing; the chain reaches to 5."),
    ],
)
def test_each_way_to_tamper_is_named(tenant: Tenant, sql: str, wrong: str):
    with tampering(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert audit_verify(tenant).first_wrong == wrong


def test_a_tail_cut_off_with_its_head_is_seen_by_who_kept_the_head(tenant: Tenant):
    kept = audit_verify(tenant).head
    with tampering():
        AuditEntry.objects.filter(sequence__gte=4).delete()
        AuditHead.objects.update(sequence=3, hash=AuditEntry.objects.get(sequence=3).hash)
    assert audit_verify(tenant).first_wrong is None
    assert audit_verify(tenant, known_head=kept).first_wrong == "Entry 4 is missing; the known head is 5."
    wrote(tenant, 2)
    assert (
        audit_verify(tenant, known_head=kept).first_wrong == "Entry 5 is another than the known head names."
    )


def test_another_tenants_chain_does_not_pass_for_ones_own(tenant: Tenant):
    other = workspace("other").tenant
    wrote(other, 1)
    with tampering(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_auditentry WHERE tenant_id = %s", [tenant.pk])
        cursor.execute("UPDATE audit_auditentry SET tenant_id = %s", [tenant.pk])
    assert audit_verify(tenant).first_wrong == "Entry 1 is not as it was written."
    assert audit_verify(other).first_wrong == "Entry 1 is missing; the chain reaches to 1."


def test_an_entry_is_there_with_its_change_or_not_at_all(tenant: Tenant):
    def change_that_fails() -> None:
        with transaction.atomic():
            audit_write(tenant=tenant, actor="ada", action="tenant.edited", subject="tenant")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_that_fails()
    assert audit_verify(tenant).entries == 5


def test_the_command_names_what_is_wrong_and_ends_with_1(tenant: Tenant, capsys: pytest.CaptureFixture[str]):
    call_command("verify_audit", tenant="acme_corp")
    assert "Nothing is wrong.\n5 entries; head 5:" in capsys.readouterr().out
    with tampering():
        AuditEntry.objects.filter(sequence=1).update(action="nothing")
    with pytest.raises(SystemExit, match="1"):
        call_command("verify_audit", tenant="acme_corp")
    assert "Entry 1 is not as it was written." in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("verify_audit", tenant="nobody")


@pytest.mark.django_db(transaction=True)
def test_eight_writers_at_once_make_one_chain():
    tenant = workspace().tenant

    def work(_: int) -> None:
        try:
            wrote(tenant, 25)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    verdict = audit_verify(tenant)
    assert (verdict.entries, verdict.first_wrong) == (200, None)
