//! How single values are written: texts, sizes, times, addresses, names.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::reader::nearest;

/// What is wrong with a value, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Mistake {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }

    fn expects(what: &str, found: &DeValue<'_>, help: impl Into<String>) -> Self {
        Self::new(format!("expects {what}, not {}", kind(found)), help)
    }
}

/// What a value is, for messages.
pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A text that is not empty.
pub(crate) fn text(value: &DeValue<'_>) -> Result<String, Mistake> {
    match value {
        DeValue::String(text) if text.trim().is_empty() => {
            Err(Mistake::new("is empty", "give it a value or remove it"))
        }
        DeValue::String(text) if text.contains('\0') => {
            Err(Mistake::new("contains a NUL", "remove the \\u0000"))
        }
        DeValue::String(text) => Ok(text.to_string()),
        other => Err(Mistake::expects("a text", other, "put it in quotes")),
    }
}

/// A page of the web.
pub(crate) fn url(value: &DeValue<'_>) -> Result<String, Mistake> {
    let url = text(value)?;
    let has_scheme = ["https://", "http://"].iter().any(|scheme| {
        url.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    });
    if has_scheme && url.bytes().all(|byte| byte.is_ascii_graphic()) && url.len() <= URL_BYTES_MAX {
        Ok(url)
    } else {
        Err(Mistake::new(
            format!("\"{url}\" is not the address of a page"),
            "write https://..., without spaces",
        ))
    }
}

/// Longer addresses are mistakes.
const URL_BYTES_MAX: usize = 1000;

/// True or false.
pub(crate) fn boolean(value: &DeValue<'_>) -> Result<bool, Mistake> {
    match value {
        DeValue::Boolean(value) => Ok(*value),
        other => Err(Mistake::expects(
            "true or false",
            other,
            "write true or false, without quotes",
        )),
    }
}

/// A whole number within bounds.
pub(crate) fn integer(min: u64, max: u64) -> impl Fn(&DeValue<'_>) -> Result<u64, Mistake> {
    move |value| {
        let DeValue::Integer(number) = value else {
            let help = format!("write a number from {min} to {max}, without quotes");
            return Err(Mistake::expects("a whole number", value, help));
        };
        u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| {
                Mistake::new(
                    format!("{number} is out of range"),
                    format!("write a number from {min} to {max}"),
                )
            })
    }
}

/// [`integer`] for counts that live in memory.
pub(crate) fn count(min: usize, max: usize) -> impl Fn(&DeValue<'_>) -> Result<usize, Mistake> {
    move |value| Ok(usize::try_from(integer(min as u64, max as u64)(value)?).unwrap_or(max))
}

/// A size: bytes as a number, or a text with a unit.
pub(crate) fn bytes(min: usize, max: usize) -> impl Fn(&DeValue<'_>) -> Result<usize, Mistake> {
    move |value| {
        let size = match value {
            DeValue::Integer(number) => usize::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(text) => scaled(text, &[("kib", 10), ("mib", 20), ("gib", 30), ("b", 0)]),
            other => return Err(Mistake::expects("a size", other, SIZE_HELP)),
        };
        let Some(size) = size else {
            return Err(Mistake::new(format!("{} is not a size", shown(value)), SIZE_HELP));
        };
        if (min..=max).contains(&size) {
            return Ok(size);
        }
        let help = format!("write a size from {} to {}", show_bytes(min), show_bytes(max));
        Err(Mistake::new(format!("{} is out of range", shown(value)), help))
    }
}

const SIZE_HELP: &str = "write bytes as a number, or a text such as \"64KiB\", \"4MiB\" or \"1GiB\"";

/// A time: a text with a unit.
pub(crate) fn duration(min: Duration, max: Duration) -> impl Fn(&DeValue<'_>) -> Result<Duration, Mistake> {
    move |value| {
        let DeValue::String(text) = value else {
            return Err(Mistake::expects("a time", value, TIME_HELP));
        };
        let Some(time) = parse_duration(text) else {
            return Err(Mistake::new(format!("\"{text}\" is not a time"), TIME_HELP));
        };
        if (min..=max).contains(&time) {
            return Ok(time);
        }
        Err(Mistake::new(
            format!("\"{text}\" is out of range"),
            format!("write a time from {min:?} to {max:?}"),
        ))
    }
}

const TIME_HELP: &str = "write a number with a unit: \"500ms\", \"30s\", \"5m\" or \"1h\"";

/// `500ms`, `30s`, `5m`, `1h`, `2d`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit.trim() {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

fn scaled(text: &str, units: &[(&str, u32)]) -> Option<usize> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: usize = number.parse().ok()?;
    let unit = unit.trim().to_ascii_lowercase();
    let (_, shift) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(1 << shift)
}

fn show_bytes(bytes: usize) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes} bytes")
}

/// One of a few words, and what it stands for.
pub(crate) fn word<T: Clone>(words: &[(&'static str, T)]) -> impl Fn(&DeValue<'_>) -> Result<T, Mistake> {
    move |value| {
        let names: Vec<&'static str> = words.iter().map(|(name, _)| *name).collect();
        let choices = names
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ");
        let DeValue::String(text) = value else {
            return Err(Mistake::expects(
                "a text",
                value,
                format!("write one of {choices}"),
            ));
        };
        if let Some((_, meaning)) = words.iter().find(|(name, _)| name == text) {
            return Ok(meaning.clone());
        }
        let help = match nearest(text, &names) {
            Some(near) => format!("did you mean \"{near}\"? It is one of {choices}"),
            None => format!("write one of {choices}"),
        };
        Err(Mistake::new(format!("\"{text}\" is none of its values"), help))
    }
}

/// An address to listen on: `ADDRESS:PORT`.
pub(crate) fn listen_address(value: &DeValue<'_>) -> Result<SocketAddr, Mistake> {
    parse_listen_address(&text(value)?)
}

/// The same, out of a command line.
pub(crate) fn parse_listen_address(text: &str) -> Result<SocketAddr, Mistake> {
    const HELP: &str = "write ADDRESS:PORT, such as \"127.0.0.1:6432\", \"0.0.0.0:5432\" or \"[::]:5432\"";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Err(Mistake::new(format!("\"{text}\" has no port"), HELP));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_err() => {
            let _ = host;
            Err(Mistake::new(format!("\"{port}\" is not a port"), HELP))
        }
        // Only `localhost`: another name may mean several addresses, and which one was meant is not ours to guess.
        Some(("localhost", _)) => text
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.find(SocketAddr::is_ipv4))
            .ok_or_else(|| Mistake::new("\"localhost\" has no address here", HELP)),
        Some((host, _)) => Err(Mistake::new(
            format!("\"{host}\" is not an address of this machine"),
            HELP,
        )),
        None => Err(Mistake::new(format!("\"{text}\" is not an address"), HELP)),
    }
}

/// A path; a relative one starts at the configuration's folder.
pub(crate) fn path(folder: &Path) -> impl Fn(&DeValue<'_>) -> Result<PathBuf, Mistake> {
    move |value| Ok(folder.join(text(value)?))
}

/// A dotted SQL name of `parts` parts: unquoted parts fold to lower case, quoted ones are taken as they are.
pub(crate) fn sql_name(text: &str, parts: usize) -> Option<Vec<String>> {
    let mut names = Vec::with_capacity(parts);
    let mut rest = text;
    loop {
        let (name, after) = sql_name_part(rest)?;
        names.push(name);
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None if after.is_empty() && names.len() == parts => return Some(names),
            None => return None,
        }
    }
}

fn sql_name_part(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
        return (!name.is_empty() && name.chars().all(plain)).then(|| (name.to_ascii_lowercase(), rest));
    };
    let mut name = String::new();
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return (!name.is_empty()).then_some((name, rest)),
        }
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> DeValue<'_> {
        DeValue::parse(text).unwrap().into_inner()
    }

    #[test]
    fn sizes() {
        for (name, written, want) in [
            ("number", "4096", Some(4096)),
            ("hex", "0x1000", Some(4096)),
            ("unit", "\"4KiB\"", Some(4096)),
            ("unit in lower case, space", "\"4 kib\"", Some(4096)),
            ("bytes", "\"4096b\"", Some(4096)),
            ("no unit", "\"4096\"", None),
            ("decimal unit", "\"4KB\"", None),
            ("negative", "-1", None),
            ("overflow", "\"99999999999999GiB\"", None),
            ("too small", "1", None),
            ("too large", "\"2MiB\"", None),
            ("a list", "[]", None),
        ] {
            assert_eq!(bytes(1024, 1 << 20)(&value(written)).ok(), want, "{name}");
        }
    }

    #[test]
    fn times() {
        for (written, want) in [
            ("500ms", Some(Duration::from_millis(500))),
            ("30s", Some(Duration::from_secs(30))),
            ("2m", Some(Duration::from_mins(2))),
            ("1h", Some(Duration::from_hours(1))),
            ("7d", Some(Duration::from_hours(168))),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(parse_duration(written), want, "{written}");
        }
    }

    #[test]
    fn addresses() {
        for (written, want) in [
            ("127.0.0.1:5432", Ok("127.0.0.1:5432")),
            ("[::1]:0", Ok("[::1]:0")),
            ("localhost:5432", Ok("127.0.0.1:5432")),
            ("0.0.0.0", Err("\"0.0.0.0\" has no port")),
            ("::1", Err("\"::1\" has no port")),
            ("127.0.0.1:70000", Err("\"70000\" is not a port")),
            (
                "db.example:5432",
                Err("\"db.example\" is not an address of this machine"),
            ),
            ("here", Err("\"here\" is not an address")),
        ] {
            let got = parse_listen_address(written);
            let got = got
                .as_ref()
                .map(ToString::to_string)
                .map_err(|mistake| mistake.message.as_str());
            assert_eq!(got, want.map(str::to_owned), "{written}");
        }
    }

    #[test]
    fn sql_names() {
        for (written, want) in [
            ("public.customers.email", Some(["public", "customers", "email"])),
            ("Public.Customers.EMail", Some(["public", "customers", "email"])),
            (
                "public.\"Customers\".\"e.mail\"",
                Some(["public", "Customers", "e.mail"]),
            ),
            ("public.\"a\"\"b\".c", Some(["public", "a\"b", "c"])),
            ("customers.email", None),
            ("a.b.c.d", None),
            ("a..c", None),
            ("a.b c.d", None),
            ("a.\"b.c", None),
        ] {
            let want = want.map(|parts| parts.map(str::to_owned).to_vec());
            assert_eq!(sql_name(written, 3), want, "{written}");
        }
    }
}
