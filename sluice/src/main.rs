//! The `sluice` binary: reads the configuration, starts the parts, and serves the operator's commands.

#![forbid(unsafe_code)]

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

mod audit;
mod budgets;
mod check;
mod cli;
mod config;
mod console;
mod dev;
mod explain_sql;
mod failure;
mod machine;
mod mock_secret;
mod policy;
mod postgres_url;
mod private_file;
mod scram_verifier;
mod serve;
mod server;
mod subject;
mod tls;
mod top;
mod verifier;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    let done = match cli.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Dev(arguments) => dev::run(arguments),
        Command::ExplainSql(arguments) => explain_sql::run(&arguments),
        Command::Policy(command) => policy::run(&command),
        Command::Audit(command) => audit::run(command),
        Command::Top(arguments) => top::run(&arguments),
        Command::Budgets(arguments) => budgets::run(&arguments),
        Command::ScramVerifier(arguments) => scram_verifier::run(&arguments),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "sluice", &mut std::io::stdout());
            Ok(())
        }
        Command::Man => man(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output (`head`, a pager) has seen enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::FAILURE
        }
    }
}

/// One page for the whole: the commands' own pages follow each other.
fn man() -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    let mut out = std::io::stdout();
    clap_mangen::Man::new(command.clone())
        .render(&mut out)
        .map_err(Failure::Output)?;
    pages_below(&command, &mut out).map_err(Failure::Output)
}

fn pages_below(command: &clap::Command, out: &mut impl std::io::Write) -> std::io::Result<()> {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let page = clap_mangen::Man::new(sub.clone());
        page.render_synopsis_section(out)?;
        page.render_description_section(out)?;
        page.render_options_section(out)?;
        pages_below(sub, out)?;
    }
    Ok(())
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(std::io::stderr)
        .init();
}
