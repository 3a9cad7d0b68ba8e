//! Runs of operator characters, which the server's scanner reads again and again.
//!
//! Its rule for the beginning of a comment takes all operator characters behind it and then gives them back
//! (`scan.l`, `xcstart`), so `/*/*/*...` or `/**//**/...` costs the product of the comments and the bytes of the run.

/// How many bytes the scanner reads for the comments' sake.
const WORK_MAX: usize = 32 << 20;

/// Whether the scanner is done with the text in bounded time. Runs inside of literals count too, which errs on the
/// safe side: no text that means anything has thousands of comments without a letter between them.
pub(super) fn are_bounded(sql: &[u8]) -> bool {
    let is_operator = |byte: &u8| b"~!@#^&|`?+-*/%<>=".contains(byte);
    let mut work = 0usize;
    for run in sql.split(|byte| !is_operator(byte)) {
        let comments = run.windows(2).filter(|pair| pair == b"/*").count();
        work = work.saturating_add(comments.saturating_mul(run.len()));
    }
    work <= WORK_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banners_are_bounded_and_chains_are_not() {
        for (name, text, want) in [
            ("a banner", format!("/{}/ SELECT 1", "*".repeat(5000)), true),
            (
                "many banners",
                format!("/{}/ SELECT 1 ", "*".repeat(500)).repeat(1000),
                true,
            ),
            ("nested", "/*".repeat(100_000), false),
            ("side by side", "/**/".repeat(50_000), false),
            ("some side by side", "/**/".repeat(100), true),
        ] {
            assert_eq!(are_bounded(text.as_bytes()), want, "{name}");
        }
    }
}
