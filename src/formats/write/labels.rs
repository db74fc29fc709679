//! What atoms are called in a PDB file: as the structure file has it, and made up where it says nothing.
//!
//! The format's columns hold four characters of an atom's and a residue's name, one of a chain, and four
//! digits of a residue's number. Longer names are shortened, each always in the same way and no two to the
//! same; remarks say which. Chains of several letters are also written in full as segments, where four
//! letters suffice.

use std::collections::{HashMap, HashSet};

use crate::core::{AtomName, System, elements};
use crate::neighbors::Molecules;

/// Characters of atom and residue names, and of segments.
const NAME: usize = 4;
/// Residue numbers start again at 0 after this.
const LAST_NUMBER: i32 = 9_999;
/// The lowest residue number that four columns hold.
const FIRST_NUMBER: i32 = -999;
/// Characters of a long name that a remark shows.
const SHOWN: usize = 24;

/// Residues of proteins and nucleic acids, whose atoms have ATOM records: the standard ones, and other force
/// fields' names for them (protonation states, ends, nucleotides). In order.
const POLYMER: [&str; 78] = [
    "A", "ADE", "ALA", "ARG", "ARGN", "ASH", "ASN", "ASP", "ASPH", "ASPP", "C", "CYM", "CYS",
    "CYS2", "CYSH", "CYT", "CYX", "DA", "DA3", "DA5", "DC", "DC3", "DC5", "DG", "DG3", "DG5", "DI",
    "DT", "DT3", "DT5", "DU", "G", "GLH", "GLN", "GLU", "GLUH", "GLUP", "GLY", "GUA", "HID", "HIE",
    "HIP", "HIS", "HISA", "HISB", "HISD", "HISE", "HISH", "HSD", "HSE", "HSP", "I", "ILE", "LEU",
    "LSN", "LYN", "LYS", "LYSH", "MET", "PHE", "PRO", "PYL", "RA", "RC", "RG", "RU", "SEC", "SER",
    "T", "THR", "THY", "TRP", "TYR", "U", "UNK", "URA", "VAL", "VALN",
];

/// An atom's columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Label {
    /// Whether the atom is of a protein or nucleic acid.
    pub polymer: bool,
    /// Its name, at most four characters.
    pub name: String,
    /// Its residue, at most four characters.
    pub residue: String,
    /// The residue's number, at most four characters.
    pub number: i32,
    /// The insertion code.
    pub insertion: char,
    /// The chain.
    pub chain: char,
    /// The segment, at most four characters.
    pub segment: String,
    /// Whether the chain ends with this atom.
    pub ends: bool,
}

/// The labels of all atoms, and what is to be said about them.
pub(super) struct Labels {
    pub of_atom: Vec<Label>,
    pub remarks: Vec<String>,
}

/// Labels atoms by the names that the structure file has for them.
pub(super) fn labels(system: &System, names: Option<&[AtomName]>, molecules: &Molecules) -> Labels {
    let Some(names) = names.filter(|names| names.len() == system.len()) else {
        return Labels {
            of_atom: made_up(system, molecules),
            remarks: Vec::new(),
        };
    };
    let nameless = |n: &AtomName| n.atom.is_empty() || n.residue.is_empty();
    let substitutes = match names.iter().any(nameless) {
        true => made_up(system, molecules),
        false => Vec::new(),
    };
    let many = names.iter().any(|n| n.chain.chars().count() > 1);
    let mut atoms = Shortened::new("ATOM", NAME, names.iter().map(|n| &*n.atom));
    let mut residues = Shortened::new("RESIDUE", NAME, names.iter().map(|n| &*n.residue));
    let mut chains = Shortened::new("CHAIN", 1, names.iter().map(|n| &*n.chain));
    let segments = Shortened::new("SEGMENT", NAME, names.iter().map(|n| &*n.chain));
    let mut of_atom: Vec<Label> = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let mut label = substitutes.get(i).cloned().unwrap_or_default();
        if !name.atom.is_empty() {
            label.name = atoms.of(&name.atom);
        }
        if !name.residue.is_empty() {
            label.residue = residues.of(&name.residue);
            label.number = number(name.number);
            label.polymer = is_polymer(&name.residue);
        }
        label.insertion = printable(name.insertion.chars().next().unwrap_or(' '));
        label.chain = chains.of(&name.chain).chars().next().unwrap_or(' ');
        if many {
            label.segment = segments.of(&name.chain);
        }
        of_atom.push(label);
    }
    end_chains(&mut of_atom, names, molecules);
    let mut remarks = std::mem::take(&mut chains.remarks);
    remarks.append(&mut residues.remarks);
    remarks.append(&mut atoms.remarks);
    Labels { of_atom, remarks }
}

/// Names atoms within their molecules (C1, C2, O, ...) and the molecules: HOH is water, a single atom
/// its element, all else MOL.
fn made_up(system: &System, molecules: &Molecules) -> Vec<Label> {
    let mut labels = vec![Label::default(); system.len()];
    for (number, atoms) in molecules.atoms.iter().enumerate() {
        let species: Vec<u8> = atoms.iter().map(|&i| system.species[i]).collect();
        let residue = residue(&species);
        let mut total: HashMap<u8, usize> = HashMap::new();
        for &z in &species {
            *total.entry(z).or_default() += 1;
        }
        let mut counts: HashMap<u8, usize> = HashMap::new();
        for (&i, z) in atoms.iter().zip(species) {
            let count = counts.entry(z).or_default();
            *count += 1;
            let symbol = elements::symbol(z).to_uppercase();
            let name = match total[&z] {
                1 => symbol,
                // Four columns: counts start again where they do not fit.
                _ if symbol.len() == 1 => format!("{symbol}{}", *count % 1000),
                _ => format!("{symbol}{}", *count % 100),
            };
            labels[i] = Label {
                name,
                residue: residue.clone(),
                number: ((number + 1) % 10_000) as i32,
                insertion: ' ',
                chain: 'A',
                ..Label::default()
            };
        }
    }
    labels
}

fn residue(species: &[u8]) -> String {
    match elements::formula(species).as_str() {
        "H2O" => "HOH".to_owned(),
        _ if species.len() == 1 => elements::symbol(species[0]).to_uppercase(),
        _ => "MOL".to_owned(),
    }
}

/// Whether a residue is of a protein or a nucleic acid. AMBER marks the ends of a chain of amino acids by a
/// letter before the name.
fn is_polymer(residue: &str) -> bool {
    let known = |name: &str| POLYMER.binary_search(&name).is_ok();
    let end = |letter: char| {
        (residue.strip_prefix(letter)).is_some_and(|name| name.len() == 3 && known(name))
    };
    known(residue) || end('N') || end('C')
}

/// A residue number that four columns hold.
fn number(number: i32) -> i32 {
    if number > LAST_NUMBER {
        number % (LAST_NUMBER + 1)
    } else if number < FIRST_NUMBER {
        number % (1 - FIRST_NUMBER)
    } else {
        number
    }
}

/// Marks where chains end: after the last atom of a polymer in each run of atoms of one chain, and of what is
/// bonded to it. Where the file knows no chains, one ends where residue numbers start again.
fn end_chains(labels: &mut [Label], names: &[AtomName], molecules: &Molecules) {
    let mut first = 0;
    while first < labels.len() {
        let mut end = first + 1;
        let mut last = labels[first].polymer.then_some(first);
        while end < labels.len() && names[end].chain == names[first].chain {
            if labels[end].polymer {
                let again = last.is_some_and(|last: usize| {
                    names[end].number < names[last].number
                        && molecules.of_atom[end] != molecules.of_atom[last]
                });
                if again {
                    break;
                }
                last = Some(end);
            }
            end += 1;
        }
        if let Some(mut last) = last {
            let molecule = molecules.of_atom[last];
            while last + 1 < end && molecules.of_atom[last + 1] == molecule {
                last += 1;
            }
            labels[last].ends = true;
        }
        first = end;
    }
}

/// A character that keeps columns where they are: anything but ASCII takes more bytes than one.
fn printable(c: char) -> char {
    if c == ' ' || c.is_ascii_graphic() {
        c
    } else {
        '_'
    }
}

/// Names cut to so many characters, no two to the same while there are enough.
struct Shortened {
    of: HashMap<String, String>,
    /// What was changed, in the order of the names.
    remarks: Vec<String>,
}

impl Shortened {
    fn new<'n>(what: &str, width: usize, names: impl Iterator<Item = &'n str> + Clone) -> Self {
        let fits = |name: &str| name.len() <= width && name.bytes().all(|b| b.is_ascii_graphic());
        // Most names fit: they stay, and nothing else may become like them.
        let mut taken: HashSet<String> = HashSet::new();
        for name in names.clone().filter(|n| fits(n)) {
            if !taken.contains(name) {
                taken.insert(name.to_owned());
            }
        }
        let mut shortened = Self {
            of: HashMap::new(),
            remarks: Vec::new(),
        };
        let mut next: HashMap<String, usize> = HashMap::new();
        for name in names.filter(|n| !fits(n)) {
            if shortened.of.contains_key(name) || name.is_empty() {
                continue;
            }
            let short = shorten(name, width, &taken, &mut next);
            taken.insert(short.clone());
            let shown: String = name.chars().take(SHOWN).map(printable).collect();
            (shortened.remarks).push(format!("{what} {shown} IS WRITTEN {short}"));
            shortened.of.insert(name.to_owned(), short);
        }
        shortened
    }

    fn of(&self, name: &str) -> String {
        self.of
            .get(name)
            .cloned()
            .unwrap_or_else(|| name.to_owned())
    }
}

/// Letters and digits that tell shortened names apart.
const DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The first characters of a name, or fewer and a digit or two where that is taken. `next` counts the
/// endings tried behind each beginning.
fn shorten(
    name: &str,
    width: usize,
    taken: &HashSet<String>,
    next: &mut HashMap<String, usize>,
) -> String {
    let clean = |c: char| if c == ' ' { '_' } else { printable(c) };
    let start = |length: usize| -> String { name.chars().take(length).map(clean).collect() };
    let first = start(width);
    if !taken.contains(&first) {
        return first;
    }
    for kept in (0..width).rev() {
        let start = start(kept);
        let ending = width - kept;
        let count = DIGITS.len().pow(ending as u32);
        let tried = next.entry(format!("{start} {ending}")).or_default();
        while *tried < count {
            let mut rest = *tried;
            *tried += 1;
            let mut short = start.clone();
            for _ in 0..ending {
                short.push(char::from(DIGITS[rest % DIGITS.len()]));
                rest /= DIGITS.len();
            }
            if !taken.contains(&short) {
                return short;
            }
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residues_of_polymers_are_in_order() {
        assert!(POLYMER.is_sorted());
        for name in ["ALA", "DG", "U", "HSD", "NALA", "CVAL", "CYX"] {
            assert!(is_polymer(name), "{name}");
        }
        for name in ["HOH", "NAG", "CLA", "NCO", "CU", "ala", "", "MSE"] {
            assert!(!is_polymer(name), "{name}");
        }
    }

    #[test]
    fn no_two_names_become_one() {
        let names: Vec<String> = (0..5000).map(|k| format!("LONGNAME{k}")).collect();
        let mut all: Vec<&str> = names.iter().map(|n| &**n).collect();
        all.extend(["LONG", "LONA", "X"]);
        let shortened = Shortened::new("RESIDUE", 4, all.iter().copied());
        let distinct: HashSet<String> = all.iter().map(|n| shortened.of(n)).collect();
        assert_eq!(distinct.len(), all.len());
        assert!(distinct.iter().all(|n| n.len() == 4 || n == "X"));
        assert_eq!(shortened.of("LONG"), "LONG");
        assert_eq!(shortened.remarks.len(), 5000);
        // More chains than letters: some letters come twice, none is lost.
        let chains = Shortened::new("CHAIN", 1, all.iter().copied());
        assert!(all.iter().all(|n| chains.of(n).len() == 1));
    }

    #[test]
    fn numbers_stay_within_four_columns() {
        let all = [
            1,
            -5,
            -999,
            9_999,
            10_000,
            99_999,
            -1_000,
            -1_234,
            i32::MIN,
            i32::MAX,
        ];
        let short = [1, -5, -999, 9_999, 0, 9_999, 0, -234, -648, 3_647];
        assert_eq!(all.map(number), short);
    }
}
