"""For the admin's list of incidents, narrowed to who has to see to them, newest first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0009_known_values"),
        ("tenancy", "0005_retention"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                condition=models.Q(("assignee__isnull", False)),
                fields=["assignee", "-id"],
                name="incident_assignee",
            ),
        ),
    ]
