from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ('entitlements', '0006_pool_ends'),
        ('metering', '0013_meter_conversion'),
        ('outbox', '0001_initial'),
        ('tenancy', '0003_api_key_touched'),
    ]

    operations = [
        # What tenancy and metering change, and do not know to matter at the edge: told in the transaction of the change,
        # whoever makes it.
        migrations.RunSQL(
            """
            CREATE FUNCTION touched_fact(tenant integer, customer_ids jsonb) RETURNS void LANGUAGE sql AS $$
                INSERT INTO outbox_fact (tenant_id, topic, body, created_at)
                VALUES (tenant, 'entitlements.touched', jsonb_build_object('customer_ids', customer_ids), clock_timestamp())
            $$;

            -- Windows of the calendar are cut in the customer's zone.
            CREATE FUNCTION customer_zone_touched() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM touched_fact(NEW.tenant_id, jsonb_build_array(NEW.id));
                RETURN NULL;
            END $$;
            CREATE TRIGGER customer_zone_touched AFTER UPDATE ON tenancy_customer FOR EACH ROW
                WHEN (OLD.timezone IS DISTINCT FROM NEW.timezone)
                EXECUTE FUNCTION customer_zone_touched();

            -- The same events are another quantity from now on, of whoever has a feature that the meter counts.
            CREATE FUNCTION meter_touched() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM touched_fact(NEW.tenant_id, NULL)
                  WHERE EXISTS (SELECT FROM entitlements_feature WHERE meter_id = NEW.id AND NOT is_archived);
                RETURN NULL;
            END $$;
            CREATE TRIGGER meter_touched AFTER UPDATE ON metering_meter FOR EACH ROW
                WHEN ((OLD.key, OLD.event_name, OLD.aggregation, OLD.value_property, OLD.percentile, OLD.filters, OLD.conversion)
                    IS DISTINCT FROM
                    (NEW.key, NEW.event_name, NEW.aggregation, NEW.value_property, NEW.percentile, NEW.filters, NEW.conversion))
                EXECUTE FUNCTION meter_touched();
            """,
            """
            DROP TRIGGER meter_touched ON metering_meter;
            DROP TRIGGER customer_zone_touched ON tenancy_customer;
            DROP FUNCTION meter_touched, customer_zone_touched, touched_fact;
            """,
        ),
    ]
