"""Fewer indexes on the items of bill runs: each query has one of its own."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0024_exchange_rates'),
        ('tenancy', '0002_customer_vat'),
    ]

    operations = [
        migrations.AlterField(
            model_name='billrunitem',
            name='run',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='items', to='billing.billrun'),
        ),
        migrations.AlterField(
            model_name='billrunitem',
            name='tenant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant'),
        ),
    ]
