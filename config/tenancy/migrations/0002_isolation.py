from django.db import migrations

from config.database.isolation import READ, create_roles, isolate


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0001_tenants_keys_idempotency")]

    operations = [
        create_roles(),
        *isolate("tenancy_tenant", column="id", privileges=READ),
        # To authenticate, keys are looked up on the owner's path: it is not known yet whose.
        *isolate("tenancy_apikey", "tenancy_idempotencyrecord"),
    ]
