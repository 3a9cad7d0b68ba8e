//! Reads a database's own objects from its server.
//!
//! [`queries`] gives the text of one simple Query; whoever has a connection sends it, puts every row of the answer into
//! [`Rows`], and gets the [`Catalog`] from [`Rows::decode`]. [`Rows::fingerprint`] tells beforehand whether anything
//! changed. Objects that came with the server are not read: they lie below, as [`base`](super::base) knows them,
//! numbered as this server numbers them. Only where a checksum says that somebody altered the server's own functions are
//! they looked at one by one, and what is another than it was counts as `Opaque`.
//!
//! What the server could not print, because somebody is changing or dropping it, is unknown: a view's query or a
//! function's body is none, an expression is [`UNREADABLE`]. An analysis has to take either for `Opaque`.

mod altered;
mod attached;
mod built_in;
mod decode;
mod fields;
mod functions;
mod queries;

use aws_lc_rs::digest;

pub use self::built_in::Bases;
pub(super) use self::built_in::{BuiltIn, built_in_of};
pub use self::queries::Place;
use super::{Catalog, base};

/// Stands for an expression that the server did not print. It parses as nothing.
pub const UNREADABLE: &str = ") unreadable (";

/// How many bytes of rows a reading may have, unless told otherwise.
pub const BYTES_MAX: usize = 64 << 20;

/// The longest row of a reading, as a message of the server: one with the longest body.
pub const ROW_LEN_MAX: u32 = 64 << 20;

/// Why there is no catalog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The built-in objects of this version are not known.
    #[error("the server is PostgreSQL {version}; versions 12 to 18 are known")]
    Version {
        /// What it calls itself.
        version: Box<str>,
    },
    /// There are more objects than may be kept.
    #[error("the database's objects take more than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// A row is not as the statement gives it.
    #[error("the catalog's row of kind {kind:?} has no field {field} as expected")]
    Row {
        /// The letter that rows of its kind begin with.
        kind: Box<str>,
        /// The field's place.
        field: usize,
    },
    /// The answer lacks rows that it must have.
    #[error("the catalog was not read to its end")]
    Incomplete,
}

/// The major version of a server that calls itself so (`server_version`), if its built-in objects are known.
pub fn major_of(server_version: &str) -> Result<u8, SnapshotError> {
    let digits = server_version
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    match digits.parse() {
        Ok(major) if base::MAJORS.contains(&major) => Ok(major),
        _ => Err(SnapshotError::Version {
            version: server_version.into(),
        }),
    }
}

/// The text of a simple Query that reads a database of a server of that version.
pub fn queries(major: u8, place: Place) -> String {
    queries::all(major, place)
}

/// The text of a simple Query that puts the connection back as it was when a reading failed in the middle.
pub fn undo(place: Place) -> String {
    queries::undo(place)
}

/// The rows of a reading, as they came.
#[derive(Debug)]
pub struct Rows {
    encoded: Vec<u8>,
    limit: usize,
}

/// The length of a field that is NULL.
const NULL: u32 = u32::MAX;

impl Rows {
    /// No rows yet; there may be so many bytes of them.
    pub fn new(limit: usize) -> Self {
        Self {
            encoded: Vec::new(),
            limit,
        }
    }

    /// Adds a row: its fields in text format. Bytes that are not UTF-8, which no statement can name, are replaced.
    pub fn push<'a>(
        &mut self,
        fields: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
    ) -> Result<(), SnapshotError> {
        let too_large = SnapshotError::TooLarge { limit: self.limit };
        let length = |bytes: usize| u32::try_from(bytes).ok().filter(|length| *length != NULL);
        let count = length(fields.len()).ok_or_else(|| too_large.clone())?;
        self.encoded.extend_from_slice(&count.to_ne_bytes());
        for field in fields {
            match field {
                None => self.encoded.extend_from_slice(&NULL.to_ne_bytes()),
                Some(field) => {
                    let text = String::from_utf8_lossy(field);
                    let length = length(text.len()).ok_or_else(|| too_large.clone())?;
                    self.encoded.extend_from_slice(&length.to_ne_bytes());
                    self.encoded.extend_from_slice(text.as_bytes());
                }
            }
        }
        if self.encoded.len() > self.limit {
            return Err(too_large);
        }
        Ok(())
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.encoded.len()
    }

    /// Equal fingerprints are of equal rows, and so of equal catalogs.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = [0; 32];
        let digest = digest::digest(&digest::SHA256, &self.encoded);
        fingerprint.copy_from_slice(digest.as_ref());
        Fingerprint(fingerprint)
    }

    /// The catalog that the rows tell of, over the built-in objects of the server's version.
    pub fn decode(&self, bases: &Bases) -> Result<Catalog, SnapshotError> {
        decode::catalog(self, bases)
    }

    /// Calls for each row with its fields.
    fn each(
        &self,
        mut call: impl FnMut(&[Option<&str>]) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        let mut rest = &self.encoded[..];
        let mut fields = Vec::new();
        while !rest.is_empty() {
            fields.clear();
            let count = take_length(&mut rest)?;
            for _ in 0..count {
                fields.push(match take_length(&mut rest)? {
                    NULL => None,
                    length => {
                        let (text, behind) = rest
                            .split_at_checked(length as usize)
                            .ok_or(SnapshotError::Incomplete)?;
                        rest = behind;
                        Some(std::str::from_utf8(text).map_err(|_| SnapshotError::Incomplete)?)
                    }
                });
            }
            call(&fields)?;
        }
        Ok(())
    }
}

fn take_length(rest: &mut &[u8]) -> Result<u32, SnapshotError> {
    let (length, behind) = rest.split_first_chunk().ok_or(SnapshotError::Incomplete)?;
    *rest = behind;
    Ok(u32::from_ne_bytes(*length))
}

/// What tells whether two readings had the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// What an expression that should be there is.
fn printed(text: Option<&str>) -> Box<str> {
    text.unwrap_or(UNREADABLE).into()
}
