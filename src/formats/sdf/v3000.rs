//! Molfiles of version V3000: words after `M  V30`, lines that end with `-` go on in the next.

use super::{Atoms, DOUBLET, TRIPLET};
use crate::core::Vec3;
use crate::formats::fields::{number, shorten};
use crate::{Error, Result};

/// What every line of a V3000 molecule begins with.
const MARK: &str = "M  V30 ";

/// Reads the atoms of a molecule whose first line is `start`, counted from 0.
///
/// # Errors
/// The table is cut short, a line has not what it should, or an atom is no element.
pub(super) fn read(molecule: &[&str], start: usize) -> Result<Atoms> {
    let mut atoms = Atoms::default();
    let (mut announced, mut inside, mut ended) = (None, false, false);
    let mut lines = molecule.iter().enumerate();
    while let Some((k, line)) = lines.next() {
        let at_line = |e: Error| e.within(format!("line {}", start + k + 1));
        let Some(row) = line.strip_prefix(MARK) else {
            continue;
        };
        let mut row = row.to_owned();
        while row.ends_with('-') {
            let next = lines.next().and_then(|(_, l)| l.strip_prefix(MARK));
            let next = next.ok_or_else(|| {
                at_line(Error::input(
                    "ends with \"-\", but no line goes on after it",
                ))
            })?;
            row.pop();
            row.push_str(next);
        }
        let words: Vec<&str> = row.split_whitespace().collect();
        match words[..] {
            ["COUNTS", count, ..] if announced.is_none() => {
                announced = count.parse::<usize>().ok();
            }
            ["BEGIN", "ATOM"] => inside = true,
            ["END" | "BEGIN", which, ..] if inside => {
                ended = words[0] == "END" && which == "ATOM";
                break;
            }
            _ if inside => atom(&words, &mut atoms).map_err(at_line)?,
            _ => {}
        }
    }
    let found = atoms.charges.len();
    if !ended || announced != Some(found) {
        let announced = announced.map_or("no number of".to_owned(), |n| n.to_string());
        return Err(Error::input(format!(
            "line {}: V3000: {announced} atoms are announced (COUNTS) but {found} are there{}",
            start + 1,
            if ended {
                ""
            } else {
                ", and no END ATOM; the file is cut short"
            }
        )));
    }
    Ok(atoms)
}

/// Adds the atom of one line: number, symbol, x, y, z, map, and keys with values.
fn atom(words: &[&str], atoms: &mut Atoms) -> Result<()> {
    let [_, symbol, x, y, z, _, keys @ ..] = words else {
        return Err(Error::input(format!(
            "{:?}: number, symbol, x, y, z and map of an atom are wanted",
            shorten(&words.join(" "))
        )));
    };
    let position = Vec3::new(number(x, "x")?, number(y, "y")?, number(z, "z")?);
    atoms.push(symbol.trim_matches('"'), position)?;
    let whole = |key: &str| -> Result<Option<i64>> {
        let value = keys
            .iter()
            .find_map(|k| k.strip_prefix(key)?.strip_prefix('='));
        value.map_or(Ok(None), |value| {
            value
                .parse()
                .map(Some)
                .map_err(|_| Error::input(format!("{key}={:?} is no whole number", shorten(value))))
        })
    };
    if let Some(DOUBLET | TRIPLET) = whole("RAD")? {
        atoms.radicals.push(atoms.charges.len());
    }
    atoms.charges.push(whole("CHG")?.unwrap_or(0));
    match whole("MASS")? {
        Some(mass) => atoms.set_isotope(atoms.charges.len() - 1, mass),
        None => Ok(()),
    }
}
