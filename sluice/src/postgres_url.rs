//! A `postgres://` URL as libpq reads it, as far as `sluice dev` needs it.

use std::path::PathBuf;

use zeroize::Zeroizing;

/// What a URL says.
pub(crate) struct PostgresUrl {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) database: String,
    pub(crate) ssl_mode: Option<SslMode>,
    pub(crate) ssl_root: Option<PathBuf>,
}

/// `sslmode`, as far as it can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    VerifyCa,
    VerifyFull,
}

/// Why a URL cannot be used. None of these shows the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("it does not begin with postgres:// or postgresql://")]
    Scheme,
    #[error("it has no user: write postgres://USER@HOST/DATABASE")]
    NoUser,
    #[error("it has no host: write postgres://USER@HOST/DATABASE (a socket's folder cannot be used)")]
    NoHost,
    #[error("it names several hosts: name one")]
    ManyHosts,
    #[error("\"{0}\" is not a port")]
    Port(String),
    #[error("a percent sign in its {0} is not followed by two hexadecimal digits")]
    Percent(&'static str),
    #[error(
        "sslmode=require encrypts without verifying whom it talks to: use verify-full, verify-ca with sslrootcert, or disable"
    )]
    Unverified,
    #[error("sslmode={0} is unknown: use disable, verify-ca or verify-full")]
    SslMode(String),
    #[error(
        "the parameter \"{0}\" is not supported: use sslmode, sslrootcert, user, password, host, port, dbname"
    )]
    Parameter(String),
}

impl PostgresUrl {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or(UrlError::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login
            .split_once(':')
            .map_or((login, None), |(user, password)| (user, Some(password)));
        let mut parts = Parts {
            user: decode(user, "user")?,
            password: password
                .map(|password| decode(password, "password").map(Zeroizing::new))
                .transpose()?,
            database: decode(path, "database")?,
            ..Parts::default()
        };
        parts.read_address(address)?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parts.read_parameter(name, value)?;
        }
        parts.finish()
    }
}

#[derive(Default)]
struct Parts {
    host: String,
    port: Option<u16>,
    user: String,
    password: Option<Zeroizing<String>>,
    database: String,
    ssl_mode: Option<SslMode>,
    ssl_root: Option<PathBuf>,
}

impl Parts {
    fn read_address(&mut self, address: &str) -> Result<(), UrlError> {
        if address.contains(',') {
            return Err(UrlError::ManyHosts);
        }
        // An IPv6 address stands in brackets, or its colons would be taken for the port's.
        let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host.to_owned(), rest.strip_prefix(':')),
            None => match address.split_once(':') {
                Some((host, port)) => (decode(host, "host")?, Some(port)),
                None => (decode(address, "host")?, None),
            },
        };
        self.host = host;
        self.port = port.map(port_number).transpose()?;
        Ok(())
    }

    fn read_parameter(&mut self, name: &str, value: &str) -> Result<(), UrlError> {
        let decoded = decode(value, "parameters")?;
        match name {
            "sslmode" => self.ssl_mode = ssl_mode(&decoded)?,
            "sslrootcert" => self.ssl_root = Some(PathBuf::from(decoded)),
            "user" => self.user = decoded,
            "password" => self.password = Some(Zeroizing::new(decoded)),
            "host" => self.host = decoded,
            "port" => self.port = Some(port_number(&decoded)?),
            "dbname" => self.database = decoded,
            // Names the client to the server; ours is the gateway, whose clients name themselves.
            "application_name" => {}
            other => return Err(UrlError::Parameter(other.to_owned())),
        }
        Ok(())
    }

    fn finish(self) -> Result<PostgresUrl, UrlError> {
        if self.user.is_empty() {
            return Err(UrlError::NoUser);
        }
        if self.host.is_empty() || self.host.starts_with('/') {
            return Err(UrlError::NoHost);
        }
        // libpq's default database is the user's name.
        let database = if self.database.is_empty() {
            self.user.clone()
        } else {
            self.database
        };
        Ok(PostgresUrl {
            host: self.host,
            port: self.port.unwrap_or(5432),
            user: self.user,
            password: self.password.filter(|password| !password.is_empty()),
            database,
            ssl_mode: self.ssl_mode,
            ssl_root: self.ssl_root,
        })
    }
}

fn port_number(text: &str) -> Result<u16, UrlError> {
    text.parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| UrlError::Port(text.to_owned()))
}

fn ssl_mode(text: &str) -> Result<Option<SslMode>, UrlError> {
    match text {
        "disable" => Ok(Some(SslMode::Disable)),
        "verify-ca" => Ok(Some(SslMode::VerifyCa)),
        "verify-full" => Ok(Some(SslMode::VerifyFull)),
        // Both leave the choice to us, and what we choose by ourselves is no worse.
        "allow" | "prefer" => Ok(None),
        "require" => Err(UrlError::Unverified),
        other => Err(UrlError::SslMode(other.to_owned())),
    }
}

/// Percent-decodes one part.
fn decode(text: &str, part: &'static str) -> Result<String, UrlError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            decoded.push(byte);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_first_chunk::<2>().ok_or(UrlError::Percent(part))?;
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let byte = digits
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or(UrlError::Percent(part))?;
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8(decoded).map_err(|_| UrlError::Percent(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, want) in [
            ("postgres://me@db/shop", Ok(("db", 5432, "me", None, "shop"))),
            (
                "postgresql://me:pw@db:6000/shop",
                Ok(("db", 6000, "me", Some("pw"), "shop")),
            ),
            (
                "postgres://me:p%40s%3As@db/shop",
                Ok(("db", 5432, "me", Some("p@s:s"), "shop")),
            ),
            (
                "postgres://me:a@b@db/shop",
                Ok(("db", 5432, "me", Some("a@b"), "shop")),
            ),
            ("postgres://me@db", Ok(("db", 5432, "me", None, "me"))),
            (
                "postgres://me@[::1]:6000/shop",
                Ok(("::1", 6000, "me", None, "shop")),
            ),
            (
                "postgres://db/shop?user=me&port=1",
                Ok(("db", 1, "me", None, "shop")),
            ),
            ("mysql://me@db/shop", Err(UrlError::Scheme)),
            ("postgres://db/shop", Err(UrlError::NoUser)),
            ("postgres://me@/shop", Err(UrlError::NoHost)),
            ("postgres://me@a,b/shop", Err(UrlError::ManyHosts)),
            ("postgres://me@db:x/shop", Err(UrlError::Port("x".into()))),
            ("postgres://me@db:0/shop", Err(UrlError::Port("0".into()))),
            ("postgres://me:%zz@db/shop", Err(UrlError::Percent("password"))),
            ("postgres://me:%+1@db/shop", Err(UrlError::Percent("password"))),
            ("postgres://me@db/shop?sslmode=require", Err(UrlError::Unverified)),
            (
                "postgres://me@db/shop?sslmode=x",
                Err(UrlError::SslMode("x".into())),
            ),
            (
                "postgres://me@db/shop?options=-c",
                Err(UrlError::Parameter("options".into())),
            ),
        ] {
            let got = PostgresUrl::parse(url);
            let got = got.as_ref().map(|url| {
                let password = url.password.as_ref().map(|password| password.as_str());
                (
                    url.host.as_str(),
                    url.port,
                    url.user.as_str(),
                    password,
                    url.database.as_str(),
                )
            });
            assert_eq!(got, want.as_ref().copied(), "{url}");
        }
    }

    #[test]
    fn the_modes_that_verify_are_taken() {
        for (mode, want) in [
            ("disable", Some(SslMode::Disable)),
            ("prefer", None),
            ("verify-ca", Some(SslMode::VerifyCa)),
            ("verify-full", Some(SslMode::VerifyFull)),
        ] {
            let url = PostgresUrl::parse(&format!("postgres://me@db/shop?sslmode={mode}&sslrootcert=%2Fca"))
                .ok()
                .unwrap();
            assert_eq!((url.ssl_mode, url.ssl_root), (want, Some(PathBuf::from("/ca"))));
        }
    }
}
