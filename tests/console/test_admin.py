"""Every page of the admin: it comes up, and it shows the tenant's rows alone."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from aforo.kernel.clock import now
from aforo.tenancy.admin.profile import ProfileAdmin
from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.models import Tenant
from billing.models import Charge, Invoice, Product
from metering import log
from metering.services.profiles import metering_profile_set
from tests.billing.builders import a_tenant
from tests.metering.rows import call, submission
from tests.workspaces import workspace

from .workplace import a_dead_letter, furnish, signed_in, signed_in_nowhere

pytestmark = pytest.mark.django_db

PAGES = [model for model, page in admin.site._registry.items() if isinstance(page, TenantAdmin)]


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def tenants() -> tuple[Tenant, Tenant]:
    ours, theirs = a_tenant("acme_corp"), a_tenant("globex")
    furnish(ours)
    furnish(theirs)
    return ours, theirs


def test_every_page_comes_up(tenants):
    client = signed_in(tenants[0])
    for model in PAGES:
        listed = client.get(address(model, "changelist"), follow=True)
        assert listed.status_code == 200, model
        row = model.objects.of(tenants[0]).first()
        shown = client.get(address(model, "change", row.pk))
        assert shown.status_code == 200, model
        assert client.get(address(model, "history", row.pk)).status_code == 200, model
        added = client.get(address(model, "add"))
        page = admin.site._registry[model]
        assert added.status_code == (
            200 if hasattr(page, "create") and not isinstance(page, ProfileAdmin) else 403
        )


def test_a_row_of_another_tenant_is_404_on_every_page_and_button(tenants):
    ours, theirs = tenants
    client = signed_in(ours)
    for model in PAGES:
        row = model.objects.of(theirs).first()
        assert client.get(address(model, "change", row.pk)).status_code == 404, model
        assert client.post(address(model, "change", row.pk), {}).status_code == 404, model
        assert client.get(address(model, "history", row.pk)).status_code == 404, model
        assert client.get(address(model, "delete", row.pk)).status_code in (403, 404), model
        for button in admin.site._registry[model].actions_detail:
            assert client.get(address(model, button, row.pk)).status_code == 404, (model, button)
            assert client.post(address(model, button, row.pk), {}).status_code == 404, (model, button)


def test_lists_and_choices_hold_the_tenants_rows_alone(tenants):
    ours, theirs = tenants
    client = signed_in(ours)
    for model in PAGES:
        listed = client.get(address(model, "changelist"), follow=True).content.decode()
        for row in model.objects.of(theirs):
            assert f"/{row.pk}/change/" not in listed, model
    strange = [str(row.pk) for model in PAGES for row in model.objects.of(theirs) if len(str(row.pk)) == 36]
    assert len(strange) > 15
    for model in PAGES:
        if hasattr(admin.site._registry[model], "create"):
            page = client.get(address(model, "add")).content.decode()
            assert [pk for pk in strange if pk in page] == [], model


def test_autocomplete_finds_the_tenants_rows_alone(tenants):
    client = signed_in(tenants[0])
    for app, model, field, name in (
        ("billing", "subscription", "customer", "cust_abc"),
        ("billing", "contract", "subscription", "cust_abc"),
        ("tenancy", "customer", "parent", "cust_abc"),
    ):
        query = {"app_label": app, "model_name": model, "field_name": field, "term": name}
        found = client.get(reverse("admin:autocomplete"), query).json()["results"]
        assert len(found) == 1, (model, field)


def test_a_bad_form_is_told_and_never_an_error(tenants):
    client = signed_in(tenants[0])
    for model in PAGES:
        page = admin.site._registry[model]
        if not hasattr(page, "create") or isinstance(page, ProfileAdmin):
            continue
        form = client.get(address(model, "add")).context["adminform"].form
        assert client.post(address(model, "add"), {}).context["errors"], model
        for bad in ("\0", "9" * 400, "NaN", "["):
            tiers = {"tiers-TOTAL_FORMS": "1", "tiers-INITIAL_FORMS": "0", "tiers-0-up_to": bad}
            answer = client.post(address(model, "add"), {**dict.fromkeys(form.fields, bad), **tiers})
            # Some of it is a good code and a good name.
            assert answer.status_code in {200, 302}, (model, bad)


def test_a_bad_query_is_no_error(tenants):
    client = signed_in(tenants[0])
    queries = (
        "q=%00",
        "q=%ff&p=x",
        "o=99.x&customer=%ff&last_on_from=x",
        "status__exact=x",
        "plan__id__exact=x",
        "x=1",
    )
    for query in queries:
        for model in PAGES:
            answer = client.get(f"{address(model, 'changelist')}?{query}", follow=True)
            assert answer.status_code in {200, 404}, (model, query)
        for page in ("console-events", "admin:autocomplete"):
            answer = client.get(f"{reverse(page)}?{query}&after=x")
            assert answer.status_code in {200, 403, 404}, (page, query)


def test_somebody_who_may_only_look_changes_nothing(tenants):
    ours, _ = tenants
    client = signed_in(ours)
    viewer = User.objects.create_user("grace", password="x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = signed_in(ours, "grace")
    for model in PAGES:
        row = model.objects.of(ours).first()
        assert client.get(address(model, "change", row.pk)).status_code == 200, model
        assert client.post(address(model, "change", row.pk), {}).status_code == 403, model
        assert client.post(address(model, "add"), {}).status_code == 403, model
        for name in admin.site._registry[model].actions_detail:
            if admin.site._registry[model].get_unfold_action(name).dialog:
                assert client.post(address(model, name, row.pk), {}).status_code == 403, (model, name)
    viewer.user_permissions.clear()
    for model in PAGES:
        assert client.get(address(model, "changelist")).status_code == 403, model
    assert client.get(reverse("console-events")).status_code == 403


def test_a_missing_page_is_a_page_for_people():
    client = signed_in(a_tenant())
    answer = client.get("/admin/nothing/")
    assert answer.status_code == 404
    assert b"There is no such page" in answer.content


def test_without_a_tenant_the_first_is_made():
    client = signed_in_nowhere()
    assert b"Welcome to Aforo" in client.get("/admin/").content
    for model in PAGES:
        assert client.get(address(model, "changelist")).status_code == 200, model
    client.post(
        reverse("admin:tenancy_tenant_add"),
        {"slug": "acme", "name": "Acme", "timezone": "UTC", "currency": "EUR"},
    )
    assert [str(tenant) for tenant in Tenant.objects.all()] == ["acme (live)", "acme (test)"]
    assert b"acme (live)" in client.get("/admin/").content


def test_switching_leads_nowhere_else(tenants):
    ours, theirs = tenants
    client = signed_in(ours)
    invoice = address(Invoice, "change", Invoice.objects.of(ours).get().pk)
    for came_from, goes_to in (
        (address(Invoice, "changelist"), address(Invoice, "changelist")),
        (invoice, reverse("admin:index")),
        ("https://elsewhere.example/admin/", reverse("admin:index")),
        ("//elsewhere.example/admin/billing/invoice/", reverse("admin:index")),
    ):
        answer = client.post(reverse("tenant-switch"), {"tenant": theirs.pk, "next": came_from})
        assert answer.headers["Location"] == goes_to
    assert client.post(reverse("tenant-switch"), {"tenant": "x"}).status_code == 404
    assert client.get(reverse("tenant-switch")).status_code == 405


def test_a_form_that_another_tab_left_in_another_tenant_saves_nothing(tenants):
    ours, theirs = tenants
    client = signed_in(ours)
    form = {"code": "new", "name": "New", "form_tenant": str(theirs.pk)}
    answer = client.post(address(Product, "add"), form, follow=True)
    assert b"Nothing is saved" in answer.content
    assert not Product.objects.filter(code="new").exists()
    client.post(address(Product, "add"), {**form, "form_tenant": str(ours.pk)})
    assert Product.objects.get(code="new").tenant == ours


def test_a_charge_of_no_version_is_a_form_and_no_error(tenants):
    assert signed_in(tenants[0]).get(f"{address(Charge, 'add')}?version=x").status_code == 200


def test_an_alarm_stands_on_the_home_page_and_above_the_dead_letters():
    tenant = a_tenant()
    client = signed_in(tenant)
    pages = ("/admin/", "/admin/metering/deadletter/")
    a_dead_letter(tenant, received_at=now())
    for page in pages:
        assert 'id="growth"' not in client.get(page).content.decode(), page

    metering_profile_set(tenant=tenant, alert_letters_min=1)

    for page in pages:
        said = client.get(page).content.decode()
        assert "1 dead letter in the last hour, 100.00 % of what was received." in said, page


def test_the_home_page_says_how_far_the_event_log_is_behind(redis_empty, settings):
    acme = a_tenant("acme_corp")
    client = signed_in(acme)
    assert b"Up to date" in client.get("/admin/").content

    log.append(submission(workspace("globex"), call("k1")))
    assert b"1 waiting; no writer runs" in client.get("/admin/").content

    settings.LOG_REDIS_URL = "redis://127.0.0.1:1/0"
    assert b"does not answer" in client.get("/admin/").content
