-- SPDX-License-Identifier: Apache-2.0

-- What guards the tables of the hub, as the server has it: a thing, and what it is. Where servers of different versions
-- write an expression in different ways, it has neither blanks, nor parentheses, nor the names of tables before columns.
WITH tables AS (
    SELECT c.oid, c.relname AS name, c.relkind AS kind, c.relowner AS owner, c.relrowsecurity, c.relacl, c.reloptions
    FROM pg_class c
    WHERE c.relnamespace = 'hub'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
    AND c.relname <> 'refinery_schema_history'
), rights AS (
    SELECT format('%s', t.name) AS at, t.owner, a.*
        FROM tables t, aclexplode(coalesce(t.relacl, acldefault('r', t.owner))) a
    UNION ALL
    SELECT format('%s.%s', t.name, c.attname), t.owner, a.*
        FROM tables t JOIN pg_attribute c ON c.attrelid = t.oid, aclexplode(c.attacl) a
        WHERE NOT c.attisdropped
    UNION ALL
    SELECT format('%s()', p.proname), p.proowner, a.*
        FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.pronamespace = 'hub'::regnamespace
    UNION ALL
    SELECT 'the schema', n.nspowner, a.*
        FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
        WHERE n.nspname = 'hub'
), guards AS (
    SELECT format('row-level security of %s', name) AS thing, 'on' AS what FROM tables WHERE relrowsecurity
    UNION ALL
    SELECT format('constraint %s of %s', c.conname, t.name),
        pg_get_constraintdef(c.oid) || CASE WHEN EXISTS (SELECT FROM pg_trigger g
            WHERE g.tgconstraint = c.oid AND g.tgenabled NOT IN ('O', 'A')) THEN ', switched off' ELSE '' END
        FROM pg_constraint c JOIN tables t ON t.oid = c.conrelid WHERE c.contype IN ('c', 'f', 'p', 'u')
    UNION ALL
    SELECT format('NOT NULL of %s', t.name), string_agg(a.attname, ' ' ORDER BY a.attname)
        FROM pg_attribute a JOIN tables t ON t.oid = a.attrelid
        WHERE t.kind IN ('r', 'p') AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped GROUP BY t.name
    UNION ALL
    SELECT format('unique index %s of %s', x.relname, t.name),
        regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', '') || CASE WHEN i.indisvalid THEN '' ELSE ', not valid' END
        FROM pg_index i JOIN tables t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
        WHERE i.indisunique AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
    UNION ALL
    SELECT format('trigger %s of %s', g.tgname, t.name),
        regexp_replace(pg_get_triggerdef(g.oid), '^CREATE TRIGGER \S+ ', '') || CASE g.tgenabled
            WHEN 'O' THEN '' WHEN 'A' THEN ', always' ELSE ', switched off' END
        FROM pg_trigger g JOIN tables t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal
    UNION ALL
    SELECT format('policy %s of %s', p.policyname, p.tablename),
        concat_ws(' ', p.permissive, p.cmd, array_to_string(p.roles, ','),
            regexp_replace(concat_ws(' / ', p.qual, p.with_check), '\s|[()]|\m\w+\.', '', 'g'))
        FROM pg_policies p JOIN tables t ON t.name = p.tablename WHERE p.schemaname = 'hub'
    UNION ALL
    SELECT format('view %s', t.name),
        concat_ws(' ', array_to_string(t.reloptions, ','), encode(sha256(convert_to(
            regexp_replace(pg_get_viewdef(t.oid), '\s|[()]|\m\w+\.', '', 'g'), 'UTF8')), 'hex'))
        FROM tables t WHERE t.kind IN ('v', 'm')
    UNION ALL
    SELECT format('function %s', p.proname),
        concat_ws(' ', CASE WHEN p.prosecdef THEN 'as its owner' END, array_to_string(p.proconfig, ','),
            encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex'))
        FROM pg_proc p WHERE p.pronamespace = 'hub'::regnamespace
    UNION ALL
    SELECT format('right %s of %s to %s', r.privilege_type,
            CASE r.grantee WHEN 0 THEN 'everyone' ELSE r.grantee::regrole::text END, r.at),
        CASE WHEN r.is_grantable THEN 'to give it on' ELSE '' END
        FROM rights r WHERE r.grantee <> r.owner
)
SELECT thing, what FROM guards ORDER BY thing COLLATE "C", what COLLATE "C"
