//! Which element a label means, and other rules that several formats share.

use crate::core::{Vec3, elements};

/// What to say of an atom that is there more than once.
pub(super) fn alternate_location(label: &str) -> String {
    format!(
        "an atom in an alternate location ({label}); keep one location of each atom in the file"
    )
}

/// Occupancies are printed with at least two decimals.
pub(super) const WHOLE: f64 = 0.995;

/// What to say of an atom that is there only in part.
pub(super) fn partly_occupied(part: f64) -> String {
    format!(
        "the site is occupied to {part}: a disordered structure; choose one arrangement of it, with \
         occupancies of 1"
    )
}

/// What to say of so many of `atoms` whose occupancy is 0, if there are any.
pub(super) fn unoccupied_note(empty: usize, atoms: usize) -> Option<String> {
    (empty > 0).then(|| {
        format!(
            "{empty} of {atoms} atoms have an occupancy of 0, as programs write that place atoms; they are taken as \
             there"
        )
    })
}

/// What to say of formal charges, if they are not balanced.
pub(super) fn charge_note(total: i64) -> Option<String> {
    (total != 0).then(|| {
        format!(
            "the file's formal charges (in all {total:+}) are not used: potentials know elements and \
             positions alone"
        )
    })
}

/// What to say of a molecule that is drawn flat. `dimension` is what its file says, 2D, 3D or nothing;
/// three atoms always lie in a plane.
pub(super) fn flat_note(dimension: &str, positions: &[Vec3]) -> Option<String> {
    let flat = positions.iter().all(|r| r.z == 0.0);
    let drawn = dimension.eq_ignore_ascii_case("2D");
    (flat && (drawn || dimension.trim().is_empty() && positions.len() > 3)).then(|| {
        "all atoms are at z = 0: this may be a flat drawing of the molecule, perhaps without its hydrogens; \
         make a structure in space of it first"
            .to_owned()
    })
}

/// The letters at the start of a label, which stand before its number or charge: "C" of "C12".
fn letters(label: &str) -> &str {
    let end = label.find(|c: char| !c.is_ascii_alphabetic());
    &label[..end.unwrap_or(label.len())]
}

/// Atomic number and mass (u) of an element's symbol in whatever case: "CL" is chlorine, "D" deuterium.
pub(super) fn element_of_type(label: &str) -> Option<(u8, f64)> {
    let letters = letters(label.trim());
    let mut symbol = letters.to_ascii_lowercase();
    symbol.get_mut(..1)?.make_ascii_uppercase();
    elements::number_and_mass(&symbol)
}

/// Atomic number and mass (u) of a label in XYZ: a symbol in its proper case, perhaps with a number
/// ("C12"), or an atomic number. "CA" is refused: it may be calcium or a carbon.
pub(super) fn element_of_label(label: &str) -> Option<(u8, f64)> {
    if let Ok(z) = label.parse::<u8>() {
        return elements::mass(z).map(|mass| (z, mass));
    }
    let letters = letters(label);
    let rest = &label[letters.len()..];
    let numbered = rest.chars().all(|c| c.is_ascii_digit());
    numbered
        .then(|| elements::number_and_mass(letters))
        .flatten()
}

/// Residues whose atoms' names begin with a one-letter element: amino acids, nucleotides, water.
#[rustfmt::skip]
const ORGANIC: [&str; 67] = [
    "ALA", "ARG", "ASN", "ASP", "ASH", "CYS", "CYX", "CYM", "GLN", "GLU", "GLH", "GLY", "HIS",
    "HID", "HIE", "HIP", "HSD", "HSE", "HSP", "ILE", "LEU", "LYS", "LYN", "MET", "PHE", "PRO",
    "SER", "THR", "TRP", "TYR", "VAL", "ACE", "NME", "NMA", "NH2", "A", "C", "G", "U", "T",
    "DA", "DC", "DG", "DT", "DU", "RA", "RC", "RG", "RU", "ADE", "CYT", "GUA", "THY", "URA",
    "HOH", "SOL", "WAT", "TIP", "TIP3", "TIP3P", "TIP4", "TIP5", "SPC", "SPCE", "H2O", "DOD", "D2O",
];

/// Elements of those residues.
const OF_LIFE: [u8; 6] = [1, 6, 7, 8, 15, 16];

/// Ions that force fields call by names of their own: CHARMM's, and some of AMBER's. What is no element
/// here (AMBER's IB is an ion with its water) cannot be taken for one.
#[rustfmt::skip]
const IONS: [(&str, Option<&str>); 16] = [
    ("SOD", Some("Na")), ("POT", Some("K")), ("CLA", Some("Cl")), ("CAL", Some("Ca")),
    ("CES", Some("Cs")), ("LIT", Some("Li")), ("RUB", Some("Rb")), ("BAR", Some("Ba")),
    ("CAD", Some("Cd")), ("MAG", Some("Mg")), ("ZIN", Some("Zn")), ("IOD", Some("I")),
    ("CIO", Some("Cs")), ("IP", Some("Na")), ("IM", Some("Cl")), ("IB", None),
];

/// Residues that hold one ion each, whichever it is.
const ION_RESIDUES: [&str; 2] = ["ION", "IONS"];

/// The element of an ion's name, where the residue is that ion; `None` where it is none.
fn element_of_ion(name: &str, residue: &str) -> Option<Result<(u8, f64), String>> {
    let letters = letters(name);
    let own = letters.eq_ignore_ascii_case(self::letters(residue));
    if !own && !ION_RESIDUES.contains(&residue) {
        return None;
    }
    if letters.eq_ignore_ascii_case("W") && residue.len() == 1 {
        return Some(Err(
            "tungsten, or water of a coarse-grained model".to_owned()
        ));
    }
    let ion = IONS.iter().find(|ion| letters.eq_ignore_ascii_case(ion.0));
    match ion {
        Some((_, symbol)) => {
            let element = symbol.and_then(elements::number_and_mass);
            Some(element.ok_or_else(|| "it is an ion together with its water".to_owned()))
        }
        None => element_of_type(letters).map(Ok),
    }
}

/// Whether two letters in capitals may be this element's symbol: those that are made in accelerators, and
/// the gases that bind to nothing, are not what a name such as CM, HS or NE1 means.
fn may_be_meant(element: &(u8, f64)) -> bool {
    const WITHOUT_STABLE_ISOTOPE: [u8; 2] = [43, 61];
    const LAST_STABLE: u8 = 83;
    const ON_EARTH: [u8; 2] = [90, 92];
    const HELIUM_AND_NEON: [u8; 2] = [2, 10];
    let z = element.0;
    !HELIUM_AND_NEON.contains(&z)
        && (z <= LAST_STABLE && !WITHOUT_STABLE_ISOTOPE.contains(&z) || ON_EARTH.contains(&z))
}

/// Atomic number and mass (u) of an atom's name, where there is nothing else. Says why it cannot be told.
pub(super) fn element_of_name(name: &str, residue: &str) -> Result<(u8, f64), String> {
    const NO_SYMBOL: &str =
        "it begins with no element's symbol (virtual sites, lone pairs and beads have none)";
    // Hydrogens of old PDB files have their number first: 1HB2.
    let name = name.trim_start_matches(|c: char| c.is_ascii_digit());
    let letters = letters(name);
    let residue = residue.to_ascii_uppercase();
    let organic = ORGANIC.contains(&residue.as_str());
    let first = letters.get(..1).and_then(element_of_type);
    if organic {
        let first = first.ok_or_else(|| NO_SYMBOL.to_owned())?;
        let symbol = elements::symbol(first.0);
        return match OF_LIFE.contains(&first.0) {
            true => Ok(first),
            false => Err(format!("there is no {symbol} in {residue}; is it a bead?")),
        };
    }
    if let Some(ion) = element_of_ion(name, &residue) {
        return ion;
    }
    if letters.len() == 1 {
        return first.ok_or_else(|| format!("{letters:?} is no element"));
    }
    // GROMACS' masses of rigid groups: MCH31, MNH32.
    if letters.starts_with("MCH") || letters.starts_with("MNH") {
        return Err(NO_SYMBOL.to_owned());
    }
    // TI is titanium: before another letter, T and D are no isotopes.
    let first = first.filter(|one| elements::isotope(one.0, one.1).is_none());
    let pair = letters.get(..2);
    let two = pair.and_then(element_of_type);
    // A second letter in lower case was written by someone who knew: "Cl1".
    let meant = two.filter(|two| pair == Some(elements::symbol(two.0)));
    match (first, meant.or(two.filter(may_be_meant))) {
        (_, Some(two)) if meant.is_some() || first.is_none() => Ok(two),
        (Some(one), None) => Ok(one),
        (Some(one), Some(two)) => {
            let [one, two] = [one, two].map(|element| elements::symbol(element.0));
            Err(format!("{one} or {two}"))
        }
        (None, _) => Err(NO_SYMBOL.to_owned()),
    }
}

/// Atomic number and mass (u) of an atom's name as it stands in columns 13 to 16 of a PDB file, with its
/// blanks: where names are set by their elements (`aligned`), symbols end in column 14, so that " CA " is
/// carbon and "CA  " calcium. Says why it cannot be told.
pub(super) fn element_of_pdb_name(
    field: &str,
    residue: &str,
    aligned: bool,
) -> Result<(u8, f64), String> {
    let by_name = || element_of_name(field.trim(), residue);
    let residue_above = residue.to_ascii_uppercase();
    let bytes = field.as_bytes();
    let known = ORGANIC.contains(&residue_above.as_str())
        || element_of_ion(field.trim(), &residue_above).is_some();
    let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else {
        return by_name();
    };
    if known || !aligned {
        return by_name();
    }
    if !first.is_ascii_alphabetic() {
        // A number of a hydrogen, or a blank: a symbol of one letter follows.
        let symbol = field.get(1..2).and_then(element_of_type);
        return symbol.map_or_else(by_name, Ok);
    }
    let full = field.trim_end().len() == 4;
    // Four characters fill the columns: HG11 is a hydrogen, and where it is not, the name alone counts.
    if full && matches!(first, b'H' | b'h') {
        return element_of_type("H").ok_or_else(String::new);
    }
    let pair = field.get(..2).filter(|_| second.is_ascii_alphabetic());
    match pair.and_then(element_of_type) {
        Some(two) if !full => Ok(two),
        _ => by_name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_in_xyz_are_symbols_in_their_case() {
        for (label, z) in [
            ("C", 6),
            ("Cl", 17),
            ("C12", 6),
            ("Na1", 11),
            ("8", 8),
            ("118", 118),
        ] {
            let found = element_of_label(label).map(|element| element.0);
            assert_eq!(found, Some(z), "{label}");
        }
        for label in ["CA", "cl", "X", "", "0", "119", "C_a", "Cx", "-1", "Å"] {
            assert_eq!(element_of_label(label), None, "{label}");
        }
    }

    #[test]
    fn deuterium_is_heavy_hydrogen_in_every_kind_of_label() {
        const DEUTERIUM: (u8, f64) = (1, 2.014101778);
        assert_eq!(element_of_label("D"), Some(DEUTERIUM));
        assert_eq!(element_of_label("D2"), Some(DEUTERIUM));
        assert_eq!(element_of_type(" D"), Some(DEUTERIUM));
        assert_eq!(element_of_type("d1"), Some(DEUTERIUM));
        assert_eq!(element_of_name("DW1", "SOL"), Ok(DEUTERIUM));
        assert_eq!(element_of_name("D1", "LIG"), Ok(DEUTERIUM));
        assert_eq!(element_of_label("T"), Some((1, 3.016049282)));
        assert_eq!(element_of_label("1"), Some((1, 1.008)));
    }

    #[test]
    fn names_tell_elements_where_they_can() {
        for (name, residue, z) in [
            ("OW", "SOL", 8),
            ("HW1", "SOL", 1),
            ("CA", "ALA", 6),
            ("CA", "CA", 20),
            ("CL", "CL", 17),
            ("NA", "NA+", 11),
            ("1HB2", "SER", 1),
            ("C12", "LIG", 6),
            ("CX1", "LIG", 6),
            ("Cl1", "LIG", 17),
            ("HG", "SER", 1),
            ("ZN", "LIG", 30),
            ("SOD", "SOD", 11),
            ("POT", "POT", 19),
            ("CLA", "CLA", 17),
            ("CAL", "CAL", 20),
            ("CES", "CES", 55),
            ("LIT", "LIT", 3),
            ("RUB", "RUB", 37),
            ("BAR", "BAR", 56),
            ("CAD", "CAD", 48),
            ("ZN2", "ZN2", 30),
            ("Cl-", "Cl-", 17),
            ("K+", "K+", 19),
            ("CL-", "ION", 17),
            ("SOD", "ION", 11),
            ("FE", "FE2", 26),
            ("NE", "NE", 10),
            ("CM", "LIG", 6),
            ("HS", "POPC", 1),
            ("NE1", "LIG", 7),
            ("ow", "sol", 8),
            ("TI1", "LIG", 22),
            ("OXT", "LIG", 8),
        ] {
            let found = element_of_name(name, residue).map(|element| element.0);
            assert_eq!(found, Ok(z), "{name} {residue}");
        }
        for (name, residue, why) in [
            ("CA", "LIG", "C or Ca"),
            ("FE", "HEM", "F or Fe"),
            ("Q1", "LIG", "\"Q\" is no element"),
            ("QQ", "LIG", "begins with no element"),
            ("12", "LIG", "begins with no element"),
            ("MW", "SOL", "virtual sites"),
            ("EPW", "WAT", "virtual sites"),
            ("LP1", "LIG", "virtual sites"),
            ("MNH31", "LYSH", "virtual sites"),
            ("BB", "ALA", "there is no B in ALA; is it a bead?"),
            ("W", "W", "coarse-grained"),
            ("IB", "IB", "an ion together with its water"),
            ("DUM", "LIG", "virtual sites"),
        ] {
            let error = element_of_name(name, residue);
            assert!(
                error.as_ref().is_err_and(|e| e.contains(why)),
                "{name}: {error:?}"
            );
        }
    }

    /// PDB sets symbols by their last letter, in column 14.
    #[test]
    fn columns_of_pdb_names_tell_carbon_from_calcium() {
        for (field, residue, z) in [
            (" CA ", "LIG", 6),
            ("CA  ", "LIG", 20),
            ("CA  ", "ALA", 6),
            (" CA ", "CA", 20),
            ("HG11", "LIG", 1),
            ("HG  ", "LIG", 80),
            ("1HB2", "LIG", 1),
            (" O5'", "LIG", 8),
            ("CL1 ", "LIG", 17),
            (" SE ", "LIG", 16),
            ("SE  ", "MSE", 34),
            ("FE  ", "HEM", 26),
            (" NA ", "HEM", 7),
            (" ZN ", "LIG", 30),
            ("SOD ", "SOD", 11),
            (" CLA", "CLA", 17),
        ] {
            let found = element_of_pdb_name(field, residue, true).map(|element| element.0);
            assert_eq!(found, Ok(z), "{field:?} {residue}");
        }
        assert!(element_of_pdb_name("CA  ", "LIG", false).is_err());
        assert!(element_of_pdb_name("CA12", "LIG", true).is_err());
    }
}
