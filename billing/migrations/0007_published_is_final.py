"""What is published or billed by keeps what it was priced with, whoever writes: services, admin, bulk update or SQL."""

from django.db import migrations

CREATE = """
-- A version leaves the draft once, and is then only archived.
CREATE FUNCTION refuse_published_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'DRAFT' THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'DELETE' OR (to_jsonb(NEW) - 'status') IS DISTINCT FROM (to_jsonb(OLD) - 'status')
       OR (NEW.status <> OLD.status AND NEW.status <> 'ARCHIVED') THEN
        RAISE EXCEPTION 'Version % is published and never changes; make a new version.', OLD.number
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER rate_plan_version_published_is_final BEFORE UPDATE OR DELETE ON billing_rateplanversion
    FOR EACH ROW EXECUTE FUNCTION refuse_published_version_change();

-- FOR SHARE: a charge that is being added and the publication of its version wait for each other.
CREATE FUNCTION refuse_unless_draft(version uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found record;
BEGIN
    SELECT number, status INTO found FROM billing_rateplanversion WHERE id = version FOR SHARE;
    IF found.status <> 'DRAFT' THEN
        RAISE EXCEPTION 'Version % is published and never changes; make a new version.', found.number
            USING ERRCODE = 'check_violation';
    END IF;
END $$;

CREATE FUNCTION refuse_published_charge_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN PERFORM refuse_unless_draft(OLD.version_id); END IF;
    IF TG_OP <> 'DELETE' THEN PERFORM refuse_unless_draft(NEW.version_id); END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER charge_published_is_final BEFORE INSERT OR UPDATE OR DELETE ON billing_charge
    FOR EACH ROW EXECUTE FUNCTION refuse_published_charge_change();

CREATE FUNCTION refuse_published_tier_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM refuse_unless_draft(version_id) FROM billing_charge WHERE id = OLD.charge_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM refuse_unless_draft(version_id) FROM billing_charge WHERE id = NEW.charge_id;
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER tier_published_is_final BEFORE INSERT OR UPDATE OR DELETE ON billing_tier
    FOR EACH ROW EXECUTE FUNCTION refuse_published_tier_change();

-- A meter that a published charge bills by keeps what makes its quantity.
CREATE FUNCTION refuse_priced_meter_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.aggregation, NEW.value_property) IS DISTINCT FROM (OLD.aggregation, OLD.value_property) AND EXISTS (
        SELECT FROM billing_charge c JOIN billing_rateplanversion v ON v.id = c.version_id
         WHERE c.meter_id = OLD.id AND v.status <> 'DRAFT'
    ) THEN
        RAISE EXCEPTION 'A published charge bills by the meter %; its aggregation and value property stay.', OLD.key
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER meter_priced_is_final BEFORE UPDATE ON metering_meter
    FOR EACH ROW EXECUTE FUNCTION refuse_priced_meter_change();

-- Another zone would cut the next period where the last one did not end.
CREATE FUNCTION refuse_billed_customer_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.timezone, NEW.currency) IS DISTINCT FROM (OLD.timezone, OLD.currency) AND EXISTS (
        SELECT FROM billing_subscription WHERE customer_id = OLD.id
    ) THEN
        RAISE EXCEPTION 'The customer % has subscriptions; its time zone and currency stay.', OLD.external_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER customer_billed_keeps_its_zone BEFORE UPDATE ON tenancy_customer
    FOR EACH ROW EXECUTE FUNCTION refuse_billed_customer_change();
"""

DROP = """
DROP TRIGGER customer_billed_keeps_its_zone ON tenancy_customer;
DROP TRIGGER meter_priced_is_final ON metering_meter;
DROP TRIGGER tier_published_is_final ON billing_tier;
DROP TRIGGER charge_published_is_final ON billing_charge;
DROP TRIGGER rate_plan_version_published_is_final ON billing_rateplanversion;
DROP FUNCTION refuse_billed_customer_change();
DROP FUNCTION refuse_priced_meter_change();
DROP FUNCTION refuse_published_tier_change();
DROP FUNCTION refuse_published_charge_change();
DROP FUNCTION refuse_unless_draft(uuid);
DROP FUNCTION refuse_published_version_change();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_terms_in_force")]

    operations = [migrations.RunSQL(CREATE, DROP)]
