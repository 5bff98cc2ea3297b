//! Which crate may depend on which. The table is the architecture; `cargo metadata` is what is true.

use super::assert_none;
use super::repository::root;
use cargo_metadata::{DependencyKind, MetadataCommand};

/// What a crate of the workspace may depend on, in its build and at its run.
struct Allowed {
    name: &'static str,
    ours: &'static [&'static str],
    others: Others,
}

/// Crates from outside.
enum Others {
    /// Any but the PostgreSQL client, which is behind `pg`.
    AllButClient,
    /// The PostgreSQL client too.
    WithClient,
    /// These alone: a new one in a pure crate is decided here.
    Only(&'static [&'static str]),
}

const TABLE: &[Allowed] = &[
    Allowed {
        name: "pgcopy",
        ours: &[],
        others: Others::Only(&["bytes", "thiserror", "xxhash-rust"]),
    },
    Allowed {
        name: "plan",
        ours: &[],
        others: Others::Only(&["chrono", "serde", "serde_json", "thiserror"]),
    },
    Allowed {
        name: "decode",
        ours: &["pgcopy"],
        others: Others::Only(&[
            "bytes",
            "memchr",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "toml",
            "xxhash-rust",
        ]),
    },
    Allowed {
        name: "spool",
        ours: &[],
        others: Others::Only(&["crc32c", "thiserror"]),
    },
    Allowed {
        name: "pg",
        ours: &[],
        others: Others::WithClient,
    },
    Allowed {
        name: "catalog",
        ours: &["pg", "plan"],
        others: Others::AllButClient,
    },
    Allowed {
        name: "ledger",
        ours: &["pg", "plan", "pgcopy"],
        others: Others::AllButClient,
    },
    Allowed {
        name: "engine",
        ours: &["pg", "pgcopy"],
        others: Others::AllButClient,
    },
    Allowed {
        name: "migrate",
        ours: &["pg", "plan", "pgcopy", "catalog", "ledger", "engine"],
        others: Others::AllButClient,
    },
    Allowed {
        name: "ingest",
        ours: &[
            "pg", "plan", "pgcopy", "catalog", "ledger", "decode", "spool",
        ],
        others: Others::AllButClient,
    },
    Allowed {
        name: "workload",
        ours: &["pg", "pgcopy"],
        others: Others::AllButClient,
    },
    // Looks at servers with a client of its own, so that tests of `pg` do not lean on `pg`.
    Allowed {
        name: "testkit",
        ours: &[],
        others: Others::WithClient,
    },
    Allowed {
        name: "cli",
        ours: &["pg", "plan", "migrate", "ingest", "workload"],
        others: Others::AllButClient,
    },
];

/// Packages that measure or test everything.
const UNBOUND: &[&str] = &["benches", "tests"];

const CLIENT: &[&str] = &[
    "tokio-postgres",
    "postgres-types",
    "postgres-protocol",
    "tokio-postgres-rustls",
];

/// An arrow: from a crate of ours to any crate.
struct Arrow {
    from: String,
    to: String,
    for_tests: bool,
}

fn complaint(arrow: &Arrow) -> Option<String> {
    let Arrow {
        from,
        to,
        for_tests,
    } = arrow;
    if UNBOUND.contains(&from.as_str()) {
        return None;
    }
    let Some(allowed) = TABLE.iter().find(|allowed| allowed.name == from) else {
        return Some(format!(
            "crates/{from}: a new crate needs a line in the table of tidy/arrows.rs"
        ));
    };
    let is_allowed = match (to.strip_prefix("hyperhaul-"), for_tests) {
        (Some("testkit"), true) => true,
        (Some(ours), _) => allowed.ours.contains(&ours),
        (None, true) => true,
        (None, false) => match allowed.others {
            Others::AllButClient => !CLIENT.contains(&to.as_str()),
            Others::WithClient => true,
            Others::Only(names) => names.contains(&to.as_str()),
        },
    };
    (!is_allowed)
        .then(|| format!("crates/{from}: may not depend on {to}; see the table of tidy/arrows.rs"))
}

fn arrows() -> Vec<Arrow> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata runs");
    let mut arrows = Vec::new();
    for package in metadata.packages {
        let from = package
            .name
            .strip_prefix("hyperhaul-")
            .expect("our packages are called hyperhaul-*")
            .to_owned();
        arrows.extend(package.dependencies.into_iter().map(|dependency| Arrow {
            from: from.clone(),
            to: dependency.name,
            for_tests: dependency.kind == DependencyKind::Development,
        }));
    }
    arrows
}

#[test]
fn crates_depend_only_on_those_above_them() {
    let arrows = arrows();
    assert!(
        arrows.iter().any(|arrow| arrow.from == "migrate"),
        "cargo metadata shows no migrate"
    );
    assert_none(arrows.iter().filter_map(complaint).collect());
}

#[test]
fn the_table_names_no_crate_that_is_gone() {
    let arrows = arrows();
    for allowed in TABLE {
        assert!(
            arrows.iter().any(|arrow| arrow.from == allowed.name),
            "there is no crate {}",
            allowed.name
        );
    }
}

#[test]
fn arrows_down_the_list_and_around_pg_are_seen() {
    let arrow = |from: &str, to: &str, for_tests| Arrow {
        from: from.into(),
        to: to.into(),
        for_tests,
    };
    let forbidden = [
        arrow("plan", "hyperhaul-pg", false),
        arrow("engine", "hyperhaul-plan", false),
        arrow("plan", "tokio", false),
        arrow("migrate", "tokio-postgres", false),
        arrow("ledger", "hyperhaul-migrate", true),
        arrow("brandnew", "serde", false),
    ];
    for arrow in forbidden {
        assert!(
            complaint(&arrow).is_some(),
            "{} -> {}",
            arrow.from,
            arrow.to
        );
    }
    assert!(complaint(&arrow("plan", "hyperhaul-testkit", true)).is_none());
    assert!(complaint(&arrow("tests", "hyperhaul-migrate", false)).is_none());
}
