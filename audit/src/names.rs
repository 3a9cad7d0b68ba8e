//! Names in the data folder, and what they name.
//!
//! ```text
//! <data>/lock                                       held by the running gateway
//! <data>/audit/<boot id>-<core>.ring                what a core recorded and did not flush yet
//! <data>/audit/<boot id>-<core>-<number>.seg        what it flushed
//! <data>/metrics/<core>.metrics                     a core's figures
//! ```

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::bytes::hex;

/// One start of the gateway: 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub [u8; 16]);

impl BootId {
    /// A new one, from the kernel's generator.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads 32 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// How records and denials name a session of this start: `3f2a9c1b.42`.
    pub fn session_name(self, number: u64) -> String {
        let [a, b, c, d, ..] = self.0;
        format!("{}.{number}", hex(&[a, b, c, d]))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl serde::Serialize for BootId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One core of one start of the gateway: the owner of a ring and of a chain of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId {
    /// The process start.
    pub boot: BootId,
    /// The core's number.
    pub core: u32,
}

impl ChainId {
    /// The ring's path under the audit folder.
    pub fn ring_path(&self, audit_dir: &Path) -> PathBuf {
        audit_dir.join(format!("{}-{}.ring", self.boot, self.core))
    }

    /// A segment's path under the audit folder.
    pub fn segment_path(&self, audit_dir: &Path, number: u32) -> PathBuf {
        audit_dir.join(format!("{}-{}-{number:08}.seg", self.boot, self.core))
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.boot, self.core)
    }
}

/// A file of the audit folder, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditFile {
    /// A segment.
    Segment {
        /// Whose.
        chain: ChainId,
        /// Its place in the chain, from 0.
        number: u32,
    },
    /// A ring.
    Ring {
        /// Whose.
        chain: ChainId,
    },
}

impl AuditFile {
    /// What a file name says, if it is one of ours.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(stem) = name.strip_suffix(".ring") {
            let (boot, core) = stem.split_once('-')?;
            let chain = ChainId {
                boot: BootId::parse(boot)?,
                core: number(core)?,
            };
            return Some(Self::Ring { chain });
        }
        let stem = name.strip_suffix(".seg")?;
        let mut parts = stem.splitn(3, '-');
        let chain = ChainId {
            boot: BootId::parse(parts.next()?)?,
            core: number(parts.next()?)?,
        };
        Some(Self::Segment {
            chain,
            number: number(parts.next()?)?,
        })
    }
}

/// `<data>/audit`.
pub fn audit_dir(data: &Path) -> PathBuf {
    data.join("audit")
}

/// `<data>/metrics`.
pub fn metrics_dir(data: &Path) -> PathBuf {
    data.join("metrics")
}

/// `<data>/metrics/<core>.metrics`.
pub fn metrics_path(data: &Path, core: u32) -> PathBuf {
    metrics_dir(data).join(format!("{core}.metrics"))
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn number(digits: &str) -> Option<u32> {
    if digits.is_empty() || digits.len() > 10 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names() {
        let chain = ChainId {
            boot: BootId([0xab; 16]),
            core: 7,
        };
        let boot = "ab".repeat(16);
        for (name, input, want) in [
            ("ring", format!("{boot}-7.ring"), Some(AuditFile::Ring { chain })),
            (
                "segment",
                format!("{boot}-7-00000012.seg"),
                Some(AuditFile::Segment { chain, number: 12 }),
            ),
            ("no number", format!("{boot}-7.seg"), None),
            ("short boot id", "abcd-7.ring".to_owned(), None),
            ("upper case", format!("{}-7.ring", boot.to_uppercase()), None),
            ("signed core", format!("{boot}-+7.ring"), None),
            ("number too large", format!("{boot}-7-99999999999.seg"), None),
            ("something else", "lock".to_owned(), None),
        ] {
            assert_eq!(AuditFile::parse(&input), want, "{name}");
        }
        let dir = Path::new("/d");
        for path in [chain.ring_path(dir), chain.segment_path(dir, 12)] {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            assert!(AuditFile::parse(name).is_some(), "{name}");
        }
    }
}
