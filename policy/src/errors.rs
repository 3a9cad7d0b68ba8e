//! What is wrong with a policy file: every mistake, with its place and the way out.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// One mistake of a policy file.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
    /// What the marked place is, where that says more than the message.
    pub label: Option<String>,
    /// The place in the file, in bytes.
    pub start: usize,
    /// Its length in bytes.
    pub len: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    source: Arc<NamedSource<String>>,
}

impl Mistake {
    /// The file's name.
    pub fn file(&self) -> &str {
        self.source.name()
    }
}

/// `read-only.cedar:3:7: unexpected token`
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file(),
            self.line,
            self.column,
            self.message
        )
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new(self.label.clone(), self.start, self.len);
        Some(Box::new(std::iter::once(label)))
    }
}

/// What is wrong and what to do about it, found where the place is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unplaced {
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Unplaced {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

/// Every mistake of a policy file, in the order of the file. Never empty.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{file} has {} mistake{}", mistakes.len(), if mistakes.len() == 1 { "" } else { "s" })]
pub struct PolicyErrors {
    file: String,
    #[related]
    mistakes: Vec<Mistake>,
}

impl PolicyErrors {
    /// The mistakes, in the order of the file.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

/// Gathers mistakes while a file is read.
pub(crate) struct Mistakes {
    source: Arc<NamedSource<String>>,
    found: Vec<Mistake>,
}

impl Mistakes {
    pub(crate) fn new(file: &str, source: &str) -> Self {
        let source = Arc::new(NamedSource::new(file, source.to_owned()));
        Self {
            source,
            found: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Notes a mistake at a place that may lie outside of the file or inside of a character.
    pub(crate) fn note(
        &mut self,
        start: usize,
        len: usize,
        message: String,
        label: Option<String>,
        help: Option<String>,
    ) {
        let text = self.source.inner();
        let start = floor_char_boundary(text, start);
        let len = floor_char_boundary(text, start.saturating_add(len)) - start;
        if self
            .found
            .iter()
            .any(|mistake| mistake.start == start && mistake.message == message)
        {
            return;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.found.push(Mistake {
            message,
            help,
            label,
            start,
            len,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            source: Arc::clone(&self.source),
        });
    }

    /// Notes at a place what was found without it.
    pub(crate) fn note_at(&mut self, start: usize, len: usize, mistake: Unplaced) {
        self.note(start, len, mistake.message, None, Some(mistake.help));
    }

    /// Notes a diagnostic and all that belong to it. `base` is where the text that it speaks of begins.
    pub(crate) fn note_diagnostic(
        &mut self,
        base: usize,
        diagnostic: &dyn Diagnostic,
        explain: impl Fn(&str) -> Option<String>,
    ) {
        self.note_diagnostic_dyn(base, diagnostic, &explain);
    }

    fn note_diagnostic_dyn(
        &mut self,
        base: usize,
        diagnostic: &dyn Diagnostic,
        explain: &dyn Fn(&str) -> Option<String>,
    ) {
        let message = diagnostic.to_string();
        // The place says which policy it is; its number in the file says less.
        let message = match message
            .strip_prefix("for policy `")
            .and_then(|rest| rest.split_once("`, "))
        {
            Some((_, message)) => message.to_owned(),
            None => message,
        };
        let label = diagnostic.labels().and_then(|mut labels| labels.next());
        let (start, len) = label
            .as_ref()
            .map_or((0, 0), |label| (label.offset(), label.len()));
        let label = label.and_then(|label| label.label().map(str::to_owned));
        let help = explain(&message).or_else(|| diagnostic.help().map(|help| help.to_string()));
        self.note(base + start, len, message, label, help);
        for related in diagnostic.related().into_iter().flatten() {
            self.note_diagnostic_dyn(base, related, explain);
        }
    }

    /// All that was noted, in the order of the file.
    pub(crate) fn into_found(mut self) -> Vec<Mistake> {
        self.found.sort_by_key(|mistake| mistake.start);
        self.found
    }

    pub(crate) fn into_errors(mut self) -> PolicyErrors {
        debug_assert!(!self.found.is_empty(), "an error without a mistake");
        self.found.sort_by_key(|mistake| mistake.start);
        PolicyErrors {
            file: self.source.name().to_owned(),
            mistakes: self.found,
        }
    }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}
