//! `[listeners.NAME]`: where clients connect, with what certificate, and to what.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use sluice_dataplane::settings::{Listener, ListenerTarget, ListenerTls, ServerTlsHandle};

use super::connections::{Found, is_this_machine, warn_if_others_read};
use super::reader::{At, Table, nearest};
use super::value::{listen_address, path, text, word};
use crate::tls::{self, TlsFileError};

/// Reads every listener; `any_local` says whether anybody could log in without TLS. One with a mistake is left out; the mistake keeps the configuration from being used.
pub(super) fn read(root: &Table<'_>, folder: &Path, connections: &[Found], any_local: bool) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    let mut shared = false;
    let mut bound: Vec<String> = Vec::new();
    let tables = root.named_tables("listeners");
    for (name, table) in &tables {
        let help = "say where clients connect: address = \"127.0.0.1:6432\"";
        let address = table.required("address", help, listen_address);
        let connection = table.optional("connection", text);
        match &connection {
            Some(connection) => bound.push(connection.value.clone()),
            None => shared |= !table.has("connection"),
        }
        let target = connection.map_or(
            (!table.has("connection")).then_some(ListenerTarget::Shared),
            |connection| resolve(table, &connection, connections),
        );
        let tls = listener_tls(table, folder, any_local, address.as_ref());
        let (Some(address), Some(target), Some(tls)) = (address, target, tls) else {
            continue;
        };
        let clash = listeners
            .iter()
            .find(|other| other.address == address.value && address.value.port() != 0);
        if let Some(other) = clash {
            let message = format!(
                "{} is the address of listener \"{}\" already",
                address.value, other.name
            );
            table.error(
                "address",
                address.span,
                message,
                "give each listener an address of its own",
            );
            continue;
        }
        listeners.push(Listener {
            name: name.value.clone(),
            address: address.value,
            tls,
            target,
        });
    }
    if tables.is_empty() {
        root.error(
            "listeners",
            root.span(),
            "there is none",
            "add [listeners.NAME] with an address",
        );
    }
    for found in connections {
        if !shared && !tables.is_empty() && !bound.contains(&found.name.value) {
            let key = format!("connections.{}", found.name.value);
            let help = format!(
                "bind a listener to it (connection = \"{}\"), or leave one unbound",
                found.name.value
            );
            root.warning(&key, found.name.span.clone(), "no listener leads to it", help);
        }
    }
    listeners
}

fn resolve(table: &Table<'_>, name: &At<String>, connections: &[Found]) -> Option<ListenerTarget> {
    if let Some(found) = connections.iter().find(|found| found.name.value == name.value) {
        return found
            .connection
            .as_ref()
            .map(|connection| ListenerTarget::Bound(Arc::clone(connection)));
    }
    let names: Vec<&str> = connections
        .iter()
        .map(|found| found.name.value.as_str())
        .collect();
    let help = match nearest(&name.value, &names) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if names.is_empty() => "add [connections.NAME]".to_owned(),
        None => format!(
            "the connections are {}; without `connection` clients choose",
            names.join(", ")
        ),
    };
    table.error(
        "connection",
        name.span.clone(),
        format!("there is no connection \"{}\"", name.value),
        help,
    );
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Required,
    Optional,
    Off,
}

fn listener_tls(
    table: &Table<'_>,
    folder: &Path,
    any_local: bool,
    address: Option<&At<std::net::SocketAddr>>,
) -> Option<ListenerTls> {
    let modes = [
        ("required", Mode::Required),
        ("optional", Mode::Optional),
        ("off", Mode::Off),
    ];
    let mode = table.or("tls", Mode::Required, word(&modes));
    if mode == Mode::Off {
        for key in ["certificate", "key"] {
            let _ = table.optional(key, text);
            if table.has(key) {
                table.error(
                    key,
                    table.span_of(key),
                    "has no effect with tls = \"off\"",
                    "remove it, or turn TLS on",
                );
            }
        }
        if !any_local {
            let message =
                "nobody can log in here: without TLS only local identities get in, and there is none";
            let help = "turn TLS on, or add [identities.NAME] with a verifier";
            table.warning("tls", table.span_of("tls"), message, help);
        } else if address.is_some_and(|address| !is_this_machine(&address.value.ip().to_string())) {
            let message = "statements and rows cross the network in the clear";
            table.warning(
                "tls",
                table.span_of("tls"),
                message,
                "use tls = \"required\" with a certificate",
            );
        }
        return Some(ListenerTls::Off);
    }
    let help = "name the PEM file with the chain: certificate = \"tls/gateway.crt\"; or write tls = \"off\"";
    let certificate = table.required("certificate", help, path(folder));
    let key = table.required(
        "key",
        "name the PEM file with the private key: key = \"tls/gateway.key\"",
        path(folder),
    );
    let handle = server_tls(table, &certificate?, &key?)?;
    Some(if mode == Mode::Required {
        ListenerTls::Required(handle)
    } else {
        ListenerTls::Optional(handle)
    })
}

const CHAIN_HELP: &str = "name a PEM file with the certificate first, then its chain";
const KEY_HELP: &str = "name a PEM file with one private key, without a passphrase";

fn server_tls(table: &Table<'_>, certificate: &At<PathBuf>, key: &At<PathBuf>) -> Option<ServerTlsHandle> {
    warn_if_others_read(table, "key", key);
    let error = |setting, at: &At<PathBuf>, error: TlsFileError, help| {
        table.error(setting, at.span.clone(), error.to_string(), help);
    };
    let chain = tls::read_chain(&certificate.value)
        .map_err(|cause| error("certificate", certificate, cause, CHAIN_HELP));
    let private = tls::read_key(&key.value).map_err(|cause| error("key", key, cause, KEY_HELP));
    match tls::server(chain.ok()?, private.ok()?) {
        Ok(server) => Some(Arc::new(ArcSwap::from_pointee(server))),
        Err(TlsFileError::Mismatch) => {
            error(
                "key",
                key,
                TlsFileError::Mismatch,
                "name the key that the certificate was made for",
            );
            None
        }
        Err(cause) => {
            error("certificate", certificate, cause, CHAIN_HELP);
            None
        }
    }
}
