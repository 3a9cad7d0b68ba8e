//! How the commands talk to a person: colours, snippets, hidden input.

use std::io::{self, IsTerminal, Write as _};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use nix::sys::termios::{self, LocalFlags, SetArg};
use zeroize::Zeroizing;

/// Draws problems with their snippets; in colour only on a terminal that did not ask for none.
pub(crate) fn report_handler() -> GraphicalReportHandler {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let theme = if colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    // Lines are not wrapped, so that a message can be searched for whole.
    GraphicalReportHandler::new_themed(theme)
        .with_wrap_lines(false)
        .without_syntax_highlighting()
        .with_context_lines(1)
        .with_links(false)
}

/// Prints a diagnostic that brings its own snippets.
pub(crate) fn print_report(diagnostic: &dyn Diagnostic) {
    let mut shown = String::new();
    // Writing into a text does not fail.
    let _ = report_handler().render_report(&mut shown, diagnostic);
    eprint!("{shown}");
}

/// Reads one line without showing it on a terminal; a pipe is read as it is, without its last line break.
pub(crate) fn read_secret(prompt: &str) -> io::Result<Zeroizing<String>> {
    let stdin = io::stdin();
    let mut line = Zeroizing::new(String::new());
    if stdin.is_terminal() {
        eprint!("{prompt}");
        io::stderr().flush()?;
        let _hidden = HiddenInput::begin()?;
        stdin.read_line(&mut line)?;
        eprintln!();
    } else {
        stdin.read_line(&mut line)?;
    }
    let len = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(len);
    Ok(line)
}

/// Turns the terminal's echo off for as long as it lives.
struct HiddenInput {
    before: termios::Termios,
}

impl HiddenInput {
    fn begin() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &hidden)?;
        Ok(Self { before })
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        // The terminal may be gone by now; then there is nobody to show an echo to.
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.before);
    }
}
