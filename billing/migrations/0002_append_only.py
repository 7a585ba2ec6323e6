"""What the database itself holds: a balanced ledger, and rows that are never edited or removed."""

from django.db import migrations

CREATE = """
CREATE FUNCTION ledger_transaction_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    off record;
BEGIN
    SELECT currency, sum(amount) AS difference INTO off
      FROM billing_ledgerentry WHERE transaction_id = NEW.transaction_id
     GROUP BY currency HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger transaction % is off by % %', NEW.transaction_id, off.difference, off.currency
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

-- Deferred: the entries of one transaction come row by row and balance only at the end.
CREATE CONSTRAINT TRIGGER ledger_entry_balances AFTER INSERT ON billing_ledgerentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_transaction_balances();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only; correct it by a new row', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER ledger_entry_append_only BEFORE UPDATE OR DELETE ON billing_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_transaction_append_only BEFORE UPDATE OR DELETE ON billing_ledgertransaction
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER subscription_phase_append_only BEFORE UPDATE OR DELETE ON billing_subscriptionphase
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER wallet_burn_append_only BEFORE UPDATE OR DELETE ON billing_walletburn
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- An issued invoice keeps every figure; only its status may move on.
CREATE FUNCTION refuse_issued_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'DRAFT' AND (
        TG_OP = 'DELETE' OR (to_jsonb(NEW) - 'status') IS DISTINCT FROM (to_jsonb(OLD) - 'status')
    ) THEN
        RAISE EXCEPTION 'invoice % is issued and never changes', OLD.number USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER invoice_issued_is_final BEFORE UPDATE OR DELETE ON billing_invoice
    FOR EACH ROW EXECUTE FUNCTION refuse_issued_change();
"""

DROP = """
DROP TRIGGER invoice_issued_is_final ON billing_invoice;
DROP TRIGGER wallet_burn_append_only ON billing_walletburn;
DROP TRIGGER subscription_phase_append_only ON billing_subscriptionphase;
DROP TRIGGER ledger_transaction_append_only ON billing_ledgertransaction;
DROP TRIGGER ledger_entry_append_only ON billing_ledgerentry;
DROP TRIGGER ledger_entry_balances ON billing_ledgerentry;
DROP FUNCTION refuse_issued_change();
DROP FUNCTION refuse_change();
DROP FUNCTION ledger_transaction_balances();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
