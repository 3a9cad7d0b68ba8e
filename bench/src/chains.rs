//! Statements that are dear to analyse: chains of terms, as long as a gateway takes them.
//!
//! Each makes a parser recurse, or a tree grow, in another place. The first words are such that the null back end answers
//! at once.

use crate::wire;

/// The longest statement that the gateway takes if nothing else is configured (`max_statement_bytes`).
pub const STATEMENT_BYTES_MAX: usize = 4 << 20;

/// A kind of chain: `head`, then `link` for each term, then `middle`, then `tail` for each term.
struct Kind {
    name: &'static str,
    head: &'static str,
    link: &'static str,
    middle: &'static str,
    tail: &'static str,
}

const KINDS: [Kind; 11] = [
    chain("sum", "SELECT 1", "+1"),
    chain("and", "SELECT id FROM point_accounts WHERE a=1", " AND a=1"),
    chain("or", "SELECT id FROM point_accounts WHERE a=1", " OR a=1"),
    chain("union", "SELECT 1", " UNION SELECT 1"),
    nested("not", "SELECT ", "NOT ", "true", ""),
    nested("case", "SELECT ", "CASE 1 WHEN 1 THEN ", "1", " END"),
    chain("join", "SELECT 1 FROM point_accounts", " CROSS JOIN t"),
    chain("array", "SELECT ARRAY[1]", "||ARRAY[1]"),
    chain("rows", "INSERT INTO t VALUES (1)", ",(1)"),
    nested(
        "list",
        "SELECT id FROM point_accounts WHERE a IN (1",
        ",1",
        ")",
        "",
    ),
    nested(
        "string",
        "SELECT id FROM point_accounts WHERE a = '",
        "x",
        "'",
        "",
    ),
];

const fn chain(name: &'static str, head: &'static str, link: &'static str) -> Kind {
    nested(name, head, link, "", "")
}

const fn nested(
    name: &'static str,
    head: &'static str,
    link: &'static str,
    middle: &'static str,
    tail: &'static str,
) -> Kind {
    Kind {
        name,
        head,
        link,
        middle,
        tail,
    }
}

/// A chain, ready to be sent.
pub struct Chain {
    /// What it is made of.
    pub name: &'static str,
    /// The whole Query.
    pub query: Vec<u8>,
}

/// One chain of each kind, of as many terms as there is room for in so many bytes.
pub fn chains(bytes: usize) -> Vec<Chain> {
    KINDS
        .iter()
        .map(|kind| {
            let ends = kind.head.len() + kind.middle.len();
            let terms = bytes.saturating_sub(ends) / (kind.link.len() + kind.tail.len());
            let mut query = Vec::new();
            wire::frame(&mut query, b'Q', |out| {
                out.extend_from_slice(kind.head.as_bytes());
                out.extend_from_slice(kind.link.repeat(terms).as_bytes());
                out.extend_from_slice(kind.middle.as_bytes());
                out.extend_from_slice(kind.tail.repeat(terms).as_bytes());
                out.push(0);
            });
            Chain {
                name: kind.name,
                query,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(chain: &Chain) -> &str {
        let text = chain.query[5..].strip_suffix(b"\0").unwrap();
        std::str::from_utf8(text).unwrap()
    }

    #[test]
    fn every_chain_is_one_query() {
        for chain in chains(STATEMENT_BYTES_MAX) {
            let len = wire::read_u32(&chain.query, 1).unwrap() as usize;
            assert_eq!(
                (chain.query[0], 1 + len),
                (b'Q', chain.query.len()),
                "{}",
                chain.name
            );
            let text = text(&chain);
            assert!(!text.contains(['\0', ';']), "{}", chain.name);
            let longest = STATEMENT_BYTES_MAX - 32..=STATEMENT_BYTES_MAX;
            assert!(longest.contains(&text.len()), "{}", chain.name);
        }
    }

    #[test]
    fn short_chains_read_as_intended() {
        for (at, (name, want)) in [
            ("sum", "SELECT 1+1+1"),
            ("and", "SELECT id FROM point_accounts WHERE a=1 AND a=1 AND a=1"),
            ("or", "SELECT id FROM point_accounts WHERE a=1 OR a=1 OR a=1"),
            ("union", "SELECT 1 UNION SELECT 1 UNION SELECT 1"),
            ("not", "SELECT NOT NOT true"),
            ("case", "SELECT CASE 1 WHEN 1 THEN CASE 1 WHEN 1 THEN 1 END END"),
            ("join", "SELECT 1 FROM point_accounts CROSS JOIN t CROSS JOIN t"),
            ("array", "SELECT ARRAY[1]||ARRAY[1]||ARRAY[1]"),
            ("rows", "INSERT INTO t VALUES (1),(1),(1)"),
            ("list", "SELECT id FROM point_accounts WHERE a IN (1,1,1)"),
            ("string", "SELECT id FROM point_accounts WHERE a = 'xx'"),
        ]
        .into_iter()
        .enumerate()
        {
            let chain = &chains(want.len())[at];
            assert_eq!((chain.name, text(chain)), (name, want));
        }
    }
}
