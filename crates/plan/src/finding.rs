//! What a check saw: a code, how bad it is, what was seen with numbers, and what resolves it.

use crate::Relation;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that a check saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name, also what `--accept` takes.
    pub code: Code,
    /// Whether the run may go on.
    pub severity: Severity,
    /// The table that it is about; `None` for a server.
    pub table: Option<Relation>,
    /// The object in it: a constraint, column, role ...; as people write it.
    pub object: Option<String>,
    /// What was seen, with numbers; lower case, no period.
    pub message: String,
    /// What the consequence is and why, as sentences; empty if the message says it all.
    pub detail: String,
    /// What resolves it: SQL or a flag, ready to be pasted; empty if nothing has to be done.
    pub resolution: Vec<String>,
    /// Whether `--accept CODE` turns this block into a warning, since the plan knows how to carry on.
    pub acceptable: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// The run goes on; a person should look.
    Warn,
    /// The run does not start.
    Block,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Block => "block",
        })
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// The kinds of finding. Names are stable: users write them in `--accept` and in configurations.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// The stable name.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)+ }
            }

            /// What it means, for `--help` and the documentation.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// TimescaleDB is not installed in the target database.
    ExtensionMissing = "extension_missing",
    /// TimescaleDB is too old, or a version that we do not know.
    ExtensionVersion = "extension_version",
    /// TimescaleDB's library is not preloaded.
    NotPreloaded = "not_preloaded",
    /// Which edition runs, and what follows from it.
    Edition = "edition",
    /// The server's version is not supported.
    ServerVersion = "server_version",
    /// The server is a standby.
    Standby = "standby",
    /// A privilege that the run needs is missing.
    Privilege = "privilege",
    /// Free disk on the target against the computed need.
    Disk = "disk",
    /// A primary key or unique index without the time column cannot exist on a hypertable.
    UniqueWithoutTime = "unique_without_time",
    /// An exclusion constraint cannot exist on a hypertable.
    ExclusionConstraint = "exclusion_constraint",
    /// Rows whose time is NULL.
    NullTime = "null_time",
    /// Rows whose time is infinite.
    InfiniteTime = "infinite_time",
    /// Rows whose time is absurd: they would make thousands of chunks, or none that makes sense.
    AbsurdTime = "absurd_time",
    /// The time column may be NULL.
    NullableTime = "nullable_time",
    /// Rows in the default partition.
    DefaultPartition = "default_partition",
    /// A foreign key between two hypertables cannot exist.
    HypertableForeignKey = "hypertable_foreign_key",
    /// A foreign key of another table refers to the table and is re-pointed.
    ReferencedBy = "referenced_by",
    /// A foreign key's referenced table is missing on the target.
    ReferencedTableMissing = "referenced_table_missing",
    /// A foreign key is validated against the rows that the target has already.
    ReferencedRows = "referenced_rows",
    /// A view reads the table and is re-pointed.
    View = "view",
    /// A materialized view reads the table and cannot be re-pointed.
    MaterializedView = "materialized_view",
    /// A function is tied to the table.
    Function = "function",
    /// The table or a leaf is in a publication.
    Publication = "publication",
    /// The table or a leaf receives rows by logical replication.
    Subscription = "subscription",
    /// Another run keeps writers off the table.
    Fenced = "fenced",
    /// A rewrite rule is on the table.
    Rule = "rule",
    /// A trigger is on the table.
    Trigger = "trigger",
    /// Row security is on, or policies exist.
    RowSecurity = "row_security",
    /// The table takes part in inheritance.
    Inheritance = "inheritance",
    /// A generated column is recomputed.
    GeneratedColumn = "generated_column",
    /// An identity or serial column's sequence is carried on.
    Sequence = "sequence",
    /// A type's binary form does not travel between the databases.
    BinaryTravel = "binary_travel",
    /// An extension of the source is not installed on the target.
    SourceExtension = "source_extension",
    /// A type is missing on the target.
    TypeMissing = "type_missing",
    /// A role is missing on the target.
    RoleMissing = "role_missing",
    /// Source and target have different encodings.
    Encoding = "encoding",
    /// Locks needed against the size of the lock table.
    Locks = "locks",
    /// A session or prepared transaction holds a lock that the run has to wait for.
    BlockingSession = "blocking_session",
    /// pg_partman manages the table.
    Partman = "partman",
    /// A transaction-mode pooler stands between hyperhaul and the server.
    Pooler = "pooler",
    /// The role or database has timeouts that hyperhaul overrides.
    Timeouts = "timeouts",
    /// The table is of a kind that cannot be moved.
    TableKind = "table_kind",
    /// The table is not partitioned by the time column.
    PartitionKey = "partition_key",
    /// A leaf cannot be read as ours: a foreign table.
    ForeignLeaf = "foreign_leaf",
    /// A name that the run needs is taken.
    NameTaken = "name_taken",
    /// Something hangs on a single partition: a view, function, rule, check or foreign key.
    LeafObject = "leaf_object",
    /// An index on a leaf only is not carried over.
    LeafIndex = "leaf_index",
    /// An index is invalid.
    InvalidIndex = "invalid_index",
    /// More chunks than is good.
    ManyChunks = "many_chunks",
    /// A leaf's bounds do not line up with chunks: its rows are routed.
    MisalignedBounds = "misaligned_bounds",
    /// The table has no row.
    EmptyTable = "empty_table",
    /// The table has no primary or unique key: a mismatch is reported by whole rows' positions.
    NoKey = "no_key",
    /// How the rows get to the target: a strategy that was asked for is impossible, or has a consequence to know.
    Strategy = "strategy",
    /// What history that follows beside live rows means for the application, or would do to rows.
    Backfill = "backfill",
    /// A storage parameter or tablespace that is not carried over.
    StorageOption = "storage_option",
    /// What becomes of a declared columnstore.
    Columnstore = "columnstore",
    /// What becomes of a declared retention, and what its first run drops.
    Retention = "retention",
    /// What becomes of a declared aggregate.
    Aggregate = "aggregate",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Code, String> {
        let found = Code::ALL.iter().find(|code| code.name() == text);
        found
            .copied()
            .ok_or_else(|| format!("there is no finding called \"{text}\""))
    }
}

impl Finding {
    /// A finding without object, detail or resolution; add those with the methods below.
    pub fn new(code: Code, severity: Severity, message: impl Into<String>) -> Finding {
        Finding {
            code,
            severity,
            table: None,
            object: None,
            message: message.into(),
            detail: String::new(),
            resolution: Vec::new(),
            acceptable: false,
        }
    }

    /// About `table`.
    pub fn on(mut self, table: &Relation) -> Finding {
        self.table = Some(table.clone());
        self
    }

    /// About `object` in it.
    pub fn object(mut self, object: impl Into<String>) -> Finding {
        self.object = Some(object.into());
        self
    }

    /// With an explanation.
    pub fn detail(mut self, detail: impl Into<String>) -> Finding {
        self.detail = detail.into();
        self
    }

    /// With SQL or a flag that resolves it; may be called several times.
    pub fn resolve(mut self, sql_or_flag: impl Into<String>) -> Finding {
        self.resolution.push(sql_or_flag.into());
        self
    }

    /// The plan knows how to carry on: `--accept CODE` lowers the block to a warning.
    pub fn acceptable(mut self) -> Finding {
        self.acceptable = true;
        self
    }
}
