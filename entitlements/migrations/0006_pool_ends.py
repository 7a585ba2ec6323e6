"""Pools know when their window ends, and leases when their site last asked."""

from django.db import migrations, models

import aforo.kernel.clock

# No window that a pool was made for is longer; what is kept too long is pruned later.
ADD = """
ALTER TABLE entitlements_quotapool ADD COLUMN window_end timestamptz;
UPDATE entitlements_quotapool SET window_end = window_start + interval '1 year';
ALTER TABLE entitlements_quotapool ALTER COLUMN window_end SET NOT NULL;
"""
DROP = "ALTER TABLE entitlements_quotapool DROP COLUMN window_end"


class Migration(migrations.Migration):
    dependencies = [("entitlements", "0005_grants_recur")]

    operations = [
        migrations.AlterModelOptions(
            name="quotapool",
            options={
                "ordering": ["-id"],
                "verbose_name": "quota with leases",
                "verbose_name_plural": "quotas with leases",
            },
        ),
        migrations.RunSQL(
            ADD,
            DROP,
            state_operations=[
                migrations.AddField("quotapool", "window_end", models.DateTimeField(), preserve_default=False)
            ],
        ),
        migrations.AddField("lease", "renewed_at", models.DateTimeField(default=aforo.kernel.clock.now)),
        migrations.AddIndex(
            "quotapool", models.Index(fields=["tenant", "window_end"], name="quota_pool_end")
        ),
    ]
