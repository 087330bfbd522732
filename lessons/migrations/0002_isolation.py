from django.db import migrations

from config.database.isolation import APPEND, isolate
from config.database.protection import append_only


class Migration(migrations.Migration):
    dependencies = [("lessons", "0001_lessons_proposals"), ("tenancy", "0002_isolation")]

    operations = [
        *isolate(
            "lessons_lesson",
            "lessons_proposal",
            "lessons_nearthreshold",
            "lessons_capturemark",
        ),
        *isolate("lessons_lessonevent", "lessons_proposalevent", privileges=APPEND),
        *append_only("lessons_lessonevent", "lessons_proposalevent"),
    ]
