from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('entitlements', '0007_touched_facts'),
    ]

    operations = [
        # What is long over is looked for by its start: windows that ended and are kept still are many times as many.
        migrations.AddIndex(
            model_name='quotapool',
            index=models.Index(fields=['tenant', 'window_start'], name='quota_pool_start'),
        ),
    ]
