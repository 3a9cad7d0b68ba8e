//! What an effect is on, as policies write it.

use std::fmt;

use sluice_parsers::sql::effect::Effect;

use crate::names::{self, Kind};
use crate::principal::Target;
use crate::set::question;

/// Something that policies can name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// Its type: `Table`, `Setting`, `Database` ...
    pub kind: &'static str,
    /// Its id: `orders/shop/public.customers`.
    pub id: String,
}

impl Resource {
    /// What an effect in a database is on, or one of its columns; none if that is not known.
    pub fn of(target: &Target, effect: &Effect, column: Option<&str>) -> Option<Self> {
        let (kind, id) = question::known(&target.to_string(), effect, column)?;
        Some(Self { kind, id })
    }

    /// The last of its names, as the catalog has it; none of what lies in no database.
    pub fn name(&self) -> Option<String> {
        let named = names::read(Kind::from_name(self.kind)?, &self.id).ok()?;
        Some(named.parts.last()?.to_string())
    }
}

/// `Table::"orders/shop/public.customers"`
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&question::written(self.kind, &self.id))
    }
}
