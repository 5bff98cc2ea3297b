//! What PostgreSQL's catalogs say of tables, as lines of text that can be compared: queries of these tests' own, which share nothing
//! with `hyperhaul-catalog`. Object identifiers and inner names are left out.

use hyperhaul_testkit::TestDatabase;
use std::collections::BTreeSet;

/// Columns, keys, indexes, comments, grants and what else belongs to one table, whether it is partitioned or a hypertable.
const TABLE: &str = "
WITH the AS (SELECT c.* FROM pg_class AS c WHERE c.oid = $1::text::regclass)
SELECT format('column %s %s %s null=%s default=%s generated=%s identity=%s statistics=%s storage=%s compression=%s acl=%s options=%s comment=%s',
    row_number() OVER (ORDER BY a.attnum), a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
    a.attgenerated, a.attidentity, nullif(a.attstattarget, -1), a.attstorage, a.attcompression, a.attacl, a.attoptions, col_description(a.attrelid, a.attnum))
FROM the JOIN pg_attribute AS a ON a.attrelid = the.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT format('table owner=%s acl=%s identity=%s security=%s comment=%s', relowner::regrole,
    (SELECT array_agg(i::text ORDER BY i::text) FROM unnest(relacl) AS i), relreplident, relrowsecurity, obj_description(oid, 'pg_class'))
FROM the
UNION ALL
SELECT format('index %s valid=%s comment=%s', replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '), i.indisvalid,
    obj_description(i.indexrelid, 'pg_class'))
FROM the JOIN pg_index AS i ON i.indrelid = the.oid
UNION ALL
SELECT format('constraint %s %s valid=%s comment=%s', k.conname, pg_get_constraintdef(k.oid), k.convalidated, obj_description(k.oid, 'pg_constraint'))
FROM the JOIN pg_constraint AS k ON k.conrelid = the.oid AND k.conparentid = 0 AND k.contype <> 'n'
UNION ALL
SELECT format('referenced by %s %s %s valid=%s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), k.convalidated)
FROM the JOIN pg_constraint AS k ON k.confrelid = the.oid AND k.conparentid = 0
UNION ALL
SELECT format('trigger %s enabled=%s', pg_get_triggerdef(t.oid), t.tgenabled)
FROM the JOIN pg_trigger AS t ON t.tgrelid = the.oid AND NOT t.tgisinternal AND t.tgname NOT LIKE 'ts\\_%'
UNION ALL
SELECT format('statistics %s comment=%s', pg_get_statisticsobjdef(s.oid), obj_description(s.oid, 'pg_statistic_ext'))
FROM the JOIN pg_statistic_ext AS s ON s.stxrelid = the.oid
UNION ALL
SELECT format('publication %s', p.pubname)
FROM the JOIN pg_publication_rel AS r ON r.prrelid = the.oid JOIN pg_publication AS p ON p.oid = r.prpubid
UNION ALL
SELECT DISTINCT format('view %s owner=%s acl=%s comment=%s %s', v.oid::regclass, v.relowner::regrole, v.relacl, obj_description(v.oid, 'pg_class'), pg_get_viewdef(v.oid))
FROM the JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = the.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite AS w ON w.oid = d.objid JOIN pg_class AS v ON v.oid = w.ev_class
UNION ALL
SELECT format('sequence of %s: %s %s owner=%s', a.attname, q.oid::regclass, d.deptype, q.relowner::regrole)
FROM the JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = the.oid AND d.refobjsubid > 0 AND d.classid = 'pg_class'::regclass
    JOIN pg_class AS q ON q.oid = d.objid AND q.relkind = 'S' JOIN pg_attribute AS a ON a.attrelid = the.oid AND a.attnum = d.refobjsubid";

/// Every relation that is neither an extension's nor the ledger's, with its place in a partition tree, and every schema.
const RELATIONS: &str = "
SELECT format('relation %s %s parent=%s bound=%s', c.oid::regclass, c.relkind, i.inhparent::regclass, pg_get_expr(c.relpartbound, c.oid)), n.nspname, c.relname, c.relkind IN ('r', 'p')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
WHERE n.nspname !~ '^(pg_|information_schema$|_?timescaledb|hyperhaul$)'
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT format('schema %s', nspname), NULL, NULL, false FROM pg_namespace WHERE nspname !~ '^(pg_|hyperhaul$)'
UNION ALL
SELECT format('hypertable %s.%s', hypertable_schema, hypertable_name), NULL, NULL, false FROM timescaledb_information.hypertables";

/// The lines of one table, named as SQL would name it.
pub(super) async fn table(database: &TestDatabase, name: &str) -> BTreeSet<String> {
    let client = database.connect().await.unwrap();
    client
        .batch_execute("SET search_path = pg_catalog")
        .await
        .unwrap();
    let rows = client
        .query(TABLE, &[&name])
        .await
        .unwrap_or_else(|error| panic!("{name}: {error:?}"));
    rows.iter()
        .filter_map(|row| row.get::<_, Option<String>>(0))
        .collect()
}

/// The lines of all tables of the database, of what they are to each other, and of pg_partman's configuration where there is one.
pub(super) async fn everything(database: &TestDatabase) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for row in database.query(RELATIONS, &[]).await.unwrap() {
        lines.insert(row.get::<_, String>(0));
        if row.get::<_, Option<bool>>(3) == Some(true) {
            let (schema, name): (String, String) = (row.get(1), row.get(2));
            let quoted = format!(
                "\"{}\".\"{}\"",
                schema.replace('"', "\"\""),
                name.replace('"', "\"\"")
            );
            lines.extend(
                table(database, &quoted)
                    .await
                    .into_iter()
                    .map(|line| format!("{quoted} {line}")),
            );
        }
    }
    if database
        .value::<bool>("SELECT to_regclass('partman.part_config') IS NOT NULL")
        .await
        .unwrap()
    {
        lines.extend(
            database
                .values::<String>(
                    "SELECT format('partman %s', to_jsonb(c)) FROM partman.part_config AS c",
                )
                .await
                .unwrap(),
        );
    }
    lines
}

/// Panics with the lines that only one side has.
#[track_caller]
pub(super) fn assert_same(before: &BTreeSet<String>, after: &BTreeSet<String>) {
    let gone: Vec<&String> = before.difference(after).collect();
    let new: Vec<&String> = after.difference(before).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "gone: {gone:#?}\nnew: {new:#?}"
    );
}
