"""The alerts of an incident by when they came, which takes a fraction of the index by their ids."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0012_worst_first"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="alert",
            options={"ordering": ["-created_at", "-id"]},
        ),
        migrations.RemoveIndex(
            model_name="alert",
            name="alert_incident",
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(fields=["incident", "created_at"], name="alert_incident"),
        ),
    ]
