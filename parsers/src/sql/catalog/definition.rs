//! What a function is defined as, in a number that names it: a list of functions that somebody has read through holds
//! for what he read.
//!
//! The hash is SHA-256, whole: whoever may write a function could otherwise prepare two, have the harmless one listed
//! and put the other in its place. It is over names, not OIDs, so that a function has the same in every database that
//! it was installed in alike. What a library or another function that is called does is not in it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Catalog, Function, Oid};

const BYTES: usize = 32;

/// The hash of a function's definition, or of all functions of an extension. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DefinitionHash([u8; BYTES]);

impl DefinitionHash {
    /// Over fields, of which each may be missing.
    pub(super) fn of<'a>(fields: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut hasher = Hasher::new();
        fields.for_each(|field| hasher.field(field));
        hasher.finish()
    }
}

impl fmt::Display for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct NoHash;

impl FromStr for DefinitionHash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != BYTES || !rest.is_empty() {
            return Err(NoHash);
        }
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(NoHash);
        let mut hash = [0; BYTES];
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).map_err(|_| NoHash)?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for DefinitionHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DefinitionHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Fields one after the other, none of which can be taken for a part of another.
struct Hasher(digest::Context);

impl Hasher {
    fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    fn field(&mut self, field: Option<&str>) {
        let length = field.map_or(u64::MAX, |field| field.len() as u64);
        self.0.update(&length.to_le_bytes());
        self.0.update(field.unwrap_or_default().as_bytes());
    }

    /// A name with its schema; none, if the catalog does not know it.
    fn named(&mut self, catalog: &Catalog, schema: Oid, name: &str) -> Option<()> {
        self.field(Some(&catalog.schema(schema)?.name));
        self.field(Some(name));
        Some(())
    }

    fn type_of(&mut self, catalog: &Catalog, oid: Oid) -> Option<()> {
        if oid.is_none() {
            self.field(None);
            return Some(());
        }
        let found = catalog.type_of(oid)?;
        self.named(catalog, found.schema, &found.name)
    }

    fn types(&mut self, catalog: &Catalog, oids: &[Oid]) -> Option<()> {
        self.field(Some(&oids.len().to_string()));
        oids.iter().try_for_each(|&oid| self.type_of(catalog, oid))
    }

    fn signature(&mut self, catalog: &Catalog, function: &Function) -> Option<()> {
        self.named(catalog, function.schema, &function.name)?;
        self.types(catalog, &function.arguments)
    }

    fn finish(self) -> DefinitionHash {
        let digest = self.0.finish();
        let mut hash = [0; BYTES];
        hash.copy_from_slice(digest.as_ref());
        DefinitionHash(hash)
    }
}

impl Catalog {
    /// The hash of a function whose fields that are no OIDs have the hash `text`. None if it refers to what is not in
    /// the catalog.
    pub(super) fn define(&self, function: &Function, text: DefinitionHash) -> Option<DefinitionHash> {
        let mut hasher = Hasher::new();
        hasher.field(Some(&text.to_string()));
        hasher.field(Some(&self.role(function.owner)?.name));
        hasher.types(self, &function.arguments)?;
        let outputs: Vec<Oid> = function.outputs.iter().map(|(_, oid)| *oid).collect();
        hasher.types(self, &outputs)?;
        hasher.types(self, &[function.variadic, function.returns])?;
        let extension = self.extensions.get(&function.extension);
        hasher.field(extension.map(|extension| &*extension.name));
        hasher.field(Some(&function.parts.len().to_string()));
        for part in &function.parts {
            hasher.signature(self, self.function(*part)?)?;
        }
        Some(hasher.finish())
    }

    /// The extension of that name.
    pub fn extension_named(&self, name: &str) -> Option<Oid> {
        let mut extensions = self.extensions.values();
        let found = extensions.find(|extension| *extension.name == *name)?;
        Some(found.oid)
    }

    /// The functions that are members of an extension, ascending.
    pub fn members_of(&self, extension: Oid) -> Vec<Oid> {
        let members = self.functions.values();
        let members = members.filter(|function| function.extension == extension);
        let mut members: Vec<Oid> = members.map(|function| function.oid).collect();
        members.sort_unstable();
        members
    }

    /// The hash over all functions of an extension: another one whenever one of them is changed, added or taken out.
    /// None if one of them is not known well enough.
    pub fn extension_hash(&self, extension: Oid) -> Option<DefinitionHash> {
        let mut members = Vec::new();
        for oid in self.members_of(extension) {
            let function = self.function(oid)?;
            let mut hasher = Hasher::new();
            hasher.field(Some(&function.definition_hash?.to_string()));
            hasher.field(Some(&self.schema(function.schema)?.name));
            members.push(hasher.finish().to_string());
        }
        // By what they are: OIDs come in another order in each database.
        members.sort_unstable();
        let fields = members.iter().map(|member| Some(member.as_str()));
        Some(DefinitionHash::of(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_as_they_are_written() {
        let hash = DefinitionHash::of([Some("a"), None].into_iter());
        let text = hash.to_string();
        assert_eq!(text.len(), 64);
        assert_eq!(text.parse(), Ok(hash));
        assert_eq!(text.to_uppercase().parse(), Ok(hash));
        let json = serde_json::to_string(&hash).expect("a text");
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(
            serde_json::from_str::<DefinitionHash>(&json).expect("a hash"),
            hash
        );
        for (name, wrong) in [
            ("empty", String::new()),
            ("short", text[1..].to_owned()),
            ("long", format!("{text}0")),
            ("no digit", format!("g{}", &text[1..])),
            ("sign", format!("+{}", &text[1..])),
            ("not ASCII", format!("é{}", &text[2..])),
        ] {
            assert_eq!(wrong.parse::<DefinitionHash>(), Err(NoHash), "{name}");
        }
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let hash = |fields: &[Option<&str>]| DefinitionHash::of(fields.iter().copied());
        let all = [
            hash(&[Some("ab"), Some("c")]),
            hash(&[Some("a"), Some("bc")]),
            hash(&[Some("abc")]),
            hash(&[Some("abc"), None]),
            hash(&[Some("abc"), Some("")]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
    }
}
