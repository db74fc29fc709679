//! Which element a label means, and other rules that several formats share.

use crate::core::elements;

/// What to say of an atom that is there more than once.
pub(super) fn alternate_location(label: &str) -> String {
    format!(
        "an atom in an alternate location ({label}); keep one location of each atom in the file"
    )
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
const ORGANIC: [&str; 53] = [
    "ALA", "ARG", "ASN", "ASP", "ASH", "CYS", "CYX", "CYM", "GLN", "GLU", "GLH", "GLY", "HIS",
    "HID", "HIE", "HIP", "HSD", "HSE", "HSP", "ILE", "LEU", "LYS", "LYN", "MET", "PHE", "PRO",
    "SER", "THR", "TRP", "TYR", "VAL", "ACE", "NME", "NMA", "NH2", "A", "C", "G", "U", "T",
    "DA", "DC", "DG", "DT", "DU", "HOH", "SOL", "WAT", "TIP", "TIP3", "TIP4", "SPC", "H2O",
];

/// Atomic number and mass (u) of an atom's name, where there is nothing else. Says why it cannot be told.
pub(super) fn element_of_name(name: &str, residue: &str) -> Result<(u8, f64), String> {
    // Hydrogens of old PDB files have their number first: 1HB2.
    let name = name.trim_start_matches(|c: char| c.is_ascii_digit());
    let letters = letters(name);
    let first = letters.get(..1).and_then(element_of_type);
    let pair = letters.get(..2);
    if letters.len() == 1 {
        return first.ok_or_else(|| format!("{letters:?} is no element"));
    }
    // An ion bears its element's name.
    if letters.eq_ignore_ascii_case(self::letters(residue))
        && let Some(z) = element_of_type(letters)
    {
        return Ok(z);
    }
    let two = pair.and_then(element_of_type);
    // A second letter in lower case was written by someone who knew: "Cl1".
    let meant = two.filter(|two| pair == Some(elements::symbol(two.0)));
    match (first, meant.or(two)) {
        (Some(one), _) if ORGANIC.contains(&residue) => Ok(one),
        (_, Some(two)) if meant.is_some() || first.is_none() => Ok(two),
        (Some(one), None) => Ok(one),
        (Some(one), Some(two)) => {
            let [one, two] = [one, two].map(|element| elements::symbol(element.0));
            Err(format!("{one} or {two}"))
        }
        (None, _) => Err("it begins with no element's symbol".to_owned()),
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
        ] {
            let error = element_of_name(name, residue);
            assert!(
                error.as_ref().is_err_and(|e| e.contains(why)),
                "{name}: {error:?}"
            );
        }
    }
}
