//! Which elements the types of a MOL2 file mean.
//!
//! In Tripos' own types the element stands before the point: `C.3`, `N.ar`, `Cl`. Programs also write the
//! types of force fields there, in which letters are no symbols: `ca` is carbon and `na` nitrogen in GAFF
//! (Wang et al., J. Comput. Chem. 25, 1157 (2004)), `CA` is carbon in AMBER, `NG2S1` nitrogen in CGenFF. A
//! file with such types is read by types and names together: where both leave one element, it is that one.

use crate::core::elements::{self, number_and_mass};
use crate::formats::labels::{element_of_name, element_of_type};
use crate::{Error, Result};

/// What a file says of an atom's element.
pub struct TypedAtom<'t> {
    /// The line, from 1.
    pub line: usize,
    /// The type.
    pub kind: &'t str,
    /// The atom's name.
    pub name: &'t str,
    /// The name of its substructure.
    pub residue: String,
}

/// Atomic number and mass (u).
type ElementMass = (u8, f64);

/// The elements of a molecule's atoms, and a remark where the types are not Tripos' own.
///
/// # Errors
/// An element cannot be told; the message begins with `line N`.
pub fn elements(labels: &[TypedAtom<'_>]) -> Result<(Vec<ElementMass>, Option<String>)> {
    let with_point = |l: &TypedAtom<'_>| tripos_stem(l.kind).is_some();
    let point = labels.iter().any(with_point);
    // Symbols in their case are Tripos types without a point, as in HF.
    if point
        || labels
            .iter()
            .all(|l| number_and_mass(l.kind).is_some() || is_placeholder(l.kind))
    {
        return Ok((labels.iter().map(tripos).collect::<Result<_>>()?, None));
    }
    let gaff = labels
        .iter()
        .any(|l| is_gaff(l.kind) && element_of_whole(l.kind).is_none());
    let found = labels
        .iter()
        .map(|l| of_force_field(l, gaff))
        .collect::<Result<_>>()?;
    let first = labels.iter().find(|l| number_and_mass(l.kind).is_none());
    let note = first.map(|l| {
        format!(
            "its types are a force field's (such as {:?}), not Tripos'; elements are told from types and names",
            super::shorten(l.kind)
        )
    });
    Ok((found, note))
}

/// The element of a type that is a symbol from its first to its last letter, in whatever case.
fn element_of_whole(kind: &str) -> Option<ElementMass> {
    let letters = kind.bytes().all(|b| b.is_ascii_alphabetic());
    letters.then(|| element_of_type(kind)).flatten()
}

/// The element before the point of a Tripos type such as `C.3`.
fn tripos_stem(kind: &str) -> Option<ElementMass> {
    element_of_whole(kind.split_once('.')?.0)
}

/// Tripos types of no element: dummies, lone pairs, any, halogen, heteroatom, heavy atom.
fn is_placeholder(kind: &str) -> bool {
    const PLACEHOLDERS: [&str; 6] = ["DU", "LP", "ANY", "HAL", "HET", "HEV"];
    let stem = kind.split('.').next().unwrap_or_default();
    PLACEHOLDERS.iter().any(|p| stem.eq_ignore_ascii_case(p))
}

/// The element of a Tripos type.
fn tripos(label: &TypedAtom<'_>) -> Result<ElementMass> {
    let stem = label.kind.split('.').next().unwrap_or_default();
    // Ions may bear their charge: Na+.
    let stem = stem.trim_end_matches(['+', '-']);
    let found = element_of_whole(stem).filter(|_| !is_placeholder(label.kind));
    found.ok_or_else(|| {
        let place = format!("line {}: atom {:?}", label.line, super::shorten(label.name));
        let kind = super::shorten(label.kind);
        Error::input(match is_placeholder(label.kind) {
            true => format!("{place} is of type {kind:?}, which is no element; take it out"),
            false => format!("{place}: its type {kind:?} is none of Tripos', which begin with an element's symbol"),
        })
    })
}

/// Whether a type looks like one of GAFF: small letters, two characters at most.
fn is_gaff(kind: &str) -> bool {
    let mut bytes = kind.bytes();
    let first = bytes.next();
    kind.len() <= 2
        && first.is_some_and(|b| b"cnohspfib".contains(&b))
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+*".contains(&b))
}

/// The element of the first letter; before another letter, D and T are no isotopes.
fn first_letter(letters: &str) -> Option<ElementMass> {
    let one = letters.get(..1).and_then(element_of_type)?;
    (letters.len() == 1 || elements::isotope(one.0, one.1).is_none()).then_some(one)
}

/// The elements that a type of a force field may mean; none where it says nothing, such as a number.
fn of_kind(kind: &str, gaff: bool) -> Vec<ElementMass> {
    let end = kind
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(kind.len());
    let letters = &kind[..end];
    let one = || first_letter(letters);
    let two = || letters.get(..2).and_then(element_of_type);
    if matches!(kind, "cl" | "br") {
        return two().into_iter().collect();
    }
    if is_gaff(kind) && gaff {
        return one().into_iter().collect();
    }
    // CGenFF: an element, G, and what it is bonded to.
    let general = letters.len() < kind.len() || letters.len() > 3;
    if general && kind.len() >= 4 {
        for stem in ["CL", "BR", "AL", "C", "N", "O", "H", "S", "P", "F", "I"] {
            if kind
                .strip_prefix(stem)
                .is_some_and(|rest| rest.starts_with('G'))
            {
                return element_of_type(stem).into_iter().collect();
            }
        }
    }
    // Longer ones, such as opls_135, are names of entries.
    if kind.is_empty() || kind.len() > 4 {
        return Vec::new();
    }
    // A second letter in lower case was written by someone who knew: Cl.
    let meant = letters.get(..2).and_then(number_and_mass);
    match meant {
        Some(two) => vec![two],
        None => one().into_iter().chain(two()).collect(),
    }
}

/// The elements that a name may mean.
fn of_name(name: &str) -> Vec<ElementMass> {
    let name = name.trim_start_matches(|c: char| c.is_ascii_digit());
    let end = name
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(name.len());
    let letters = &name[..end];
    let meant = letters.get(..2).and_then(number_and_mass);
    if let Some(two) = meant {
        return vec![two];
    }
    let two = letters.get(..2).and_then(element_of_type);
    first_letter(letters).into_iter().chain(two).collect()
}

/// The element of a force field's type, as far as type and name agree.
fn of_force_field(label: &TypedAtom<'_>, gaff: bool) -> Result<ElementMass> {
    let fault = |why: &str| {
        Error::input(format!(
            "line {}: the element cannot be told from the name {:?} and the type {:?}: {why}; write the file \
             with Tripos types (C.3, N.ar, O.co2), or in a format with elements",
            label.line,
            super::shorten(label.name),
            super::shorten(label.kind)
        ))
    };
    if is_placeholder(label.kind) || !label.kind.bytes().any(|b| b.is_ascii_alphanumeric()) {
        return Err(fault("it is the type of no element"));
    }
    let kinds = of_kind(label.kind, gaff);
    let names = of_name(label.name);
    // An ion bears its residue's name; so do the atoms of amino acids and water, by custom.
    let by_name = element_of_name(label.name, &label.residue);
    if kinds.is_empty() {
        return by_name.map_err(|why| fault(&why));
    }
    let mut both: Vec<ElementMass> = kinds
        .iter()
        .copied()
        .filter(|k| names.contains(k))
        .collect();
    both.dedup();
    match (&both[..], &kinds[..], by_name) {
        ([one], _, by_name) => match by_name {
            // The name alone says something else: an ion, or a proper symbol.
            Ok(other) if other.0 != one.0 => {
                let [one, other] = [one.0, other.0].map(elements::symbol);
                Err(fault(&format!("{one} or {other}")))
            }
            _ => Ok(*one),
        },
        ([], [only], _) if names.is_empty() => Ok(*only),
        ([_, _, ..], _, Ok(told)) if both.contains(&told) => Ok(told),
        ([], ..) => Err(fault("they say different things")),
        (_, _, why) => Err(fault(
            &why.err()
                .unwrap_or_else(|| "they say different things".to_owned()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The symbols of atoms of these types and names, in a ligand.
    fn symbols(atoms: &[(&str, &str)]) -> Result<String, String> {
        let labels: Vec<TypedAtom<'_>> = (atoms.iter().enumerate())
            .map(|(k, (kind, name))| TypedAtom {
                line: k + 1,
                kind,
                name,
                residue: "LIG".to_owned(),
            })
            .collect();
        let (found, _) = elements(&labels).map_err(|e| e.to_string())?;
        Ok(found
            .iter()
            .map(|e| elements::symbol(e.0))
            .collect::<Vec<_>>()
            .join(" "))
    }

    #[test]
    fn tripos_types_have_their_element_before_the_point() {
        let types = [
            "C.3", "N.ar", "O.co2", "Cl", "H", "S.o2", "Co.oh", "BR", "Na+", "H.spc", "D",
        ];
        let atoms = types.map(|kind| (kind, "x"));
        assert_eq!(symbols(&atoms).as_deref(), Ok("C N O Cl H S Co Br Na H H"));
        assert_eq!(symbols(&[("F", "F1"), ("H", "H1")]).as_deref(), Ok("F H"));
        for kind in [
            "Du", "LP", "Any", "Hal", "Het", "Hev", "Du.C", ".", "...", "", "Q.3", "c3",
        ] {
            let error = symbols(&[("C.3", "C1"), (kind, "C2")]).err();
            assert!(error.is_some_and(|e| e.starts_with("line 2: ")), "{kind}");
        }
    }

    #[test]
    fn gaff_types_are_no_symbols() {
        let atoms = [
            ("c3", "C1"),
            ("ca", "CA1"),
            ("na", "NA"),
            ("hc", "H1"),
            ("os", "OS1"),
            ("ho", "HO1"),
            ("cl", "CL1"),
            ("br", "Br2"),
            ("cd", "CD"),
            ("ne", "N1"),
            ("p5", "P1"),
            ("s6", "S1"),
            ("n+", "N2"),
            ("f", "F1"),
            ("i", "I1"),
            ("hs", "1HS"),
            ("cu", "CU"),
            ("h1", "X1"),
        ];
        assert_eq!(
            symbols(&atoms).as_deref(),
            Ok("C C N H O H Cl Br C N P S N F I H C H")
        );
        // Nothing in a file of these two says that they are GAFF's and no salt.
        assert!(symbols(&[("na", "NA"), ("cl", "CL")]).is_err());
        assert_eq!(
            symbols(&[("cl", "CL1"), ("cl", "CL2")]).as_deref(),
            Ok("Cl Cl")
        );
        assert_eq!(
            symbols(&[("na", "Na1"), ("cl", "Cl1")]).as_deref(),
            Ok("Na Cl")
        );
        assert!(
            symbols(&[("c3", "C1"), ("na", "Na1")]).is_err(),
            "the name is sodium's"
        );
        assert!(symbols(&[("c3", "N1")]).is_err());
    }

    #[test]
    fn amber_charmm_and_opls_types_are_told_with_the_names() {
        let amber = [
            ("CT", "CA"),
            ("CA", "C1"),
            ("HO", "H1"),
            ("OH", "O1"),
            ("N*", "N9"),
            ("H1", "HA"),
            ("O2", "OP1"),
            ("2C", "CB"),
        ];
        assert_eq!(symbols(&amber).as_deref(), Ok("C C H O N H O C"));
        let general = [
            ("CG331", "C1"),
            ("HGA3", "HG1"),
            ("NG2S1", "N"),
            ("OG301", "O1"),
            ("CLGA1", "CL1"),
            ("BRGA1", "BR"),
        ];
        assert_eq!(symbols(&general).as_deref(), Ok("C H N O Cl Br"));
        let opls = [("opls_135", "C1"), ("opls_140", "H11"), ("opls_401", "Cl1")];
        assert_eq!(symbols(&opls).as_deref(), Ok("C H Cl"));
        let ambiguous = symbols(&[("CA", "CA"), ("CT", "C2")])
            .err()
            .unwrap_or_default();
        assert!(ambiguous.contains("C or Ca"), "{ambiguous}");
        assert!(symbols(&[("opls_135", "CA")]).is_err());
    }
}
