//! What a value looks like on the wire, by its type OID and format (`pg_type.dat`; OIDs of built-in types are fixed).
//!
//! Content detectors read text. A type that is not known to be something else may carry it: enums, domains, rows,
//! ranges and extensions' types (citext, hstore ...) have OIDs of their own in each database.

use sluice_parsers::postgres::backend::Format;

/// How a value's bytes carry text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// The bytes are the text (jsonb's binary form has one version byte before it).
    Text,
    /// An array in binary format, which names the type of its elements.
    Array,
    /// A row in binary format, which names the type of each field.
    Record,
    /// A range in binary format, of a type that is not known.
    Range,
    /// A tsvector in binary format.
    Lexemes,
    /// A type of this database, whose form the bytes tell: see [`super::nested`].
    Unknown,
    /// No text: numbers, times, addresses, raw bytes.
    Nothing,
}

const RECORD: u32 = 2249;
const TSVECTOR: u32 = 3614;

/// Types whose binary form is their text: "char", name, text, json, xml, `pg_node_tree`, unknown, bpchar, varchar,
/// refcursor, cstring, tsquery (operands end with a zero byte), jsonb, jsonpath.
const TEXT: [u32; 14] = [
    18, 19, 25, 114, 142, 194, 705, 1042, 1043, 1790, 2275, 3615, 3802, 4072,
];

/// Arrays of built-in types that may carry text: xml, json, rows of catalogs, "char", name, text, bpchar, varchar,
/// cstring, refcursor, anyarray (statistics), record, tsvector, tsquery, jsonb, jsonpath.
const ARRAYS: [u32; 19] = [
    143, 199, 210, 270, 272, 273, 1002, 1003, 1009, 1014, 1015, 1263, 2201, 2277, 2287, 3643, 3645, 3807,
    4073,
];

/// Built-in types, their arrays, ranges and multiranges that carry no text; ascending.
const NOT_TEXT: [u32; 113] = [
    16, 17, 20, 21, 22, 23, 24, 26, 27, 28, 29, 30, 600, 601, 602, 603, 604, 628, 629, 650, 651, 700, 701,
    718, 719, 774, 775, 790, 791, 829, 869, 1000, 1001, 1005, 1006, 1007, 1008, 1010, 1011, 1012, 1013, 1016,
    1017, 1018, 1019, 1020, 1021, 1022, 1027, 1028, 1040, 1041, 1082, 1083, 1114, 1115, 1182, 1183, 1184,
    1185, 1186, 1187, 1231, 1266, 1270, 1560, 1561, 1562, 1563, 1700, 2202, 2203, 2204, 2205, 2206, 2207,
    2208, 2209, 2210, 2211, 2278, 2950, 2951, 2970, 3220, 3221, 3734, 3735, 3769, 3770, 3904, 3905, 3906,
    3907, 3908, 3909, 3910, 3911, 3912, 3913, 3926, 3927, 4089, 4090, 4096, 4097, 4191, 4192, 4451, 4532,
    4533, 4534, 5069,
];

/// How values of that type carry text in that format.
pub(crate) fn carries(type_oid: u32, format: Format) -> Carries {
    if NOT_TEXT.binary_search(&type_oid).is_ok() {
        return Carries::Nothing;
    }
    match (format, type_oid) {
        (Format::Text, _) => Carries::Text,
        (Format::Binary, RECORD) => Carries::Record,
        (Format::Binary, TSVECTOR) => Carries::Lexemes,
        (Format::Binary, oid) if TEXT.contains(&oid) => Carries::Text,
        (Format::Binary, oid) if ARRAYS.contains(&oid) => Carries::Array,
        (Format::Binary, _) => Carries::Unknown,
    }
}

/// Whether a configured column of that type can be overwritten in place: any text form, or a binary form that is the
/// text itself ("char", name, text, unknown, bpchar, varchar). Of others the value becomes NULL.
pub(crate) fn is_overwritable(type_oid: u32, format: Format) -> bool {
    match format {
        Format::Text => true,
        Format::Binary => matches!(type_oid, 18 | 19 | 25 | 705 | 1042 | 1043),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ascending() {
        assert!(NOT_TEXT.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn types_carry_what_they_carry() {
        for (name, oid, format, want) in [
            ("int4", 23, Format::Text, Carries::Nothing),
            ("bytea", 17, Format::Binary, Carries::Nothing),
            ("text", 25, Format::Binary, Carries::Text),
            ("varchar", 1043, Format::Text, Carries::Text),
            ("json", 114, Format::Text, Carries::Text),
            ("jsonb", 3802, Format::Binary, Carries::Text),
            ("text[]", 1009, Format::Text, Carries::Text),
            ("text[] binary", 1009, Format::Binary, Carries::Array),
            ("record", 2249, Format::Text, Carries::Text),
            ("record binary", 2249, Format::Binary, Carries::Record),
            ("int4[] binary", 1007, Format::Binary, Carries::Nothing),
            ("tsvector binary", 3614, Format::Binary, Carries::Lexemes),
            ("a catalog's row", 75, Format::Binary, Carries::Unknown),
            ("an extension's", 16_999, Format::Text, Carries::Text),
            ("an extension's binary", 16_999, Format::Binary, Carries::Unknown),
        ] {
            assert_eq!(carries(oid, format), want, "{name}");
        }
    }
}
