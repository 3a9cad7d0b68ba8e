//! `sluice scram-verifier`.

use std::io::Write as _;

use crate::cli::ScramVerifier;
use crate::console::read_secret;
use crate::failure::Failure;
use crate::verifier;

/// Prints the verifier of a password.
pub(crate) fn run(arguments: &ScramVerifier) -> Result<(), Failure> {
    let password = if arguments.generate {
        let password =
            verifier::random_password().map_err(|error| Failure::other("no random bytes", error))?;
        eprintln!("password: {}", *password);
        password
    } else {
        read_secret("password: ").map_err(|error| Failure::other("cannot read the password", error))?
    };
    if password.is_empty() {
        return Err(Failure::other(
            "no password",
            "give one on stdin, or use --generate",
        ));
    }
    let verifier = verifier::make(&password).map_err(|error| Failure::other("no random bytes", error))?;
    writeln!(std::io::stdout(), "{verifier}").map_err(Failure::Output)
}
