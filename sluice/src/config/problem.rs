//! Mistakes in a configuration, collected so that one run reports them all.
//!
//! Each names its setting, shows its place and says what to write instead. Lines that may hold a secret are blanked
//! in every snippet, for reports end up in logs and tickets.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

/// One mistake, or one warning.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// Warnings are printed and do not stop anything.
    pub(crate) severity: Severity,
    /// Dotted name of the setting; empty when the file as a whole is meant.
    pub(crate) setting: String,
    /// What is wrong, with the value that was found.
    pub(crate) message: String,
    /// Where, in bytes of the source.
    pub(crate) span: Option<Range<usize>>,
    /// What to write instead.
    pub(crate) help: String,
}

/// Collects problems while the configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: RefCell<Vec<Problem>>,
    foreign: RefCell<Vec<miette::Report>>,
}

impl Problems {
    /// Notes a mistake.
    pub(crate) fn error(
        &self,
        setting: impl Into<String>,
        span: Option<Range<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Error, setting.into(), span, message.into(), help.into());
    }

    /// Notes something that works but is probably not meant.
    pub(crate) fn warning(
        &self,
        setting: impl Into<String>,
        span: Option<Range<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(
            Severity::Warning,
            setting.into(),
            span,
            message.into(),
            help.into(),
        );
    }

    /// Notes mistakes in a file of its own (a policy), which bring their own snippets.
    pub(crate) fn foreign(&self, report: miette::Report) {
        self.foreign.borrow_mut().push(report);
    }

    /// Ends the collection; problems come in the order of the file.
    pub(crate) fn into_report(self, name: &str, source: &str) -> Report {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        Report {
            source: NamedSource::new(name, without_secrets(source)).with_language("toml"),
            problems: found,
            foreign: self.foreign.into_inner(),
        }
    }

    fn add(
        &self,
        severity: Severity,
        setting: String,
        span: Option<Range<usize>>,
        message: String,
        help: String,
    ) {
        self.found.borrow_mut().push(Problem {
            severity,
            setting,
            message,
            span,
            help,
        });
    }
}

/// Everything one reading of a configuration found.
#[derive(Debug)]
pub(crate) struct Report {
    source: NamedSource<String>,
    problems: Vec<Problem>,
    foreign: Vec<miette::Report>,
}

impl Report {
    /// A report of one mistake that has no place in a file.
    pub(crate) fn of_file(name: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        let problems = Problems::default();
        problems.error("", None, message, help);
        problems.into_report(name, "")
    }

    /// How many mistakes there are.
    pub(crate) fn errors(&self) -> usize {
        self.count(Severity::Error) + self.foreign.len()
    }

    /// How many warnings there are.
    pub(crate) fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.problems
            .iter()
            .filter(|problem| problem.severity == severity)
            .count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handler = crate::console::report_handler();
        for problem in &self.problems {
            handler.render_report(
                f,
                &Shown {
                    problem,
                    report: self,
                },
            )?;
        }
        for report in &self.foreign {
            handler.render_report(f, report.as_ref())?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// One problem beside its source, as miette wants to have it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    report: &'a Report,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            setting,
            message,
            span,
            ..
        } = self.problem;
        if span.is_none() {
            write!(f, "{}: ", self.report.source.name())?;
        }
        if !setting.is_empty() {
            write!(f, "{setting}: ")?;
        }
        f.write_str(message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(self.problem.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.problem.help.is_empty()).then(|| Box::new(&self.problem.help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.problem
            .span
            .as_ref()
            .map(|_| &self.report.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.problem.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(
            None, span,
        ))))
    }
}

/// The source with what follows `password =` and `verifier =` blanked; offsets stay.
fn without_secrets(source: &str) -> String {
    source.split_inclusive('\n').map(without_secret).collect()
}

fn without_secret(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let secret = ["password", "verifier"].iter().find_map(|word| {
        let after = lower.find(word)? + word.len();
        let equals = lower[after..].find(|c: char| !c.is_ascii_whitespace() && c != '"' && c != '\'')?;
        lower[after + equals..]
            .starts_with('=')
            .then_some(after + equals + 1)
    });
    let Some(start) = secret else {
        return line.to_owned();
    };
    let (shown, hidden) = line.split_at(start);
    // As many bytes as before, or the carets would move.
    let blanked = hidden.chars().flat_map(|c| {
        let blank = if matches!(c, ' ' | '\n' | '\r') { c } else { '*' };
        std::iter::repeat_n(blank, c.len_utf8())
    });
    shown.chars().chain(blanked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_reach_a_snippet() {
        for (name, line, want) in [
            (
                "inline password",
                "password = \"päss\" # x\n",
                "password = ******* * *\n",
            ),
            ("no space", "password=\"a\"", "password=***"),
            ("quoted key", "\"verifier\" = 'a'", "\"verifier\" = ***"),
            (
                "inline table",
                "x = { verifier = \"a\" }",
                "x = { verifier = *** *",
            ),
            ("a file's name", "password_file = \"a\"", "password_file = \"a\""),
            (
                "another key",
                "groups = [\"password\"]",
                "groups = [\"password\"]",
            ),
        ] {
            let shown = without_secrets(line);
            assert_eq!(shown, want, "{name}");
            assert_eq!(shown.len(), line.len(), "{name}");
        }
    }
}
