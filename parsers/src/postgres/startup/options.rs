//! The start-up packet's `options`: a command line for the server's process.
//!
//! Split exactly as the server's `pg_split_opts` and read as its `process_postgres_switches`: only `-c name=value` and
//! `--name=value` are understood, each a SET. Every other switch (`-d 5`, `-S 64`, `-f` ...) is an error, though the
//! server knows some: they set things that have a name of their own.
//!
//! Space is what `isspace` says in an ASCII or UTF-8 locale. A server whose locale is of one byte may take 0x85 and
//! 0xa0 for space too, so what was judged should be sent on as parameters of its own and not as `options`.

use std::str;

/// A setting of `options`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name, `-` written as `_`, as the server does.
    pub name: String,
    /// The value, unescaped.
    pub value: String,
}

/// Why `options` is refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionsError {
    /// A switch other than `-c` and `--name=value`, or an argument that is no switch.
    #[error("the argument {argument:?} in `options` is not understood")]
    Unknown {
        /// As the server would see it.
        argument: String,
    },
    /// `-c` stands at the end.
    #[error("`-c` in `options` has no argument")]
    MissingArgument,
    /// A setting without `=`.
    #[error("the setting {name:?} in `options` has no value")]
    MissingValue {
        /// The name.
        name: String,
    },
    /// The bytes are not UTF-8.
    #[error("`options` is not valid UTF-8")]
    NotUtf8,
}

/// The settings of `options` in their order, duplicates included.
pub fn settings(options: &[u8]) -> Result<Vec<Setting>, OptionsError> {
    let mut arguments = split(options).into_iter();
    let mut settings = Vec::new();
    while let Some(argument) = arguments.next() {
        let assignment = match argument.as_slice() {
            b"-c" => arguments.next().ok_or(OptionsError::MissingArgument)?,
            [b'-', b'c', attached @ ..] => attached.to_vec(),
            [b'-', b'-', name @ ..] if !name.is_empty() => name.to_vec(),
            _ => {
                return Err(OptionsError::Unknown {
                    argument: String::from_utf8_lossy(&argument).into_owned(),
                });
            }
        };
        settings.push(setting(&assignment)?);
    }
    Ok(settings)
}

fn setting(assignment: &[u8]) -> Result<Setting, OptionsError> {
    let text = str::from_utf8(assignment).map_err(|_| OptionsError::NotUtf8)?;
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Setting {
            name: name.replace('-', "_"),
            value: value.to_owned(),
        }),
        _ => Err(OptionsError::MissingValue {
            name: text.to_owned(),
        }),
    }
}

/// Cuts at space that no backslash escapes; a backslash makes the byte behind it literal.
pub fn split(options: &[u8]) -> Vec<Vec<u8>> {
    let mut arguments = Vec::new();
    let mut bytes = options.iter().copied().peekable();
    loop {
        while bytes.next_if(|&byte| is_space(byte)).is_some() {}
        if bytes.peek().is_none() {
            return arguments;
        }
        let mut argument = Vec::new();
        let mut escaped = false;
        while let Some(byte) = bytes.next_if(|&byte| escaped || !is_space(byte)) {
            escaped = !escaped && byte == b'\\';
            if !escaped {
                argument.push(byte);
            }
        }
        arguments.push(argument);
    }
}

/// C's `isspace`, which takes the vertical tab too.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_the_server() {
        for (name, input, want) in [
            ("empty", &b""[..], &[][..]),
            ("only space", b" \t\x0b ", &[]),
            ("two", b"-c a=b", &[&b"-c"[..], b"a=b"]),
            ("space around", b"  -c   a=b  ", &[b"-c", b"a=b"]),
            ("escaped space", b"-c a=b\\ c", &[b"-c", b"a=b c"]),
            ("escaped backslash", b"a\\\\b", &[b"a\\b"]),
            ("escaped backslash, then space", b"a\\\\ b", &[b"a\\", b"b"]),
            ("escaped letter", b"\\-\\c a", &[b"-c", b"a"]),
            ("backslash at the end", b"a\\", &[b"a"]),
            ("backslash alone", b"\\", &[b""]),
            ("quotes are nothing", b"-c 'a b'", &[b"-c", b"'a", b"b'"]),
        ] {
            assert_eq!(split(input), want, "{name}");
        }
    }

    #[test]
    fn settings_are_read_as_the_server() {
        let set = |name: &str, value: &str| Setting {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let unknown = |argument: &str| {
            Err(OptionsError::Unknown {
                argument: argument.to_owned(),
            })
        };
        for (name, input, want) in [
            ("empty", "", Ok(vec![])),
            ("apart", "-c a=b", Ok(vec![set("a", "b")])),
            ("attached", "-ca=b", Ok(vec![set("a", "b")])),
            ("long", "--a=b", Ok(vec![set("a", "b")])),
            ("dashes in the name", "-c a-b=c-d", Ok(vec![set("a_b", "c-d")])),
            ("twice", "-c a=b --a=c", Ok(vec![set("a", "b"), set("a", "c")])),
            ("empty value", "-c a=", Ok(vec![set("a", "")])),
            ("value with =", "-c a=b=c", Ok(vec![set("a", "b=c")])),
            ("-c takes a switch", "-c --a=b", Ok(vec![set("__a", "b")])),
            ("escapes hide the switch", "\\-c a=b", Ok(vec![set("a", "b")])),
            ("no argument", "-c", Err(OptionsError::MissingArgument)),
            (
                "no value",
                "-c a",
                Err(OptionsError::MissingValue { name: "a".to_owned() }),
            ),
            (
                "no name",
                "-c =b",
                Err(OptionsError::MissingValue {
                    name: "=b".to_owned(),
                }),
            ),
            ("other switch", "-d 5", unknown("-d")),
            ("switch before -c", "-ec a=b", unknown("-ec")),
            ("end of switches", "--", unknown("--")),
            ("no switch", "a=b", unknown("a=b")),
            ("lone dash", "-", unknown("-")),
        ] {
            assert_eq!(settings(input.as_bytes()), want, "{name}");
        }
    }
}
