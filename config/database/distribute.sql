-- Makes every key of a migrated Firebreak contain the tenant, as tables that Citus distributes by
-- tenant need it. One machine does not: an id is a UUIDv7, unique by itself, and a key by it alone
-- finds a row whose tenant is not known yet, as the admin's pages do.
--
--     psql "$DATABASE_URL" -v ON_ERROR_STOP=1 --single-transaction -f config/database/distribute.sql
--
-- A unique key gets the tenant in front, which refuses neither more nor less than it did, because
-- what the key names has one tenant. A foreign key gets it on both sides, so that no row can refer
-- to one of another tenant. Names stay.
--
-- Left alone, because these are reference tables (or local ones), whole on every node:
--   tenancy_tenant              what all the others refer to
--   tenancy_apikey              a key is looked up by its digest, before its tenant is known
--   tenancy_stafftenant         joined with people, who belong to no tenant
--   operations_auditevent       also holds logins, which belong to no tenant
--   exports_signingkey          signs for all tenants

DO $$
DECLARE
    apart CONSTANT text[] := ARRAY[
        'tenancy_tenant', 'tenancy_apikey', 'tenancy_stafftenant', 'operations_auditevent',
        'exports_signingkey'
    ];
    tie record;
    key record;
BEGIN
    CREATE TEMP TABLE distributed ON COMMIT DROP AS
    SELECT c.oid AS id FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND a.attname = 'tenant_id' AND c.relname <> ALL (apart);

    CREATE TEMP TABLE ties ON COMMIT DROP AS
    SELECT c.conrelid::regclass AS child, c.conname AS name, a.attname AS "column",
        c.confrelid::regclass AS parent, b.attname AS target
    FROM pg_constraint c
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
    WHERE c.contype = 'f' AND cardinality(c.conkey) = 1
        AND c.conrelid IN (SELECT id FROM distributed)
        AND c.confrelid IN (SELECT id FROM distributed);

    FOR tie IN SELECT * FROM ties LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', tie.child, tie.name);
    END LOOP;

    FOR key IN
        SELECT i.indrelid::regclass AS owner, x.relname AS name, c.contype AS kind,
            regexp_replace(pg_get_indexdef(i.indexrelid), ' USING btree \(',
                ' USING btree (tenant_id, ') AS definition
        FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
        LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
        WHERE i.indisunique AND i.indrelid IN (SELECT id FROM distributed)
            AND NOT EXISTS (
                SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid
                    AND a.attname = 'tenant_id' AND a.attnum = ANY (i.indkey::int2[])
            )
    LOOP
        IF key.kind IS NULL THEN
            EXECUTE format('DROP INDEX %I', key.name);
        ELSE
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', key.owner, key.name);
        END IF;
        EXECUTE key.definition;
        IF key.kind IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I', key.owner,
                key.name, CASE key.kind WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, key.name);
        END IF;
    END LOOP;

    FOR tie IN SELECT * FROM ties LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (tenant_id, %I) '
            'REFERENCES %s (tenant_id, %I) DEFERRABLE INITIALLY DEFERRED',
            tie.child, tie.name, tie."column", tie.parent, tie.target);
    END LOOP;
END
$$;
