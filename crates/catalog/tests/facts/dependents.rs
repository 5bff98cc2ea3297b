//! Views, functions, triggers, rules, policies, publications, inheritance.

use hyperhaul_plan::Relation;
use hyperhaul_plan::facts::FunctionDependent;
use hyperhaul_testkit::TestDatabase;

use crate::{databases, facts, look, names};

const TABLE: &str = "\
CREATE TABLE t (id int, t timestamptz NOT NULL, a text, PRIMARY KEY (id, t)) PARTITION BY RANGE (t);
CREATE TABLE p1 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2025-01-02');
CREATE TABLE p2 PARTITION OF t FOR VALUES FROM ('2025-01-02') TO ('2025-01-03');";

async fn with_table(database: &TestDatabase, sql: &str) {
    database.exec(&format!("{TABLE}{sql}")).await.unwrap();
}

#[tokio::test]
async fn views_and_functions_that_read_the_table_are_found() {
    for database in databases("views").await {
        with_table(
            &database,
            "CREATE VIEW v WITH (security_barrier = true) AS SELECT id, a AS \"A b\" FROM t; \
             CREATE VIEW over_v AS SELECT * FROM v; \
             CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t; CREATE UNIQUE INDEX m_n ON m (n); \
             GRANT SELECT ON m TO PUBLIC; \
             CREATE FUNCTION body() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM t; END; \
             CREATE FUNCTION row_type(t) RETURNS int LANGUAGE sql AS 'SELECT 1'; \
             CREATE FUNCTION both_ties(t[]) RETURNS SETOF int LANGUAGE sql BEGIN ATOMIC SELECT id FROM t; END; \
             CREATE FUNCTION text_body() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.t'",
        )
        .await;
        let found = facts(&database, "t").await;
        assert_eq!(names(&found.views, |view| &view.relation.name), ["v"]);
        let view = &found.views[0];
        assert_eq!(view.options, ["security_barrier=true"]);
        assert_eq!(view.columns, ["id", "A b"]);
        assert!(view.can_replace && view.definition.contains("FROM public.t"));
        assert_eq!(
            names(&found.materialized_views, |view| &view.relation.name),
            ["m"]
        );
        let view = &found.materialized_views[0];
        assert!(view.size_bytes > 0);
        assert_eq!(
            view.indexes,
            ["CREATE UNIQUE INDEX m_n ON public.m USING btree (n)"]
        );
        assert_eq!(
            (view.grants.len(), view.grants[0].grantee.as_deref()),
            (1, None)
        );
        let function = |signature: &str, tie: &str| FunctionDependent {
            signature: signature.to_owned(),
            tie: tie.to_owned(),
        };
        assert_eq!(
            found.functions,
            [
                function("public.body()", "body"),
                function("public.both_ties(public.t[])", "body"),
                function("public.row_type(public.t)", "row type"),
            ]
        );
    }
}

#[tokio::test]
async fn triggers_rules_and_policies_are_found_and_our_own_fence_is_not() {
    for database in databases("triggers").await {
        let role = database.owner_role().await.unwrap();
        with_table(
            &database,
            &format!(
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
                 CREATE SCHEMA hyperhaul; \
                 CREATE FUNCTION hyperhaul.fence() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
                 CREATE TRIGGER rows AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); \
                 CREATE TRIGGER statements AFTER UPDATE ON t REFERENCING NEW TABLE AS n EXECUTE FUNCTION f(); \
                 CREATE TRIGGER \"of leaf\" BEFORE DELETE ON p2 FOR EACH ROW EXECUTE FUNCTION f(); \
                 CREATE TRIGGER hyperhaul_fence BEFORE INSERT ON t EXECUTE FUNCTION hyperhaul.fence(); \
                 ALTER TABLE t ENABLE ALWAYS TRIGGER statements; \
                 CREATE RULE nothing AS ON DELETE TO t WHERE old.id = 0 DO INSTEAD NOTHING; \
                 ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY; \
                 CREATE POLICY p ON t AS RESTRICTIVE FOR UPDATE TO \"{role}\", CURRENT_USER USING (id > 0) WITH CHECK (a <> ''); \
                 CREATE POLICY q ON t USING (true)",
                role = role.name()
            ),
        )
        .await;
        let found = facts(&database, "t").await;
        let triggers: Vec<_> = found
            .triggers
            .iter()
            .map(|trigger| {
                (
                    trigger.name.as_str(),
                    trigger.enabled,
                    trigger.for_each_row,
                    trigger.transition_tables,
                )
            })
            .collect();
        assert_eq!(
            triggers,
            [
                ("rows", 'O', true, false),
                ("statements", 'A', false, true),
                ("of leaf", 'O', true, false)
            ]
        );
        assert_eq!(found.triggers[0].leaf, None);
        assert_eq!(found.triggers[2].leaf, Some(Relation::new("public", "p2")));
        assert_eq!(
            found.triggers[0].definition,
            "CREATE TRIGGER rows AFTER INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.f()"
        );
        assert_eq!(names(&found.rules, |rule| &rule.name), ["nothing"]);
        assert!(found.rules[0].definition.contains("ON DELETE TO public.t"));
        assert!(found.row_security && found.force_row_security);
        let policy = &found.policies[0];
        assert_eq!(
            (policy.permissive, policy.command.as_str()),
            (false, "UPDATE")
        );
        assert_eq!(policy.roles.len(), 2);
        assert!(policy.roles.contains(&role.name().to_owned()));
        assert_eq!(policy.using.as_deref(), Some("(id > 0)"));
        assert_eq!(policy.check.as_deref(), Some("(a <> ''::text)"));
        assert_eq!(
            (
                found.policies[1].command.as_str(),
                found.policies[1].roles.join(",")
            ),
            ("ALL", "public".into())
        );
        // A superuser bypasses row security.
        assert!(!found.privileges.hidden_by_row_security);
    }
}

#[tokio::test]
async fn publications_are_found_however_the_table_is_in_them() {
    for database in databases("publications").await {
        with_table(
            &database,
            "CREATE PUBLICATION by_table FOR TABLE t (id, t) WHERE (id > 0) WITH (publish_via_partition_root = true); \
             CREATE PUBLICATION by_schema FOR TABLES IN SCHEMA public; \
             CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION by_leaves FOR TABLE p1, p2; \
             CREATE PUBLICATION nothing",
        )
        .await;
        let found = facts(&database, "t").await;
        let members: Vec<_> = found
            .publications
            .iter()
            .map(|member| (member.publication.as_str(), member.through.as_str()))
            .collect();
        assert_eq!(
            members,
            [
                ("by_leaves", "leaf"),
                ("by_schema", "schema"),
                ("by_table", "table"),
                ("everything", "all tables")
            ]
        );
        let table = &found.publications[2];
        assert_eq!(
            table.columns.as_deref(),
            Some(&["id".to_owned(), "t".to_owned()][..])
        );
        assert_eq!(table.filter.as_deref(), Some("(id > 0)"));
    }
}

#[tokio::test]
async fn inheritance_is_told_from_partitioning() {
    for database in databases("inherits").await {
        database
            .exec(
                "CREATE TABLE parent (t timestamptz); CREATE TABLE t (a int) INHERITS (parent); \
                 CREATE TABLE child () INHERITS (t)",
            )
            .await
            .unwrap();
        let found = look(&database, "t", Some("t")).await.unwrap();
        assert_eq!(found.inherits, [Relation::new("public", "parent")]);
        assert_eq!(found.inherited_by, [Relation::new("public", "child")]);
        assert_eq!(found.leaves.len(), 1);
    }
}
