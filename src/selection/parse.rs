//! The parser of selections, by recursive descent:
//!
//! ```text
//! any    = all { "or" all }
//! all    = one { "and" one }
//! one    = "not" one | "within" LENGTH "of" one | "(" any ")" | "all"
//!        | "element" symbols | "index" numbers | "molecule" numbers | words
//! ```

use std::ops::Range;

use super::{Node, Word, fault};
use crate::Result;
use crate::core::elements;
use crate::error::nearest;
use crate::units::{self, Dimension};

/// Parts within parts that a selection may have: more than anyone writes, less than a stack holds.
const MOST_DEPTH: usize = 64;

/// Words with a meaning of their own.
const KEYWORDS: [&str; 9] = [
    "all", "and", "element", "index", "molecule", "not", "of", "or", "within",
];

/// What stands in a list, which is also how errors call it.
#[derive(Clone, Copy, PartialEq)]
enum ListKind {
    Symbols,
    Numbers,
    Either,
}

impl ListKind {
    fn words(self) -> &'static str {
        match self {
            Self::Symbols => "the symbol of an element, such as O,",
            Self::Numbers => "a number counted from 0, or a range such as 0:63, ends included,",
            Self::Either => "a selection, such as element O, index 0:63 or molecule 3,",
        }
    }
}

/// The whole of a text. One of separators alone names nothing.
pub(super) fn root(text: &str) -> Result<Node> {
    let mut parser = Parser {
        text,
        tokens: tokens(text),
        next: 0,
    };
    parser.skip_commas();
    if parser.peek().is_none() {
        return Ok(Node::Words(Vec::new()));
    }
    let node = parser.any(0)?;
    match parser.peek() {
        None => Ok(node),
        Some(")") => Err(parser.fault("no parenthesis is open here")),
        Some(_) => Err(parser.fault("\"and\" or \"or\" is wanted here")),
    }
}

/// Byte ranges of parentheses, commas, and words between blanks.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        match c {
            '(' | ')' | ',' => {
                found.push(at..end);
                open = false;
            }
            c if c.is_whitespace() => open = false,
            _ => match found.last_mut().filter(|_| open) {
                Some(last) => last.end = end,
                None => {
                    found.push(at..end);
                    open = true;
                }
            },
        }
    }
    found
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Range<usize>>,
    next: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t str> {
        let range = self.tokens.get(self.next)?;
        self.text.get(range.clone())
    }

    /// Goes past a word if it is the next one.
    fn takes(&mut self, word: &str) -> bool {
        let taken = self.peek() == Some(word);
        self.next += usize::from(taken);
        taken
    }

    fn skip_commas(&mut self) {
        while self.takes(",") {}
    }

    /// The character (from 0) at which the next word begins.
    fn place(&self) -> usize {
        let start = self.tokens.get(self.next).map(|range| range.start);
        let before = start.and_then(|start| self.text.get(..start));
        before.unwrap_or(self.text).chars().count()
    }

    fn fault(&self, why: &str) -> crate::Error {
        fault(self.text, self.place(), why)
    }

    fn any(&mut self, depth: usize) -> Result<Node> {
        let mut parts = vec![self.every(depth)?];
        while self.takes("or") {
            parts.push(self.every(depth)?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Node::Or(parts),
        })
    }

    fn every(&mut self, depth: usize) -> Result<Node> {
        let mut parts = vec![self.one(depth)?];
        while self.takes("and") {
            parts.push(self.one(depth)?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Node::And(parts),
        })
    }

    fn one(&mut self, depth: usize) -> Result<Node> {
        if depth >= MOST_DEPTH {
            return Err(self.fault(&format!("more than {MOST_DEPTH} parts deep in each other")));
        }
        let inner = depth + 1;
        if self.takes("not") {
            return Ok(Node::Not(Box::new(self.one(inner)?)));
        }
        if self.takes("within") {
            return self.within(inner);
        }
        if self.takes("(") {
            let node = self.any(inner)?;
            return match self.takes(")") {
                true => Ok(node),
                false if self.peek().is_none() => {
                    Err(self.fault("a parenthesis is open: \")\" is wanted"))
                }
                false => Err(self.fault("\"and\", \"or\" or \")\" is wanted here")),
            };
        }
        if self.takes("all") {
            return Ok(Node::All);
        }
        if self.takes("element") {
            return self.list(ListKind::Symbols).map(Node::Words);
        }
        if self.takes("index") {
            return self.list(ListKind::Numbers).map(Node::Words);
        }
        if self.takes("molecule") {
            return self.list(ListKind::Numbers).map(Node::Molecules);
        }
        self.list(ListKind::Either).map(Node::Words)
    }

    /// What follows `within`.
    fn within(&mut self, depth: usize) -> Result<Node> {
        let place = self.place();
        let mut words = Vec::new();
        while let Some(word) = self.peek().filter(|word| !KEYWORDS.contains(word)) {
            words.push(word);
            self.next += 1;
        }
        if words.is_empty() {
            return Err(self.fault("a distance is wanted, such as 5 A"));
        }
        let wrong = |why: &str| Err(fault(self.text, place, why));
        let distance = match units::parse(&words.join(" "), Dimension::Length) {
            Err(e) => return wrong(&e.to_string()),
            Ok(distance) if distance <= 0.0 => return wrong("a distance above 0 is wanted"),
            Ok(distance) => distance,
        };
        if !self.takes("of") {
            return Err(
                self.fault("\"of\" and a selection are wanted, as in within 5 A of index 7")
            );
        }
        let of = Box::new(self.one(depth)?);
        Ok(Node::Within {
            distance,
            of,
            place,
        })
    }

    /// Words up to the first that is none of the list, between commas and blanks.
    fn list(&mut self, what: ListKind) -> Result<Vec<Word>> {
        let mut words = Vec::new();
        self.skip_commas();
        while let Some(text) = self.peek() {
            if KEYWORDS.contains(&text) || ["(", ")"].contains(&text) {
                break;
            }
            words.push(self.word(text, what)?);
            self.next += 1;
            self.skip_commas();
        }
        match words.is_empty() {
            true => Err(self.fault(&format!("{} is wanted", what.words()))),
            false => Ok(words),
        }
    }

    /// A word of a list.
    fn word(&self, text: &str, what: ListKind) -> Result<Word> {
        let place = self.place();
        if let Some(number) = elements::number(text).filter(|_| what != ListKind::Numbers) {
            return Ok(Word::Element { number, place });
        }
        if what == ListKind::Symbols {
            let near = self.near(text, (1..=elements::LAST).map(elements::symbol));
            return Err(self.fault(&format!("{text:?} is no element{near}")));
        }
        let (first, last) = text.split_once([':', '-']).unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) => Ok(Word::Numbers {
                ends: [first, last],
                place,
            }),
            _ if what == ListKind::Numbers => Err(self.fault(&format!(
                "{text:?} is not {}",
                what.words().trim_end_matches(',')
            ))),
            _ => {
                let near = self.near(text, KEYWORDS.into_iter());
                let why = "is neither the symbol of an element nor the number of an atom, or a range such as 0:63, nor a word \
                           of the selection language";
                Err(self.fault(&format!("{text:?} {why}{near}")))
            }
        }
    }

    fn near(&self, text: &str, known: impl Iterator<Item = &'static str>) -> String {
        // What is long is no slip of a word.
        let near = Some(text).filter(|text| text.len() <= 16);
        let near = near.and_then(|text| nearest(text, known));
        near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
    }
}
