"""Bundles and reviews are append-only; a signing key can be retired, once, and nothing else."""

from django.db import migrations

from config.database.protection import append_only

KEEP_KEYS = """
CREATE FUNCTION firebreak_signing_key_kept() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.retired_at IS NULL
        AND (NEW.key_id, NEW.public_pem, NEW.created_at)
            IS NOT DISTINCT FROM (OLD.key_id, OLD.public_pem, OLD.created_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% on % is refused: old bundles are verified with old keys',
        TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END
$$
"""


class Migration(migrations.Migration):
    dependencies = [("exports", "0001_bundles_reviews_keys")]

    operations = [
        *append_only("exports_bundle", "exports_bundlereview"),
        migrations.RunSQL(KEEP_KEYS, "DROP FUNCTION firebreak_signing_key_kept()"),
        migrations.RunSQL(
            "CREATE TRIGGER exports_signingkey_kept_row BEFORE UPDATE OR DELETE "
            "ON exports_signingkey FOR EACH ROW EXECUTE FUNCTION firebreak_signing_key_kept()",
            "DROP TRIGGER exports_signingkey_kept_row ON exports_signingkey",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER exports_signingkey_kept BEFORE TRUNCATE "
            "ON exports_signingkey FOR EACH STATEMENT "
            "EXECUTE FUNCTION firebreak_signing_key_kept()",
            "DROP TRIGGER exports_signingkey_kept ON exports_signingkey",
        ),
    ]
