//! Who asks a policy, from where and when.

use std::net::IpAddr;
use std::time::Duration;

use sluice_audit::time::now_ns;
use sluice_policy::identity::{Identity, LOCAL_ISSUER, Method};
use sluice_policy::{Client, Moment, Principal, Target};

use crate::cli::Claims;
use crate::failure::Failure;
use crate::subject::Subject;

/// What a person says of who asks.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// A local identity's name, or with an issuer the subject of its tokens.
    pub(super) identity: String,
    pub(super) issuer: Option<String>,
    pub(super) groups: Vec<String>,
    pub(super) claims: Option<Claims>,
    pub(super) address: IpAddr,
    pub(super) application_name: Option<String>,
    /// Nanoseconds of the Unix epoch; now if none.
    pub(super) at: Option<u64>,
}

/// Who asks, as policies see it.
pub(super) struct Asker {
    pub(super) identity: Identity,
    pub(super) principal: Principal,
    pub(super) client: Client,
    pub(super) moment: Moment,
}

impl Asker {
    /// On the subject's connection and database.
    pub(super) fn new(who: &Who, subject: &Subject) -> Result<Self, Failure> {
        let identity = identity(who, subject)?;
        let target = Target::new(&*subject.connection, &*subject.database)
            .map_err(|error| Failure::other("--connection", error))?;
        let mut client = Client::new(who.address).with_claims(&identity);
        if let Some(name) = &who.application_name {
            client = client.with_application_name(name);
        }
        let at = Duration::from_nanos(who.at.unwrap_or_else(now_ns));
        Ok(Self {
            principal: Principal::new(&identity, target),
            client,
            moment: Moment::from_unix_ms(u64::try_from(at.as_millis()).unwrap_or(u64::MAX)),
            identity,
        })
    }
}

/// One of the configuration, or one that an issuer would vouch for.
fn identity(who: &Who, subject: &Subject) -> Result<Identity, Failure> {
    let name = who.identity.as_str();
    let Some(issuer) = &who.issuer else {
        let configured = subject.identities.as_ref();
        let known = configured.and_then(|identities| identities.scram.identity(name));
        let identity = match known {
            Some(identity) => identity,
            // Without a configuration anybody can be asked about.
            None if configured.is_none() => Identity::new(LOCAL_ISSUER, name, Method::Scram),
            None => {
                let cause = format!(
                    "the configuration has no [identities.{name}]; with an issuer it is the subject of a token"
                );
                return Err(Failure::other("identity", cause));
            }
        };
        let groups = [identity.groups(), &who.groups].concat();
        return Ok(identity.with_groups(groups));
    };
    let mut identity = Identity::new(issuer, name, Method::Oidc).with_groups(who.groups.clone());
    if let Some(claims) = &who.claims {
        identity.claims.clone_from(claims);
    }
    Ok(identity)
}
