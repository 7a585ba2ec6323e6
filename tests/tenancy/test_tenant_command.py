"""What every command on a tenant's data has in common."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from aforo.kernel.errors import Problem
from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.services.tenants import tenant_create

pytestmark = pytest.mark.django_db


class Greet(TenantCommand):
    help = "Greets."
    example = "manage.py greet --tenant acme_corp"

    def work(self, tenant, **options):
        if options["verbosity"] == 3:
            raise Problem("input_invalid", "2 fields are wrong.", errors={"a": "is 1", "b": "is 2"})
        self.json_print({"tenant": str(tenant)})


def said(**options) -> str:
    stdout = StringIO()
    call_command(Greet(), stdout=stdout, **options)
    return stdout.getvalue()


@pytest.fixture(autouse=True)
def nobody_named(monkeypatch):
    monkeypatch.delenv("AFORO_TENANT", raising=False)


def test_the_only_tenant_need_not_be_named():
    tenant_create(slug="acme_corp", name="Acme")
    assert said() == '{"tenant": "acme_corp (live)"}\n'
    assert said(test=True) == '{"tenant": "acme_corp (test)"}\n'


def test_of_several_one_must_be_named_and_known():
    with pytest.raises(CommandError, match=r"Which tenant\? Say --tenant SLUG; there is none"):
        said()
    for slug in ("one", "two"):
        tenant_create(slug=slug, name=slug)
    assert said(tenant="two") == '{"tenant": "two (live)"}\n'
    with pytest.raises(CommandError, match="there are one, two"):
        said()
    with pytest.raises(CommandError, match="No tenant 'three'"):
        said(tenant="three")


def test_a_problem_is_said_with_its_fields():
    tenant_create(slug="acme_corp", name="Acme")
    with pytest.raises(CommandError) as caught:
        said(verbosity=3)
    assert str(caught.value) == "2 fields are wrong.\n  a: is 1\n  b: is 2"


def test_help_has_an_example():
    assert (
        "Example: manage.py greet --tenant acme_corp"
        in Greet().create_parser("manage.py", "greet").format_help()
    )
