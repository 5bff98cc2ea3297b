//! Functions that hash values of columns.

use hyperhaul_plan::facts::HashArgument::{Bytes, Integer, Timestamp, Value};

use crate::{databases, facts};

#[tokio::test]
async fn columns_have_the_hash_function_that_sql_can_call_for_them() {
    for database in databases("hash_functions").await {
        database
            .exec(
                "CREATE TYPE mood AS ENUM ('calm', 'cross'); CREATE DOMAIN a_mood AS mood; \
                 CREATE DOMAIN word AS varchar(9); CREATE DOMAIN short_word AS word CHECK (length(value) < 4); \
                 CREATE TYPE pair AS (a int, b int); \
                 CREATE TABLE t (gone int, t timestamptz NOT NULL, \"I d\" int NOT NULL, n numeric, flag boolean, w short_word, \
                 list text[], m mood, d a_mood, p pair, r int4range, twice int GENERATED ALWAYS AS (\"I d\" * 2) STORED, u uuid); \
                 ALTER TABLE t DROP COLUMN gone",
            )
            .await
            .unwrap();
        let found = facts(&database, "t").await;
        let functions: Vec<_> = found
            .hash_functions
            .iter()
            .map(|function| {
                let (column, name) = (function.column.as_str(), function.name.as_str());
                (column, name, function.argument, function.nullable)
            })
            .collect();
        assert_eq!(
            functions,
            [
                ("t", "timestamp_hash_extended", Timestamp, false),
                ("I d", "hashint4extended", Value, false),
                ("n", "hash_numeric_extended", Value, true),
                ("flag", "hashint4extended", Integer, true),
                ("w", "hashtextextended", Bytes, true),
                ("list", "hash_array_extended", Bytes, true),
                ("m", "hashenumextended", Value, true),
                ("r", "hash_range_extended", Value, true),
                ("u", "uuid_hash_extended", Value, true),
            ]
        );
    }
}
