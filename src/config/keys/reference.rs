//! The reference of the run file's keys, made from their table: for the guide, and for a terminal.

use super::TABLES;
use super::row::{KeyRow, KeyTable};
use crate::error::nearest;
use crate::{Error, Result};

/// The reference of all keys, as Markdown: what docs/guide.md has between its marks.
pub fn reference() -> String {
    let tables: Vec<String> = TABLES.iter().map(|table| section(table)).collect();
    tables.join("\n")
}

/// The reference of a table.
fn section(table: &KeyTable) -> String {
    let sorted = table.rows.iter().any(|row| !row.of().is_empty());
    let (column, rule) = if sorted {
        (" ensemble |", "---|")
    } else {
        ("", "")
    };
    let mut text = format!(
        "#### `{}`\n\n{}\n\n| key | value | default |{column} |\n|---|---|---|{rule}---|\n",
        table.heading(),
        table.doc
    );
    for row in table.rows {
        let (name, values, absent) = (row.name(), row.values(), row.absent());
        let column = match sorted {
            true => format!(" {} |", ensembles(*row).unwrap_or("all".to_owned())),
            false => String::new(),
        };
        text += &format!(
            "| `{name}` | {values} | {absent} |{column} {} |\n",
            row.doc()
        );
    }
    text
}

/// The ensembles that a key belongs to; `None`: all of them.
fn ensembles(row: &dyn KeyRow) -> Option<String> {
    let words = row.of().iter().map(|one| format!("`{:?}`", one.word()));
    Some(words.collect::<Vec<_>>().join(", ")).filter(|words| !words.is_empty())
}

/// The reference of the tables of a name, and of those within them, for a terminal; of all tables without one. Each key is
/// a line: its name, and after two or more blanks what it is.
///
/// # Errors
/// There is no such table.
pub fn listing(name: Option<&str>) -> Result<String> {
    let within = |table: &KeyTable| {
        name.is_none_or(|name| {
            let rest = table.name.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let tables: Vec<String> = TABLES
        .iter()
        .filter(|table| within(table))
        .map(|table| lines(table))
        .collect();
    let Some(name) = name.filter(|_| tables.is_empty()) else {
        return Ok(tables.join("\n"));
    };
    let names = TABLES.map(|table| table.name);
    let near = nearest(name, names.into_iter());
    let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    Err(Error::input(format!(
        "{name:?} is not a table of the run file{near} (tables: {})",
        names.join(", ")
    )))
}

/// The keys of a table as lines.
fn lines(table: &KeyTable) -> String {
    let widest = table.rows.iter().map(|row| row.name().len()).max();
    let widest = widest.unwrap_or_default();
    let mut text = format!("{}  {}\n", table.heading(), plain(table.doc));
    for row in table.rows {
        let (name, values, absent) = (row.name(), row.values(), row.absent());
        let absent = match absent.starts_with("required") {
            true => absent,
            false => format!("default: {absent}"),
        };
        let of = ensembles(*row).map_or_else(String::new, |of| format!("; with {of}"));
        let told = plain(&format!("{values}; {absent}{of}. {}", row.doc()));
        text += &format!("  {name:widest$}  {told}\n");
    }
    text
}

/// Markdown without its marks: code as it is, of a link its text.
fn plain(markdown: &str) -> String {
    let mut text = markdown.replace('`', "");
    while let Some(middle) = text.find("](") {
        let (before, after) = text.split_at(middle);
        let (Some((lead, shown)), Some((_, rest))) =
            (before.rsplit_once('['), after.split_once(')'))
        else {
            break;
        };
        text = format!("{lead}{shown}{rest}");
    }
    text
}
