"""A search answers all at once; an event's tenant is checked with its incident's."""

import django.db.models.deletion
from django.db import migrations, models

from incidents.models import documents


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0010_assignee_index"),
        ("tenancy", "0005_retention"),
    ]

    operations = [
        # Every incident that is opened paid for a second check of what the first one says.
        migrations.AlterField(
            model_name="event",
            name="tenant",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        # The one before it answered one by one.
        migrations.RunSQL("DROP FUNCTION IF EXISTS incidents_found(text, text)", ""),
        migrations.RunSQL(documents.CREATE_FOUND, ""),
        migrations.RunSQL(documents.KEEP_FOUND, ""),
    ]
