//! The statements of the load: fifty shapes a workload, fresh literals in each query.
//!
//! A table's name begins with the answer that the null back end is to give (`point_`, `rows100_`, `stream_1000000_`),
//! so that the choice survives whatever a proxy does to comments or spaces. Literals stand in plain comparisons, where
//! real drivers' statements mostly have them.

use crate::rows::Dice;
use crate::wire;

/// Shapes of a workload.
pub const SHAPES: usize = 50;

/// `{t}` is the table, `{n}` a number, `{s}` a string.
const TEMPLATES: [&str; 10] = [
    "SELECT id, name, balance FROM {t} WHERE id = {n}",
    "SELECT id, name, balance FROM {t} WHERE id = {n} AND name = {s}",
    "SELECT a.id, a.name FROM {t} a WHERE a.region = {s} AND a.id > {n} ORDER BY a.id",
    "SELECT t.id, count(*) FROM {t} t WHERE t.owner_id = {n} GROUP BY t.id",
    "SELECT id, name, updated_at FROM {t} WHERE tenant_id = {n} AND state = {s} AND id = {n}",
    "SELECT x.id, x.name, y.total FROM {t} x JOIN totals y ON y.id = x.id WHERE x.id = {n}",
    "SELECT id, lower(name), city FROM {t} WHERE id = {n} AND city <> {s}",
    "SELECT id, kind FROM {t} WHERE id >= {n} AND id < {n} AND kind = {s}",
    "SELECT max(amount) FROM {t} WHERE account_id = {n} AND currency = {s}",
    "SELECT DISTINCT name FROM {t} WHERE id = {n} OR name = {s}",
];

const TABLES: [&str; 5] = ["accounts", "orders", "customers", "payments", "events"];

/// One statement text with places for literals.
pub struct Shape {
    pieces: Vec<Piece>,
    /// The text with `$1`, `$2` ... in the places of literals.
    prepared: String,
    /// The name it is prepared under.
    name: String,
}

enum Piece {
    Text(&'static str),
    Table(String),
    Number,
    Word,
}

/// All shapes over tables whose names begin with `prefix` (`point`, `rows100`, `stream_8000`).
pub fn shapes(prefix: &str) -> Vec<Shape> {
    (0..SHAPES)
        .map(|number| {
            let table = format!("{prefix}_{}", TABLES[number / TEMPLATES.len()]);
            Shape::new(number, TEMPLATES[number % TEMPLATES.len()], &table)
        })
        .collect()
}

impl Shape {
    fn new(number: usize, template: &'static str, table: &str) -> Self {
        let mut pieces = Vec::new();
        let mut prepared = String::new();
        let mut parameters = 0;
        for part in template.split('{') {
            let text = match part.split_once('}') {
                None => part,
                Some((place, text)) => {
                    if place == "t" {
                        pieces.push(Piece::Table(table.to_owned()));
                        prepared.push_str(table);
                    } else {
                        pieces.push(if place == "n" { Piece::Number } else { Piece::Word });
                        parameters += 1;
                        prepared.push('$');
                        prepared.push_str(&parameters.to_string());
                    }
                    text
                }
            };
            prepared.push_str(text);
            pieces.push(Piece::Text(text));
        }
        Self {
            pieces,
            prepared,
            name: format!("p{number:02}"),
        }
    }

    /// Appends a Query with fresh literals.
    pub fn query(&self, out: &mut Vec<u8>, dice: &mut Dice) {
        wire::frame(out, b'Q', |out| {
            for piece in &self.pieces {
                match piece {
                    Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                    Piece::Table(name) => out.extend_from_slice(name.as_bytes()),
                    Piece::Number => number(out, dice),
                    Piece::Word => {
                        out.push(b'\'');
                        word(out, dice);
                        out.push(b'\'');
                    }
                }
            }
            out.push(0);
        });
    }

    /// Appends the Parse that prepares it.
    pub fn parse(&self, out: &mut Vec<u8>) {
        wire::frame(out, b'P', |out| {
            wire::text(out, self.name.as_bytes());
            wire::text(out, self.prepared.as_bytes());
            wire::int16(out, 0);
        });
    }

    /// Appends what libpq sends for a prepared statement (Bind, Describe, Execute, Sync), with fresh parameters.
    pub fn execute(&self, out: &mut Vec<u8>, dice: &mut Dice) {
        wire::frame(out, b'B', |out| {
            wire::text(out, b"");
            wire::text(out, self.name.as_bytes());
            wire::int16(out, 0);
            let parameters = self
                .pieces
                .iter()
                .filter(|piece| matches!(piece, Piece::Number | Piece::Word))
                .count();
            wire::int16(out, parameters);
            for piece in &self.pieces {
                let start = out.len();
                match piece {
                    Piece::Text(_) | Piece::Table(_) => continue,
                    Piece::Number => {
                        wire::int32(out, 0);
                        number(out, dice);
                    }
                    Piece::Word => {
                        wire::int32(out, 0);
                        word(out, dice);
                    }
                }
                let len = u32::try_from(out.len() - start - 4).expect("a short literal");
                out[start..start + 4].copy_from_slice(&len.to_be_bytes());
            }
            wire::int16(out, 0);
        });
        out.extend_from_slice(b"D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0");
        wire::sync(out);
    }
}

fn number(out: &mut Vec<u8>, dice: &mut Dice) {
    let mut digits = [0; 6];
    let mut rest = 100_000 + dice.below(900_000);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

fn word(out: &mut Vec<u8>, dice: &mut Dice) {
    let mut rest = dice.next_u64() >> 8;
    out.push(b'x');
    for _ in 0..7 {
        out.push(b"abcdefghijklmnopqrstuvwxyz012345"[(rest & 31) as usize]);
        rest >>= 5;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn there_are_fifty_different_shapes() {
        let all: HashSet<String> = shapes("point").into_iter().map(|shape| shape.prepared).collect();
        assert_eq!(all.len(), SHAPES);
        assert!(all.contains("SELECT id, name, balance FROM point_orders WHERE id = $1 AND name = $2"));
    }

    #[test]
    fn literals_differ_and_lengths_add_up() {
        let shape = &shapes("point")[1];
        let mut dice = Dice::new(1);
        let (mut first, mut second, mut bind) = (Vec::new(), Vec::new(), Vec::new());
        shape.query(&mut first, &mut dice);
        shape.query(&mut second, &mut dice);
        assert_ne!(first, second);
        let text = std::str::from_utf8(&first[5..]).unwrap();
        assert!(
            text.starts_with("SELECT id, name, balance FROM point_accounts WHERE id = "),
            "{text}"
        );
        assert!(text.ends_with("'\0") && text.contains(" AND name = 'x"), "{text}");

        shape.execute(&mut bind, &mut dice);
        let mut tags = Vec::new();
        let mut rest = &bind[..];
        while let Some(len) = wire::read_u32(rest, 1) {
            tags.push(rest[0]);
            rest = &rest[1 + len as usize..];
        }
        assert_eq!(tags, b"BDES");
    }
}
