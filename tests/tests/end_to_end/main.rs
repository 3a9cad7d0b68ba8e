//! The gateway in front of a real PostgreSQL, with real clients.

mod budgets;
mod catalog;
mod clients;
mod counts;
mod crowd;
mod deferred;
mod denial;
mod derived;
mod ending;
mod explain_sql;
mod harmless;
mod hostile;
mod limits;
mod masking;
mod policy;
mod readme;
mod record;
mod reload;
mod replay;
mod session;
mod shared;
mod state;
mod suggest;
mod token;
mod unmask;
mod waiting;
