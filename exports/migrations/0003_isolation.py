"""Bundles and reviews are seen by their tenant alone, and by it only added to."""

import django.db.models.deletion
from django.db import migrations, models

from config.database.isolation import APPEND, isolate, share

# Reviews are append-only, so what was there before the column is filled in under a raised guard.
FILL = """
ALTER TABLE exports_bundlereview DISABLE TRIGGER exports_bundlereview_append_only;
UPDATE exports_bundlereview r SET tenant_id = b.tenant_id
    FROM exports_bundle b WHERE b.id = r.bundle_id;
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
ALTER TABLE exports_bundlereview ENABLE ALWAYS TRIGGER exports_bundlereview_append_only;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("exports", "0002_append_only"),
        ("tenancy", "0002_isolation"),
        ("operations", "0001_housekeeping_audit"),
    ]

    operations = [
        migrations.AlterField(
            model_name="bundle",
            name="created_by",
            field=models.CharField(editable=False, max_length=300),
        ),
        migrations.AlterField(
            model_name="bundlereview",
            name="created_by",
            field=models.CharField(editable=False, max_length=300),
        ),
        migrations.AddField(
            model_name="bundlereview",
            name="tenant",
            field=models.ForeignKey(
                null=True,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="bundlereview",
            name="tenant",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        *isolate("exports_bundle", "exports_bundlereview", privileges=APPEND),
        # The first export registers the key that it makes; only the owner's path retires one.
        *share("exports_signingkey", privileges=APPEND),
        # That somebody exported is written in the export's own transaction.
        *share("operations_auditevent", privileges="INSERT"),
    ]
