//! pg_partman's management of a table.

use serde::{Deserialize, Serialize};

/// A table's row in `part_config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partman {
    /// Schema of the extension's objects.
    pub schema: String,
    /// Version of the extension.
    pub version: String,
    /// `part_config.parent_table` as it is written there.
    pub parent_table: String,
    /// `control` column.
    pub control: String,
    /// `partition_interval` as text.
    pub interval: String,
    /// `retention` as text, if set.
    pub retention: Option<String>,
    /// Whether retention keeps detached tables.
    pub retention_keep_table: bool,
    /// `automatic_maintenance`.
    pub automatic_maintenance: String,
    /// The whole `part_config` row as JSON, columns that maintenance changes by itself included.
    pub config: serde_json::Value,
    /// Rows of `part_config_sub` for it, as JSON.
    pub sub_config: Vec<serde_json::Value>,
    /// Template table, if there is one.
    pub template: Option<String>,
    /// Whether the role may change `part_config`.
    pub can_change: bool,
}
