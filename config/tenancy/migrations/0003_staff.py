import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from config.database.isolation import STAFF_ROLE, share

ROLES = ("viewer", "responder", "compliance", "administrator")


def make_roles(apps, schema_editor):
    groups = apps.get_model("auth", "Group").objects
    for role in ROLES:
        groups.get_or_create(name=role)


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("tenancy", "0002_isolation"),
    ]

    operations = [
        migrations.CreateModel(
            name="StaffTenant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="staff_tenants",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "tenant of a person",
                "verbose_name_plural": "tenants of a person",
                "ordering": ["tenant_id"],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "tenant"), name="staff_tenant_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("screen", models.CharField(max_length=100)),
                ("name", models.CharField(max_length=60)),
                ("query", models.CharField(blank=True, max_length=2000)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="saved_views",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "screen", "name"), name="saved_view_once"
                    )
                ],
            },
        ),
        # What limited staff need besides the rows of their tenants, to be let at the admin.
        *share(
            "auth_user",
            "auth_group",
            "auth_permission",
            "auth_user_groups",
            "auth_group_permissions",
            "auth_user_user_permissions",
            "django_content_type",
            "tenancy_stafftenant",
            privileges="SELECT",
            roles=STAFF_ROLE,
        ),
        *share("django_admin_log", privileges="SELECT, INSERT", roles=STAFF_ROLE),
        *share("tenancy_savedview", privileges="SELECT, INSERT, UPDATE, DELETE", roles=STAFF_ROLE),
        # Administrators change the overrides of their tenants; the policies say of which.
        *share("tenancy_tenant", privileges="UPDATE", roles=STAFF_ROLE),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
