//! Masses of isotopes that structure files name by their mass number.

use crate::core::elements;
use crate::{Error, Result};

/// Atomic number, mass number and mass (u): isotopes in use as labels (Atomic Mass Evaluation 2020, Wang et
/// al., Chin. Phys. C 45, 030003 (2021)).
#[rustfmt::skip]
const MASSES: [(u8, i64, f64); 30] = [
    (1, 1, 1.007825032), (1, 2, 2.014101778), (1, 3, 3.016049282),
    (3, 6, 6.015122887), (3, 7, 7.016003434), (5, 10, 10.012936862), (5, 11, 11.009305166),
    (6, 12, 12.0), (6, 13, 13.003354835), (6, 14, 14.003241988),
    (7, 14, 14.003074004), (7, 15, 15.000108899),
    (8, 16, 15.994914619), (8, 17, 16.999131756), (8, 18, 17.999159612), (9, 19, 18.998403162),
    (14, 28, 27.976926534), (14, 29, 28.976494664), (14, 30, 29.973770137),
    (15, 31, 30.973761998), (15, 32, 31.973907643),
    (16, 32, 31.972071174), (16, 33, 32.971458909), (16, 34, 33.967867011),
    (17, 35, 34.968852694), (17, 37, 36.965902573), (35, 79, 78.918337601), (35, 81, 80.916288206),
    (53, 127, 126.904471850), (11, 23, 22.989769282),
];

/// The mass (u) of an isotope, and whether it is the mass number for want of a measured one, which is right
/// to 1 in 1000.
///
/// # Errors
/// No nucleus of this element has so few or so many protons and neutrons.
pub(super) fn isotope_mass(number: u8, mass_number: i64) -> Result<(f64, bool)> {
    let z = i64::from(number);
    if mass_number < z || mass_number > 3 * z {
        let symbol = elements::symbol(number);
        return Err(Error::input(format!(
            "there is no isotope {mass_number} of {symbol}; a mass number is wanted, such as 13 for C"
        )));
    }
    let known = MASSES.iter().find(|m| (m.0, m.1) == (number, mass_number));
    let nearest = u16::try_from(mass_number).map_or(f64::NAN, f64::from);
    Ok(known.map_or((nearest, true), |m| (m.2, false)))
}

/// The mass number that differences of mass are counted from: the standard mass, rounded.
pub(super) fn usual_mass_number(number: u8) -> i64 {
    // Standard masses are below 300 u.
    elements::mass(number).map_or(0, |mass| mass.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isotopes_weigh_what_their_numbers_say() {
        for (z, a, mass) in MASSES {
            // Binding energies move a nucleus by less than a hundredth of a nucleon from its mass number.
            assert!((mass - a as f64).abs() < 0.1, "{z} {a}");
            assert_eq!(isotope_mass(z, a).ok(), Some((mass, false)));
        }
        for symbol in ["D", "T"] {
            let (z, mass) = elements::number_and_mass(symbol).unwrap_or_default();
            let number = mass.round() as i64;
            assert_eq!(
                isotope_mass(z, number).ok(),
                Some((mass, false)),
                "one mass for {symbol}"
            );
        }
        assert_eq!(isotope_mass(29, 64).ok(), Some((64.0, true)));
        assert!(isotope_mass(6, 0).is_err() && isotope_mass(6, 19).is_err());
        assert_eq!([1, 6, 17].map(usual_mass_number), [1, 12, 35]);
    }
}
