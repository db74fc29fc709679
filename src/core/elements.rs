//! The periodic table: symbols, standard masses, covalent radii.
//!
//! Standard atomic weights: IUPAC Commission on Isotopic Abundances and Atomic Weights, 2021
//! (Prohaska et al., Pure Appl. Chem. 94, 573 (2022)), abridged or conventional values where the
//! weight is an interval. Elements without a standard weight have the mass of a long-lived isotope
//! (Atomic Mass Evaluation 2016; Wang et al., Chin. Phys. C 41, 030003 (2017)).

/// Symbol and standard mass (u), in the order of atomic numbers from 1.
#[rustfmt::skip]
const TABLE: [(&str, f64); 118] = [
    ("H", 1.008), ("He", 4.002602),
    ("Li", 6.94), ("Be", 9.0121831), ("B", 10.81), ("C", 12.011), ("N", 14.007), ("O", 15.999),
    ("F", 18.998403162), ("Ne", 20.1797),
    ("Na", 22.98976928), ("Mg", 24.305), ("Al", 26.9815384), ("Si", 28.085), ("P", 30.973761998),
    ("S", 32.06), ("Cl", 35.45), ("Ar", 39.95),
    ("K", 39.0983), ("Ca", 40.078), ("Sc", 44.955907), ("Ti", 47.867), ("V", 50.9415),
    ("Cr", 51.9961), ("Mn", 54.938043), ("Fe", 55.845), ("Co", 58.933194), ("Ni", 58.6934),
    ("Cu", 63.546), ("Zn", 65.38), ("Ga", 69.723), ("Ge", 72.630), ("As", 74.921595),
    ("Se", 78.971), ("Br", 79.904), ("Kr", 83.798),
    ("Rb", 85.4678), ("Sr", 87.62), ("Y", 88.905838), ("Zr", 91.224), ("Nb", 92.90637),
    ("Mo", 95.95), ("Tc", 97.90721), ("Ru", 101.07), ("Rh", 102.90549), ("Pd", 106.42),
    ("Ag", 107.8682), ("Cd", 112.414), ("In", 114.818), ("Sn", 118.710), ("Sb", 121.760),
    ("Te", 127.60), ("I", 126.90447), ("Xe", 131.293),
    ("Cs", 132.90545196), ("Ba", 137.327), ("La", 138.90547), ("Ce", 140.116), ("Pr", 140.90766),
    ("Nd", 144.242), ("Pm", 144.91276), ("Sm", 150.36), ("Eu", 151.964), ("Gd", 157.25),
    ("Tb", 158.925354), ("Dy", 162.500), ("Ho", 164.930329), ("Er", 167.259), ("Tm", 168.934219),
    ("Yb", 173.045), ("Lu", 174.9668), ("Hf", 178.486), ("Ta", 180.94788), ("W", 183.84),
    ("Re", 186.207), ("Os", 190.23), ("Ir", 192.217), ("Pt", 195.084), ("Au", 196.966570),
    ("Hg", 200.592), ("Tl", 204.38), ("Pb", 207.2), ("Bi", 208.98040), ("Po", 208.98243),
    ("At", 209.98715), ("Rn", 222.01758),
    ("Fr", 223.01974), ("Ra", 226.02541), ("Ac", 227.02775), ("Th", 232.0377), ("Pa", 231.03588),
    ("U", 238.02891), ("Np", 237.04817), ("Pu", 244.06421), ("Am", 243.06138), ("Cm", 247.07035),
    ("Bk", 247.07031), ("Cf", 251.07959), ("Es", 252.0830), ("Fm", 257.09511), ("Md", 258.09843),
    ("No", 259.1010), ("Lr", 262.110), ("Rf", 267.122), ("Db", 268.126), ("Sg", 271.134),
    ("Bh", 270.133), ("Hs", 269.1338), ("Mt", 278.156), ("Ds", 281.165), ("Rg", 281.166),
    ("Cn", 285.177), ("Nh", 286.182), ("Fl", 289.190), ("Mc", 289.194), ("Lv", 293.204),
    ("Ts", 293.208), ("Og", 294.214),
];

/// Isotopes with a symbol of their own (IUPAC Red Book 2005, IR-3.3.2): atomic number and mass (u; Atomic
/// Mass Evaluation 2020, Wang et al., Chin. Phys. C 45, 030003 (2021)).
const ISOTOPES: [(&str, (u8, f64)); 2] = [("D", (1, 2.014101778)), ("T", (1, 3.016049282))];

/// Covalent radii (hundredths of an angstrom) in the order of atomic numbers from 1: Cordero et al., Dalton Trans. 2008, 2832;
/// of carbon with four neighbours, and of low spin where there are two.
#[rustfmt::skip]
const COVALENT_RADII: [u16; 96] = [
    31, 28,
    128, 96, 84, 76, 71, 66, 57, 58,
    166, 141, 121, 111, 107, 105, 102, 106,
    203, 176, 170, 160, 153, 139, 139, 132, 126, 124, 132, 122, 122, 120, 119, 120, 120, 116,
    220, 195, 190, 175, 164, 154, 147, 146, 142, 139, 145, 144, 142, 139, 139, 138, 139, 140,
    244, 215, 207, 204, 203, 201, 199, 198, 198, 196, 194, 192, 192, 189, 190, 187, 187,
    175, 170, 162, 151, 144, 141, 136, 136, 132, 145, 146, 148, 140, 150, 150,
    260, 221, 215, 206, 200, 196, 190, 187, 180, 169,
];

/// The largest atomic number.
pub const LAST: u8 = TABLE.len() as u8;

fn entry(number: u8) -> Option<&'static (&'static str, f64)> {
    usize::from(number)
        .checked_sub(1)
        .and_then(|k| TABLE.get(k))
}

/// The symbol of an atomic number; `"X"`, which stands for an unknown atom, outside of 1 to 118.
pub fn symbol(number: u8) -> &'static str {
    entry(number).map_or("X", |e| e.0)
}

/// The standard mass (u) of an atomic number from 1 to 118.
pub fn mass(number: u8) -> Option<f64> {
    entry(number).map(|e| e.1)
}

/// The covalent radius (angstrom) of an atomic number from 1 to 96; heavier elements have none that was measured.
pub fn covalent_radius(number: u8) -> Option<f64> {
    let place = usize::from(number).checked_sub(1)?;
    (COVALENT_RADII.get(place)).map(|&hundredths| f64::from(hundredths) / 100.0)
}

/// The atomic number of a symbol, whose letters are in their proper case: `"Co"` is cobalt, `"CO"`
/// is nothing.
pub fn number(symbol: &str) -> Option<u8> {
    let place = TABLE.iter().position(|e| e.0 == symbol)?;
    u8::try_from(place + 1).ok()
}

/// Atomic number and mass (u) of a symbol in its proper case. `"D"` and `"T"` are hydrogen with the mass
/// of deuterium and tritium; all other symbols have the element's standard mass.
pub fn number_and_mass(symbol: &str) -> Option<(u8, f64)> {
    let isotope = ISOTOPES.iter().find(|i| i.0 == symbol).map(|i| i.1);
    isotope.or_else(|| number(symbol).and_then(|z| Some((z, mass(z)?))))
}

/// The symbol of an isotope that has one of its own: `"D"` for hydrogen of exactly the mass that
/// [`number_and_mass`] gives it.
pub fn isotope(number: u8, mass: f64) -> Option<&'static str> {
    let found = ISOTOPES.iter().find(|i| i.1 == (number, mass));
    found.map(|i| i.0)
}

/// The elements among atoms of these atomic numbers, each once, ascending.
pub fn kinds(species: &[u8]) -> Vec<u8> {
    let mut kinds = species.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// The elements among the atoms of several systems, likewise.
pub fn present<'s>(systems: impl Iterator<Item = &'s [u8]>) -> Vec<u8> {
    let mut seen = [false; 256];
    systems.flatten().for_each(|z| seen[usize::from(*z)] = true);
    (0..=u8::MAX).filter(|z| seen[usize::from(*z)]).collect()
}

/// The sum formula in Hill's order (Hill, J. Am. Chem. Soc. 22, 478 (1900)): `"C2H6O"`.
pub fn formula(species: &[u8]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for &z in species {
        let name = symbol(z);
        match counts.iter_mut().find(|c| c.0 == name) {
            Some(count) => count.1 += 1,
            None => counts.push((name, 1)),
        }
    }
    let organic = counts.iter().any(|c| c.0 == "C");
    let rank = |name: &str| match name {
        "C" if organic => 0,
        "H" if organic => 1,
        _ => 2,
    };
    counts.sort_by_key(|&(name, _)| (rank(name), name));
    (counts.iter())
        .map(|&(name, n)| match n {
            1 => name.to_owned(),
            _ => format!("{name}{n}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_and_numbers_are_inverse() {
        for z in 1..=LAST {
            assert_eq!(number(symbol(z)), Some(z));
        }
        assert_eq!((symbol(0), symbol(119), mass(0)), ("X", "X", None));
        assert_eq!(
            ["H", "C", "Ar", "Ag", "Au", "U", "Og"].map(number),
            [1, 6, 18, 47, 79, 92, 118].map(Some)
        );
        assert_eq!((number("h"), number("CO"), number("")), (None, None, None));
    }

    #[test]
    fn isotopes_of_hydrogen_have_symbols_of_their_own() {
        assert_eq!(number_and_mass("D"), Some((1, 2.014101778)));
        assert_eq!(number_and_mass("T"), Some((1, 3.016049282)));
        assert_eq!(number_and_mass("H"), Some((1, 1.008)));
        assert_eq!(number_and_mass("Ti"), Some((22, 47.867)));
        assert_eq!([number_and_mass("d"), number_and_mass("X")], [None; 2]);
        assert_eq!(
            [2.014101778, 3.016049282, 1.008, 2.014].map(|mass| isotope(1, mass)),
            [Some("D"), Some("T"), None, None]
        );
        assert_eq!(number("D"), None, "an isotope is no element");
    }

    /// Masses grow with the atomic number but for these pairs, whose heavier isotopes prevail in the
    /// lighter element. A slip of a digit or a row would show.
    #[test]
    fn masses_grow_but_for_known_inversions() {
        let falls: Vec<&str> = (1..LAST)
            .filter(|&z| mass(z) >= mass(z + 1))
            .map(symbol)
            .collect();
        let known = [
            "Ar", "Co", "Te", "Th", "U", "Pu", "Cm", "Sg", "Bh", "Nh", "Fl", "Lv",
        ];
        for fall in &falls {
            assert!(known.contains(fall), "{fall} is heavier than its successor");
        }
        // Protons and neutrons weigh about 1 u each, and nuclei have 1 to 1.65 neutrons a proton.
        for z in 2..=LAST {
            let a = mass(z).unwrap_or(0.0) / f64::from(z);
            assert!((1.9..2.65).contains(&a), "{}: {a} u per proton", symbol(z));
        }
    }

    /// Beside the numbers that ASE 3.29 has of the same paper (`ase.data.covalent_radii`): sums of number times radius
    /// over rows of the periodic table, and single ones.
    #[test]
    fn covalent_radii_are_those_of_their_paper() {
        let radius = |z: u8| covalent_radius(z).unwrap();
        let sum =
            |first: u8, last: u8| -> f64 { (first..=last).map(|z| f64::from(z) * radius(z)).sum() };
        for (first, last, ase) in [
            (1, 2, 0.87),
            (3, 10, 37.62),
            (11, 18, 135.72),
            (19, 36, 665.96),
            (37, 54, 1255.08),
            (55, 71, 2130.36),
            (72, 86, 1754.47),
            (87, 96, 1845.47),
        ] {
            let found = sum(first, last);
            assert!((found - ase).abs() < 1e-9, "{first} to {last}: {found}");
        }
        for (symbol, ase) in [
            ("H", 0.31),
            ("C", 0.76),
            ("N", 0.71),
            ("O", 0.66),
            ("F", 0.57),
            ("P", 1.07),
            ("S", 1.05),
            ("Cl", 1.02),
            ("Ti", 1.60),
            ("Mn", 1.39),
            ("Br", 1.20),
            ("Sr", 1.95),
            ("Cs", 2.44),
            ("Cm", 1.69),
        ] {
            assert_eq!(radius(number(symbol).unwrap()), ase, "{symbol}");
        }
        assert_eq!([0, 97, 118].map(covalent_radius), [None; 3]);
    }

    #[test]
    fn formulas_are_in_hill_order() {
        assert_eq!(formula(&[8, 6, 1, 1, 6, 1, 1, 1, 1]), "C2H6O");
        assert_eq!(formula(&[8, 1, 1]), "H2O");
        assert_eq!(formula(&[18; 3]), "Ar3");
    }
}
