//! JSON in which every name of an object stands once.
//!
//! Two readers that meet a name twice may each believe another one: what an issuer's filter passed is then not
//! what the gateway acts on. RFC 7519 (section 4) lets a verifier refuse such a token, and this one does.
//! The depth is bounded by `serde_json`, the size by the caller.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The object that `text` is, if it is one and holds no name twice.
pub(super) fn object(text: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(text) {
        Ok(Unambiguous(Value::Object(object))) => Some(object),
        Ok(Unambiguous(_)) | Err(_) => None,
    }
}

/// A value without repeated names anywhere in it.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated names")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(value))) = entries.next_entry::<String, Unambiguous>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_in_one_way_or_not_at_all() {
        for (name, text, good) in [
            ("empty object", "{}", true),
            (
                "everything",
                r#"{"a":[1,-2,0.5,"x",true,null],"b":{"a":1}}"#,
                true,
            ),
            (
                "the same name in two objects",
                r#"{"a":{"x":1},"b":{"x":2}}"#,
                true,
            ),
            ("twice", r#"{"sub":"a","sub":"b"}"#, false),
            ("twice with the same value", r#"{"sub":"a","sub":"a"}"#, false),
            ("twice by an escape", "{\"sub\":\"a\",\"s\\u0075b\":\"b\"}", false),
            ("twice inside", r#"{"a":[{"x":1,"x":1}]}"#, false),
            ("no object", "[]", false),
            ("more after it", "{} {}", false),
            ("comma at the end", r#"{"a":1,}"#, false),
            ("nothing", "", false),
            ("not a number", r#"{"a":NaN}"#, false),
            ("too large a number", r#"{"a":1e999}"#, false),
        ] {
            assert_eq!(object(text.as_bytes()).is_some(), good, "{name}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_none(), "not UTF-8");
        assert!(
            object(format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes()).is_none(),
            "too deep"
        );
    }

    #[test]
    fn values_are_those_of_serde_json() {
        let text = r#"{"a":[1,-2,0.5,"x\u00e9",true,null],"b":{"c":18446744073709551615}}"#;
        let want: Value = serde_json::from_str(text).unwrap();
        assert_eq!(object(text.as_bytes()).map(Value::Object), Some(want));
    }
}
