"""An issued invoice keeps its lines and taxes, too."""

from django.db import migrations

CREATE = """
CREATE FUNCTION refuse_issued_part_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    issued text;
BEGIN
    SELECT number INTO issued FROM billing_invoice
     WHERE id = CASE TG_OP WHEN 'INSERT' THEN NEW.invoice_id ELSE OLD.invoice_id END AND status <> 'DRAFT';
    IF FOUND THEN
        RAISE EXCEPTION 'invoice % is issued and never changes', issued USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER invoice_line_issued_is_final BEFORE INSERT OR UPDATE OR DELETE ON billing_invoiceline
    FOR EACH ROW EXECUTE FUNCTION refuse_issued_part_change();
CREATE TRIGGER invoice_tax_issued_is_final BEFORE INSERT OR UPDATE OR DELETE ON billing_invoicetax
    FOR EACH ROW EXECUTE FUNCTION refuse_issued_part_change();
"""

DROP = """
DROP TRIGGER invoice_tax_issued_is_final ON billing_invoicetax;
DROP TRIGGER invoice_line_issued_is_final ON billing_invoiceline;
DROP FUNCTION refuse_issued_part_change();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_bill_run_progress")]

    operations = [migrations.RunSQL(CREATE, DROP)]
