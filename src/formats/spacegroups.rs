//! Space groups by their names, for files that do not give their symmetry operations.
//!
//! `spacegroups.txt` has all settings in use, of which International Tables for Crystallography list 530,
//! with their Hall symbols, which tell the operations. Here is what their names look like in files.

use super::hall;
use super::star::shown;
use super::symmetry::{Group, MISFIT, Operation, misfit};
use crate::core::Mat3;
use crate::{Error, Result};

/// The settings; its first lines say how they are written.
const TABLE: &str = include_str!("spacegroups.txt");

/// Cells that fit equally well are the same to rounding.
const SAME_FIT: f64 = 1e-9;

/// What a file says of its space group.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Named<'t> {
    /// Hall symbol.
    pub hall: Option<&'t str>,
    /// Hermann-Mauguin name.
    pub name: Option<&'t str>,
    /// Number in International Tables, 1 to 230.
    pub number: Option<i32>,
    /// The setting's code: 1, 2, H, R, b1, ba-c.
    pub code: Option<&'t str>,
}

/// A space group in one setting.
#[derive(Debug, Clone)]
pub(super) struct SpaceGroup {
    /// Its name as it is said to people.
    pub name: String,
    /// All operations in a cell.
    pub operations: Vec<Operation>,
}

/// A line of the table.
#[derive(Debug, Clone)]
struct Setting {
    number: i32,
    /// Empty where a group has but one setting.
    code: &'static str,
    hall: &'static str,
    /// The short name; the full one of monoclinic groups, whose short ones are many settings'.
    name: &'static str,
    full: &'static str,
}

/// The table, in which a group's standard setting is its first.
fn settings() -> impl Iterator<Item = Setting> {
    TABLE.lines().filter_map(|line| {
        let mut parts = line.split('|');
        let number = parts.next()?.parse().ok()?;
        let (code, hall, name) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Setting {
            number,
            code,
            hall,
            name,
            full: parts.next().unwrap_or(name),
        })
    })
}

impl Setting {
    fn is_monoclinic(&self) -> bool {
        (3..=15).contains(&self.number)
    }

    /// The name with the code, where the name alone stands for two.
    fn label(&self) -> String {
        match self.code.chars().next() {
            Some('1' | '2' | 'H' | 'R') => format!("{}:{}", self.name, self.code),
            _ => self.name.to_owned(),
        }
    }

    /// The names without blanks, in lower case, under which the setting goes.
    fn keys(&self) -> Vec<String> {
        let mut keys = vec![symbol(self.name), symbol(self.full)];
        if self.is_monoclinic() {
            // P 1 21/n 1 is P 21/n.
            let parts = self.name.split(' ').filter(|part| *part != "1");
            keys.push(symbol(&parts.collect::<String>()));
        }
        let letters = self.glide_letters();
        for k in 0..keys.len() {
            let older: Vec<String> = letters.iter().map(|l| keys[k].replace('e', l)).collect();
            keys.extend(older);
        }
        if self.number >= 200 {
            // Fm3m of the tables before 1983 is Fm-3m.
            let unsigned: Vec<String> = keys.iter().map(|key| key.replace("-3", "3")).collect();
            keys.extend(unsigned);
        }
        keys
    }

    /// The letters that stood for the glide plane e before 1992: there are two glides in it, of which a
    /// name had either. In groups 67 and 68 the letter told the setting.
    fn glide_letters(&self) -> &'static [&'static str] {
        if !self.full.contains('e') {
            return &[];
        }
        if matches!(self.number, 67 | 68) {
            return match self.code.trim_start_matches(['1', '2']) {
                "" | "a-cb" => &["a"],
                "ba-c" | "cab" => &["b"],
                _ => &["c"],
            };
        }
        match self.full.as_bytes()[0] {
            b'A' => &["b", "c"],
            b'B' => &["a", "c"],
            _ => &["a", "b"],
        }
    }

    /// Whether this code of a file means this setting.
    fn has_code(&self, code: &str) -> bool {
        let own = self.code.to_ascii_lowercase();
        match code {
            "1" | "2" if own.starts_with(['1', '2']) => own.starts_with(code),
            // Where there is but one choice, it is the first.
            "1" | "abc" => own.is_empty() || own == "b1" || own == "b",
            _ => own == code,
        }
    }

    fn operations(&self) -> Result<Vec<Operation>> {
        hall::operations(self.hall).ok_or_else(|| {
            Error::input(format!(
                "the space group {} is not understood",
                self.label()
            ))
        })
    }
}

/// A name without blanks and marks of subscripts, in lower case: `P 2(1)/c`, `P 2_1/c`, `P2~1~/C` and
/// `P_21/c` are `p21/c`.
fn symbol(name: &str) -> String {
    let name = name.replace("\\=", "-");
    let mut symbol = String::new();
    for c in name.chars() {
        match c {
            // Minus signs of word processors.
            '\u{2212}' | '\u{2013}' => symbol.push('-'),
            // A bar over the character before.
            '\u{304}' | '\u{305}' => symbol.insert(symbol.len().saturating_sub(1), '-'),
            '_' | '(' | ')' | '{' | '}' | '~' | '$' | '\'' | '"' => {}
            c if c.is_whitespace() || !c.is_ascii() => {}
            c => symbol.push(c.to_ascii_lowercase()),
        }
    }
    symbol
}

/// Cuts a name into its symbol and the code of its setting, which stands after a colon, or as ICSD and
/// the PDB write it: `F d -3 m Z`, `R -3 m H`, `H -3 m`.
fn symbol_and_code(name: &str) -> (String, Option<String>) {
    let lower = name.to_ascii_lowercase();
    if let Some((name, code)) = lower.split_once(':') {
        return (symbol(name), Some(symbol(code)));
    }
    if let Some((name, choice)) = lower.split_once("origin") {
        let code = choice.chars().find(char::is_ascii_digit);
        let name = symbol(name.trim_end_matches([' ', ',', '(', '[', ';']));
        return (name, code.map(String::from));
    }
    let symbol = symbol(name);
    const SUFFIXES: [(&str, &str); 8] = [
        ("hr", "h"),
        ("rs", "r"),
        ("h", "h"),
        ("r", "r"),
        ("o1", "1"),
        ("o2", "2"),
        ("s", "1"),
        ("z", "2"),
    ];
    for (suffix, code) in SUFFIXES {
        if let Some(symbol) = symbol.strip_suffix(suffix).filter(|s| s.len() > 1) {
            return (symbol.to_owned(), Some(code.to_owned()));
        }
    }
    match symbol.strip_prefix('h') {
        Some(rest) => (format!("r{rest}"), Some("h".to_owned())),
        None => (symbol, None),
    }
}

/// The space group that a file names, in the setting that its cell (vectors as rows, angstrom) has.
/// `None` where the file says nothing.
///
/// # Errors
/// The name is not understood, contradicts the number or the cell, or has two origins and does not say
/// which.
pub(super) fn find(named: &Named, vectors: &Mat3) -> Result<Option<SpaceGroup>> {
    if let Some(hall) = named.hall
        && let Some(operations) = hall::operations(hall)
    {
        Group::new(&operations)?.check_cell(vectors)?;
        let name = hall.trim().to_owned();
        return Ok(Some(SpaceGroup { name, operations }));
    }
    let Some(said) = said(named) else {
        return Ok(None);
    };
    let chosen = choose(candidates(named, &said)?, &said, vectors)?;
    Ok(Some(SpaceGroup {
        name: chosen.label(),
        operations: chosen.operations()?,
    }))
}

/// How many operations a named group has, if the name is understood.
pub(super) fn order(named: &Named) -> Option<usize> {
    if let Some(operations) = named.hall.and_then(hall::operations) {
        return Some(operations.len());
    }
    let found = candidates(named, &said(named)?).ok()?;
    let orders = found.iter().map(|s| s.operations().ok().map(|o| o.len()));
    orders.min().flatten()
}

/// The group in the file's words.
fn said(named: &Named) -> Option<String> {
    let name = named.name.or(named.hall.filter(|_| named.number.is_none()));
    name.map(shown)
        .or_else(|| named.number.map(|n| format!("of number {n}")))
}

/// The settings that a name, or else a number, may mean.
fn candidates(named: &Named, said: &str) -> Result<Vec<Setting>> {
    let ask = "give its operations (_space_group_symop_operation_xyz)";
    let mut code = named.code.map(symbol);
    let mut found: Vec<Setting> = match (named.name, named.number) {
        (Some(name), _) => {
            let (symbol, own) = symbol_and_code(name);
            code = own.or(code);
            settings().filter(|s| s.keys().contains(&symbol)).collect()
        }
        (None, Some(number)) => settings().filter(|s| s.number == number).collect(),
        (None, None) => Vec::new(),
    };
    if found.is_empty() {
        return Err(Error::input(format!(
            "the space group {said} is not understood; {ask}"
        )));
    }
    if let Some(number) = named.number {
        found.retain(|s| s.number == number);
        if found.is_empty() {
            return Err(Error::input(format!(
                "the space group {said} does not have the number {number} in International Tables, which \
                 the file gives too; {ask}"
            )));
        }
    }
    if let Some(code) = code {
        found.retain(|s| s.has_code(&code));
        if found.is_empty() {
            return Err(Error::input(format!(
                "the space group {said} has no setting {}; {ask}",
                shown(&code)
            )));
        }
    }
    Ok(found)
}

/// The one setting that the cell has; the standard one where several do.
fn choose(found: Vec<Setting>, said: &str, vectors: &Mat3) -> Result<Setting> {
    let mut fitting = Vec::new();
    for setting in found {
        fitting.push((misfit(&setting.operations()?, vectors), setting));
    }
    let best = fitting.iter().map(|f| f.0).fold(f64::INFINITY, f64::min);
    fitting.retain(|f| f.0 <= best + SAME_FIT);
    let origin = |setting: &Setting| setting.code.chars().next().filter(char::is_ascii_digit);
    let first = fitting.first().map(|f| f.1.clone());
    let Some(first) = first.filter(|_| best <= MISFIT) else {
        return Err(Error::input(format!(
            "the cell does not have the symmetry of the space group {said}: its edges or angles would have \
             to be others; correct the cell or the space group"
        )));
    };
    if fitting.iter().any(|f| origin(&f.1) != origin(&first)) {
        return Err(Error::input(format!(
            "the space group {said} has two origins in use, and the file does not say which it means; write \
             \":1\" or \":2\" behind its name (_space_group_name_H-M_alt), or give the operations \
             (_space_group_symop_operation_xyz)"
        )));
    }
    Ok(first)
}
