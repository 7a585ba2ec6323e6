from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ('billing', '0025_bill_run_item_indexes'),
        ('outbox', '0001_initial'),
    ]

    operations = [
        # What a customer holds has changed: told in the transaction of the change, whoever makes it.
        migrations.RunSQL(
            """
            CREATE FUNCTION standing_fact(tenant integer, customer bigint) RETURNS void LANGUAGE sql AS $$
                INSERT INTO outbox_fact (tenant_id, topic, body, created_at)
                VALUES (tenant, 'billing.standings', jsonb_build_object('customer_id', customer), clock_timestamp())
            $$;

            CREATE FUNCTION subscription_standing() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM standing_fact(NEW.tenant_id, NEW.customer_id);
                RETURN NULL;
            END $$;
            CREATE TRIGGER subscription_standing AFTER INSERT OR UPDATE ON billing_subscription
                FOR EACH ROW EXECUTE FUNCTION subscription_standing();

            CREATE FUNCTION contract_standing() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM standing_fact(tenant_id, customer_id) FROM billing_subscription
                 WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.subscription_id ELSE NEW.subscription_id END;
                RETURN NULL;
            END $$;
            CREATE TRIGGER contract_standing AFTER INSERT OR UPDATE OR DELETE ON billing_contract
                FOR EACH ROW EXECUTE FUNCTION contract_standing();

            -- A wallet pays for its customer and for those below it.
            CREATE FUNCTION wallet_standing(wallet uuid) RETURNS void LANGUAGE sql AS $$
                SELECT standing_fact(payee.tenant_id, payee.id)
                FROM billing_wallet JOIN tenancy_customer AS payee
                    ON payee.id = billing_wallet.customer_id OR payee.parent_id = billing_wallet.customer_id
                WHERE billing_wallet.id = wallet
            $$;
            CREATE FUNCTION wallet_row_standing() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM wallet_standing(NEW.wallet_id);
                RETURN NULL;
            END $$;
            CREATE TRIGGER wallet_grant_standing AFTER INSERT OR UPDATE ON billing_walletgrant
                FOR EACH ROW EXECUTE FUNCTION wallet_row_standing();
            CREATE TRIGGER wallet_hold_standing AFTER INSERT OR UPDATE ON billing_wallethold
                FOR EACH ROW EXECUTE FUNCTION wallet_row_standing();
            CREATE FUNCTION wallet_burn_standing() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM wallet_standing(wallet_id) FROM billing_walletgrant WHERE id = NEW.grant_id;
                RETURN NULL;
            END $$;
            CREATE TRIGGER wallet_burn_standing AFTER INSERT ON billing_walletburn
                FOR EACH ROW EXECUTE FUNCTION wallet_burn_standing();
            """,
            """
            DROP TRIGGER wallet_burn_standing ON billing_walletburn;
            DROP TRIGGER wallet_hold_standing ON billing_wallethold;
            DROP TRIGGER wallet_grant_standing ON billing_walletgrant;
            DROP TRIGGER contract_standing ON billing_contract;
            DROP TRIGGER subscription_standing ON billing_subscription;
            DROP FUNCTION wallet_burn_standing, wallet_row_standing, wallet_standing, contract_standing,
                subscription_standing, standing_fact;
            """,
        ),
    ]
