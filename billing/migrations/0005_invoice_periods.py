import datetime

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0004_issued_lines'),
    ]

    operations = [
        migrations.AddField(
            model_name='invoice',
            name='carried_out',
            field=models.JSONField(default=list, help_text='Unused units that the next period takes over.'),
        ),
        # No invoice exists before this migration; the default only satisfies the column.
        migrations.AddField(
            model_name='invoice',
            name='last_on',
            field=models.DateField(default=datetime.date(2026, 1, 1), help_text="Last billed local day; puts the invoice into a month's bill run."),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='quantity',
            field=models.DecimalField(decimal_places=30, max_digits=60, null=True),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(fields=['tenant', 'last_on'], name='invoice_last_on'),
        ),
    ]
