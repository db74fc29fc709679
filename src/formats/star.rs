//! STAR syntax, in which CIF 1.1, CIF 2.0 and mmCIF files are written: blocks of tags with values, alone or
//! in loops.
//!
//! Hall & Bernstein, International Tables for Crystallography G, chapter 2.2; CIF 2.0: Bernstein et al.,
//! J. Appl. Cryst. 49, 277 (2016). One pass over the text: time and memory grow as its length.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::{Error, Result};

/// One value as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StarValue<'t> {
    /// Its text, without quotes.
    pub text: &'t str,
    /// Its line, from 1.
    pub line: u32,
}

impl<'t> StarValue<'t> {
    /// The text without blanks around it, unless it is `?` (unknown) or `.` (does not apply),
    /// in quotes too.
    pub fn known(&self) -> Option<&'t str> {
        let text = self.text.trim();
        (!matches!(text, "" | "?" | ".")).then_some(text)
    }
}

/// What stands under one tag: every `stride`-th value from `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TagColumn {
    start: usize,
    stride: usize,
    /// How many values there are; 1 outside of loops.
    pub rows: usize,
    /// The line of the tag, from 1.
    pub line: u32,
    /// Which loop it is in: columns of one table have the same.
    table: usize,
    /// Why the values cannot be used: the same tag again, or a stray value, in this line.
    fault: Option<(Fault, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Repeated,
    Stray,
}

/// One data block.
#[derive(Debug, Default)]
pub(super) struct DataBlock<'t> {
    /// What stands after `data_`.
    pub name: &'t str,
    values: Vec<StarValue<'t>>,
    /// By tag, in lower case.
    columns: HashMap<String, TagColumn>,
}

impl<'t> DataBlock<'t> {
    /// Whether any tag begins with this (in lower case).
    pub fn has_any_of(&self, beginning: &str) -> bool {
        self.columns.keys().any(|tag| tag.starts_with(beginning))
    }

    /// The column of the first of these tags (in lower case) that is there.
    ///
    /// # Errors
    /// The tag stands twice, or is followed by more than one value outside of a loop.
    pub fn column(&self, tags: &[&str]) -> Result<Option<TagColumn>> {
        let found = tags
            .iter()
            .find_map(|tag| self.columns.get(*tag).map(|c| (tag, c)));
        let Some((tag, column)) = found else {
            return Ok(None);
        };
        match column.fault {
            None => Ok(Some(*column)),
            Some((Fault::Repeated, line)) => Err(Error::input(format!(
                "line {line}: {tag} stands here again, after line {}; keep one of them",
                column.line
            ))),
            Some((Fault::Stray, line)) => Err(Error::input(format!(
                "line {line}: a second value for {tag} of line {}; a text with blanks is to be in quotes",
                column.line
            ))),
        }
    }

    /// The column of the first of these tags that is there, and has a value for each row of another.
    ///
    /// # Errors
    /// As [`DataBlock::column`]; or the two do not stand in one loop.
    pub fn beside(&self, other: TagColumn, tags: &[&str]) -> Result<Option<TagColumn>> {
        let Some(column) = self.column(tags)? else {
            return Ok(None);
        };
        let together = column.table == other.table || (column.rows == 1 && other.rows == 1);
        match together {
            true => Ok(Some(column)),
            // A tag without a value.
            false if column.rows == 0 => Ok(None),
            false => Err(Error::input(format!(
                "line {}: {} is not in one loop with the coordinates of the atoms (line {})",
                column.line,
                tags.first().unwrap_or(&""),
                other.line
            ))),
        }
    }

    /// The value in a row of a column, counted from 0.
    pub fn value(&self, column: TagColumn, row: usize) -> Option<StarValue<'t>> {
        let at = column
            .start
            .checked_add(row.checked_mul(column.stride)?)
            .filter(|_| row < column.rows)?;
        self.values.get(at).copied()
    }

    /// All known values of a column.
    pub fn known(&self, column: TagColumn) -> impl Iterator<Item = StarValue<'t>> {
        (0..column.rows)
            .filter_map(move |row| self.value(column, row))
            .filter(|value| value.known().is_some())
    }

    /// The first known value under any of these tags (in lower case), in their order.
    ///
    /// # Errors
    /// As [`DataBlock::column`].
    pub fn single(&self, tags: &[&str]) -> Result<Option<StarValue<'t>>> {
        for tag in tags {
            if let Some(column) = self.column(&[tag])?
                && let Some(value) = self.known(column).next()
            {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Files what stands under a tag; of two, the first is kept, with a fault.
    fn insert(&mut self, tag: &str, column: TagColumn) {
        match self.columns.entry(tag.to_ascii_lowercase()) {
            Entry::Vacant(place) => drop(place.insert(column)),
            Entry::Occupied(mut place) => {
                place
                    .get_mut()
                    .fault
                    .get_or_insert((Fault::Repeated, column.line));
            }
        }
    }
}

/// A part of the text.
enum Token<'t> {
    /// `data_` and a name; `global_` has none.
    Data(&'t str),
    Loop,
    /// `save_`: a frame with a name begins, without one it ends.
    Save(&'t str),
    Stop,
    Tag(&'t str),
    Value(StarValue<'t>),
}

/// Cuts a text into blocks. Tags before the first `data_` are a block without a name; save frames, which
/// hold definitions and no data, are left out.
///
/// # Errors
/// A quote or text field that never closes, a loop whose last row is not full, or a value without a tag;
/// all with their line.
pub(super) fn parse(text: &str) -> Result<Vec<DataBlock<'_>>> {
    let mut lexer = Lexer::new(text);
    let mut blocks = vec![DataBlock::default()];
    // What stands in save frames.
    let mut definitions = DataBlock::default();
    let mut in_frame = false;
    let mut next = lexer.next()?;
    while let Some((token, line)) = next.take() {
        let block = match blocks.last_mut() {
            Some(block) if !in_frame => block,
            _ => &mut definitions,
        };
        match token {
            Token::Data(name) => {
                in_frame = false;
                let named = DataBlock {
                    name,
                    ..DataBlock::default()
                };
                blocks.push(named);
            }
            Token::Save(name) => {
                in_frame = !name.is_empty();
                definitions = DataBlock::default();
            }
            Token::Stop => {}
            Token::Loop => {
                next = read_loop(&mut lexer, block, line)?;
                continue;
            }
            Token::Tag(tag) => {
                next = read_pair(&mut lexer, block, tag, line)?;
                continue;
            }
            Token::Value(value) => {
                return Err(Error::input(format!(
                    "line {line}: {} belongs to no tag",
                    shown(value.text)
                )));
            }
        }
        next = lexer.next()?;
    }
    Ok(blocks)
}

type Found<'t> = Option<(Token<'t>, u32)>;

/// Reads what follows `loop_`; returns the token after it.
fn read_loop<'t>(lexer: &mut Lexer<'t>, block: &mut DataBlock<'t>, line: u32) -> Result<Found<'t>> {
    let mut tags = Vec::new();
    let mut next = lexer.next()?;
    while let Some((Token::Tag(tag), at)) = next {
        tags.push((tag, at));
        next = lexer.next()?;
    }
    let start = block.values.len();
    while let Some((Token::Value(value), at)) = next {
        if tags.is_empty() {
            return Err(Error::input(format!(
                "line {at}: {} stands where the tags of the loop of line {line} are wanted",
                shown(value.text)
            )));
        }
        block.values.push(value);
        next = lexer.next()?;
    }
    let (count, stride) = (block.values.len() - start, tags.len().max(1));
    if !count.is_multiple_of(stride) {
        let last = block.values.last().map_or(line, |value| value.line);
        return Err(Error::input(format!(
            "line {last}: {} values for {stride} columns in the last row of the loop of line {line}; \
             the file is cut short or damaged",
            count % stride
        )));
    }
    for (k, (tag, at)) in tags.into_iter().enumerate() {
        let column = TagColumn {
            start: start + k,
            stride,
            rows: count / stride,
            line: at,
            table: start,
            fault: None,
        };
        block.insert(tag, column);
    }
    Ok(next)
}

/// Reads the value of a tag outside of loops; returns the token after it.
fn read_pair<'t>(
    lexer: &mut Lexer<'t>,
    block: &mut DataBlock<'t>,
    tag: &str,
    line: u32,
) -> Result<Found<'t>> {
    let mut column = TagColumn {
        start: block.values.len(),
        stride: 1,
        rows: 0,
        line,
        table: block.values.len(),
        fault: None,
    };
    let mut next = lexer.next()?;
    while let Some((Token::Value(value), at)) = next {
        if column.rows == 0 {
            block.values.push(value);
            column.rows = 1;
        } else {
            column.fault.get_or_insert((Fault::Stray, at));
        }
        next = lexer.next()?;
    }
    block.insert(tag, column);
    Ok(next)
}

/// A text as it may stand in a message: short, in one line, without control characters.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Where in the text the reader stands.
struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    /// CIF 2.0 has triple quotes and lists, and a quote ends at the next one.
    second: bool,
}

impl<'t> Lexer<'t> {
    fn new(text: &'t str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        Self {
            text,
            at: 0,
            line: 1,
            second: text.starts_with("#\\#CIF_2"),
        }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// Whether a line begins here.
    fn at_line_start(&self) -> bool {
        self.at
            .checked_sub(1)
            .and_then(|before| self.byte(before))
            .is_none_or(|b| matches!(b, b'\n' | b'\r'))
    }

    /// Whether a token ends before this byte.
    fn ends(&self, at: usize) -> bool {
        self.byte(at).is_none_or(|b| b.is_ascii_whitespace())
    }

    /// Moves on to `end`, counting lines. A line ends with LF, CR LF or CR.
    fn advance(&mut self, end: usize) {
        let bytes = self.text.as_bytes();
        for at in self.at..end {
            let lone = bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n');
            self.line = self
                .line
                .saturating_add(u32::from(lone || bytes[at] == b'\n'));
        }
        self.at = end;
    }

    /// Moves over blanks and comments.
    fn skip(&mut self) {
        loop {
            let bytes = &self.text.as_bytes()[self.at..];
            let comment = bytes.first() == Some(&b'#');
            let over = |b: &u8| match comment {
                true => matches!(b, b'\n' | b'\r'),
                false => !b.is_ascii_whitespace(),
            };
            let length = bytes.iter().position(over).unwrap_or(bytes.len());
            if length == 0 {
                return;
            }
            self.advance(self.at + length);
        }
    }

    /// The next token and its line.
    fn next(&mut self) -> Result<Found<'t>> {
        self.skip();
        let line = self.line;
        let value = match self.byte(self.at) {
            None => return Ok(None),
            Some(b';') if self.at_line_start() => self.text_field()?,
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote)?,
            Some(b'[' | b'{') if self.second => self.list()?,
            Some(_) => return Ok(Some((self.word(), line))),
        };
        let value = StarValue { text: value, line };
        Ok(Some((Token::Value(value), line)))
    }

    /// A word without quotes: a tag, a keyword or a value.
    fn word(&mut self) -> Token<'t> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| c.is_ascii_whitespace());
        let (word, _) = rest.split_at(end.unwrap_or(rest.len()));
        let line = self.line;
        self.at += word.len();
        if word.starts_with('_') {
            return Token::Tag(word);
        }
        let after = |keyword: &str| {
            let (head, tail) = word.split_at_checked(keyword.len())?;
            head.eq_ignore_ascii_case(keyword).then_some(tail)
        };
        match (after("data_"), after("save_"), after("global_")) {
            (Some(name), ..) => return Token::Data(name),
            (_, Some(name), _) => return Token::Save(name),
            (_, _, Some("")) => return Token::Data(""),
            _ => {}
        }
        match (after("loop_"), after("stop_")) {
            (Some(""), _) => Token::Loop,
            (_, Some("")) => Token::Stop,
            _ => Token::Value(StarValue { text: word, line }),
        }
    }

    /// A text in quotes, which close in the same line and before a blank; triple quotes may go over lines.
    fn quoted(&mut self, quote: u8) -> Result<&'t str> {
        let start = self.at + 1;
        let triple = [quote; 3];
        let bytes = self.text.as_bytes();
        if self.second && bytes[self.at..].starts_with(&triple) {
            let start = self.at + 3;
            let end = find(&bytes[start..], &triple).map(|length| start + length);
            let end = end.ok_or_else(|| self.open("triple quotes"))?;
            self.advance(end + 3);
            return Ok(&self.text[start..end]);
        }
        let in_line = bytes[start..]
            .iter()
            .take_while(|b| !matches!(b, b'\n' | b'\r'));
        let mut quotes = in_line.enumerate().filter(|(_, b)| **b == quote);
        let end = quotes
            .find(|(k, _)| self.second || self.ends(start + k + 1))
            .map(|(k, _)| start + k);
        let end = end.ok_or_else(|| self.open("a quote"))?;
        self.at = end + 1;
        Ok(&self.text[start..end])
    }

    /// A text between lines that begin with a semicolon.
    fn text_field(&mut self) -> Result<&'t str> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let closes = |at: &usize| bytes[*at] == b';' && matches!(bytes[at - 1], b'\n' | b'\r');
        let end = (start..bytes.len()).find(closes);
        let end = end.ok_or_else(|| self.open("a text field (;)"))?;
        self.advance(end + 1);
        Ok(&self.text[start..end])
    }

    /// A list or table of CIF 2.0, brackets and all.
    fn list(&mut self) -> Result<&'t str> {
        let (start, line) = (self.at, self.line);
        let mut depth = 0_usize;
        loop {
            match self.byte(self.at) {
                None => {
                    return Err(Error::input(format!(
                        "line {line}: a list opens here and never closes"
                    )));
                }
                Some(b'[' | b'{') => depth += 1,
                Some(b']' | b'}') => depth -= 1,
                Some(quote @ (b'"' | b'\'')) => {
                    self.quoted(quote)?;
                    continue;
                }
                Some(_) => {}
            }
            self.advance(self.at + 1);
            if depth == 0 {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    fn open(&self, what: &str) -> Error {
        let line = self.line;
        Error::input(format!("line {line}: {what} opens here and never closes"))
    }
}

/// Where `part` first stands in `bytes`.
fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// A number as CIF writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    pub value: f64,
    /// How many decimals are printed; those of an exponent are taken into account.
    pub decimals: i32,
}

/// Reads a finite number, its standard uncertainty in parentheses taken away: `1.234(5)`, `-.5`, `3.E-2`.
pub(super) fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    let plain = match text.split_once('(') {
        Some((plain, uncertainty)) => {
            let digits = uncertainty.strip_suffix(')')?;
            let digit = |b: u8| b.is_ascii_digit() || b == b'.';
            (!digits.is_empty() && digits.bytes().all(digit)).then_some(plain)?
        }
        None => text,
    };
    let numeric = |b: u8| b.is_ascii_digit() || b"+-.eEdD".contains(&b);
    if !plain.bytes().all(numeric) {
        return None;
    }
    // Fortran writes exponents with a D.
    let plain = plain.replace(['d', 'D', 'E'], "e");
    let value: f64 = plain.parse().ok().filter(|x: &f64| x.is_finite())?;
    let (digits, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
    let printed = digits.split_once('.').map_or(0, |(_, after)| after.len());
    let decimals = i32::try_from(printed)
        .ok()?
        .saturating_sub(exponent.parse().ok()?);
    Some(Number { value, decimals })
}
