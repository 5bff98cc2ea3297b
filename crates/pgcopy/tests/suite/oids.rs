//! Type OIDs, against the same values as two real databases wrote them.

use hyperhaul_pgcopy::TypeShape::{Array, Composite, Plain};
use hyperhaul_pgcopy::{
    Framer, NESTING_MAX, OidMap, OidMapping, TupleMut, TypeShape, rewrite_array, rewrite_composite,
};

use crate::golden::{TYPED_SOURCE, TYPED_TARGET};
use crate::streams::frame;

/// The map between the databases of the golden files; the shape of a domain is that of its base
/// type.
pub(crate) fn golden_map() -> OidMap {
    let source = include_str!("../golden/oids-source.txt").lines();
    let target = include_str!("../golden/oids-target.txt").lines();
    OidMap::new(source.zip(target).map(|(source, target)| {
        let (name, source) = source.split_once('\t').unwrap();
        let (same_name, target) = target.split_once('\t').unwrap();
        assert_eq!(name, same_name);
        let shape = match name {
            "message_source" => Plain,
            "reading" | "station" => Composite,
            "_message_source" | "_reading" | "sources" => Array,
            other => panic!("the golden files know no type {other}"),
        };
        mapping(source.parse().unwrap(), target.parse().unwrap(), shape)
    }))
    .unwrap()
}

fn mapping(source: u32, target: u32, shape: TypeShape) -> OidMapping {
    OidMapping {
        source,
        target,
        shape,
    }
}

#[test]
fn values_of_one_database_become_byte_for_byte_those_of_the_other() {
    let map = golden_map();
    let columns = [
        None,
        Some(Array),
        Some(Composite),
        Some(Array),
        Some(Composite),
        Some(Array),
    ];
    let mut rewritten = Vec::new();
    let mut framer = Framer::new();
    framer
        .push(TYPED_SOURCE, |tuple| {
            let mut bytes = tuple.as_bytes().to_vec();
            let mut tuple = TupleMut::parse(&mut bytes).unwrap();
            for (index, shape) in columns.iter().enumerate() {
                match (tuple.field_mut(index).unwrap(), shape) {
                    (Some(field), Some(Array)) => rewrite_array(field, &map).unwrap(),
                    (Some(field), Some(Composite)) => rewrite_composite(field, &map).unwrap(),
                    _ => {}
                }
            }
            rewritten.push(bytes);
        })
        .unwrap();
    let (expected, _) = frame([TYPED_TARGET]).unwrap();
    assert_eq!(rewritten, expected);
    assert_ne!(
        frame([TYPED_SOURCE]).unwrap().0,
        expected,
        "the OIDs differ to begin with"
    );
}

#[test]
fn oids_that_are_not_in_the_map_stay() {
    let (tuples, _) = frame([crate::golden::ARRAYS]).unwrap();
    for tuple in tuples {
        let mut bytes = tuple.clone();
        let mut changed = TupleMut::parse(&mut bytes).unwrap();
        for index in 0..3 {
            if let Some(field) = changed.field_mut(index).unwrap() {
                rewrite_array(field, &golden_map()).unwrap();
            }
        }
        assert_eq!(bytes, tuple);
    }
}

#[test]
fn a_value_that_is_not_of_its_shape_is_refused() {
    let map = OidMap::new([
        mapping(16_400, 16_424, Plain),
        mapping(16_409, 16_433, Composite),
    ])
    .unwrap();
    let arrays: [(&str, &[u8]); 4] = [
        ("nothing", b""),
        ("no element type", b"\0\0\0\x01\0\0\0\0\0\0\0"),
        // One dimension of one composite (16409), whose length reaches beyond the end.
        (
            "element cut",
            b"\0\0\0\x01\0\0\0\0\0\0\x40\x19\0\0\0\x01\0\0\0\x01\0\0\0\x09\0\0\0\0",
        ),
        ("no dimensions", b"\0\0\0\x01\0\0\0\0\0\0\x40\x19"),
    ];
    for (name, array) in arrays {
        let error = rewrite_array(&mut array.to_vec(), &map).unwrap_err();
        assert_eq!(error.to_string(), "invalid binary array value", "{name}");
        assert!(error.is_malformed(), "{name}");
    }
    let composites: [(&str, &[u8]); 3] = [
        ("nothing", b""),
        ("field missing", b"\0\0\0\x01"),
        ("more than its fields", b"\0\0\0\0\0"),
    ];
    for (name, composite) in composites {
        let error = rewrite_composite(&mut composite.to_vec(), &map).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid binary composite value",
            "{name}"
        );
    }
}

#[test]
fn nesting_ends_at_its_limit() {
    // A composite with one field, which is again such a composite, and so on.
    let map = OidMap::new([mapping(16_409, 16_433, Composite)]).unwrap();
    let nested = |levels: usize| {
        let mut value = 0_i32.to_be_bytes().to_vec();
        for _ in 1..levels {
            let mut outer = 1_i32.to_be_bytes().to_vec();
            outer.extend_from_slice(&16_409_u32.to_be_bytes());
            outer.extend_from_slice(&i32::try_from(value.len()).unwrap().to_be_bytes());
            outer.extend_from_slice(&value);
            value = outer;
        }
        value
    };
    assert_eq!(rewrite_composite(&mut nested(NESTING_MAX), &map), Ok(()));
    let error = rewrite_composite(&mut nested(NESTING_MAX + 1), &map).unwrap_err();
    assert!(error.is_limit(), "{error}");
}

#[test]
fn a_map_finds_what_it_was_given_and_refuses_contradictions() {
    let map = OidMap::new([
        mapping(30, 3, Plain),
        mapping(10, 1, Array),
        mapping(20, 2, Composite),
    ])
    .unwrap();
    assert_eq!(map.get(20), Some(mapping(20, 2, Composite)));
    assert_eq!(map.get(25), None);
    assert!(!map.is_empty());
    assert!(OidMap::default().is_empty());
    let error = OidMap::new([
        mapping(10, 1, Plain),
        mapping(11, 1, Plain),
        mapping(10, 2, Plain),
    ])
    .unwrap_err();
    assert_eq!(error.to_string(), "type OID 10 is mapped twice");
    assert!(error.is_misuse());
}
