//! The only conversion table, and quantities parsed from text with their unit.
//!
//! Internal units: energy in eV, length in angstrom, mass in u, temperature as kT in eV. They fix the
//! unit of time, angstrom sqrt(u / eV) = 10.1805 fs. Every constant below is one unit expressed in
//! internal ones: multiply to come in (`0.5 * FEMTOSECOND`), divide to go out (`time / PICOSECOND`).
//!
//! Sources: the SI's defining constants (BIPM, The International System of Units, 9th edition, 2019),
//! exact; CODATA 2022 (Mohr, Newell, Taylor, Tiesinga, Rev. Mod. Phys. 97, 025002 (2025)) for the
//! atomic mass constant, the hartree and the bohr.

use crate::{Error, Result};

/// Elementary charge (C), and so the electronvolt in joule. Exact (SI 2019).
const ELEMENTARY_CHARGE: f64 = 1.602_176_634e-19;
/// Boltzmann constant (J / K). Exact (SI 2019).
const BOLTZMANN: f64 = 1.380_649e-23;
/// Avogadro constant (1 / mol). Exact (SI 2019).
const AVOGADRO: f64 = 6.022_140_76e23;
/// Atomic mass constant u (kg). CODATA 2022, relative uncertainty 3.1e-10.
const ATOMIC_MASS: f64 = 1.660_539_068_92e-27;
/// Joule in a thermochemical calorie. Exact by definition.
const CALORIE: f64 = 4.184;

/// Electronvolt: the unit of energy.
pub const ELECTRONVOLT: f64 = 1.0;
/// Millielectronvolt (eV).
pub const MILLIELECTRONVOLT: f64 = 1e-3;
/// Kilocalorie per mole (eV): 0.0433641 eV.
pub const KCAL_PER_MOL: f64 = 1e3 * CALORIE / AVOGADRO / ELEMENTARY_CHARGE;
/// Kilojoule per mole (eV).
pub const KJ_PER_MOL: f64 = 1e3 / AVOGADRO / ELEMENTARY_CHARGE;
/// Hartree (eV). CODATA 2022.
pub const HARTREE: f64 = 27.211_386_245_981;
/// Angstrom: the unit of length.
pub const ANGSTROM: f64 = 1.0;
/// Nanometre (angstrom).
pub const NANOMETRE: f64 = 10.0;
/// Bohr (angstrom). CODATA 2022.
pub const BOHR: f64 = 0.529_177_210_544;
/// Femtosecond (angstrom sqrt(u / eV)): 1 / 10.1805.
pub const FEMTOSECOND: f64 = 1e-15 * ATOMIC_UNIT_RATE;
/// Picosecond (angstrom sqrt(u / eV)).
pub const PICOSECOND: f64 = 1e3 * FEMTOSECOND;
/// Nanosecond (angstrom sqrt(u / eV)).
pub const NANOSECOND: f64 = 1e6 * FEMTOSECOND;
/// Kelvin, as kT (eV).
pub const KELVIN: f64 = BOLTZMANN / ELEMENTARY_CHARGE;
/// Angstrom per femtosecond (angstrom / internal time).
pub const ANGSTROM_PER_FS: f64 = 1.0 / FEMTOSECOND;
/// Angstrom per picosecond (angstrom / internal time).
pub const ANGSTROM_PER_PS: f64 = 1.0 / PICOSECOND;
/// Gigapascal (eV / angstrom^3): 1 / 160.2177.
pub const GIGAPASCAL: f64 = 1e9 * 1e-30 / ELEMENTARY_CHARGE;
/// Bar (eV / angstrom^3).
pub const BAR: f64 = 1e-4 * GIGAPASCAL;
/// Gram per cubic centimetre (u / angstrom^3): 1 / 1.66054.
pub const GRAM_PER_CM3: f64 = 1e-3 * 1e-24 / ATOMIC_MASS;
/// Millielectronvolt per picosecond (eV / internal time), the unit of a drift per atom.
pub const MEV_PER_PS: f64 = MILLIELECTRONVOLT / PICOSECOND;

/// Internal times per second: sqrt(eV / u) / angstrom. The square root is not a constant function,
/// hence the literal; a test compares it with the constants above.
const ATOMIC_UNIT_RATE: f64 = 9.822_694_743_391_453e13;

/// Powers of mass, length, time, temperature and "per atom".
type Powers = [i8; 5];

/// What a quantity measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// A time.
    Time,
    /// A length.
    Length,
    /// A mass.
    Mass,
    /// An energy.
    Energy,
    /// A temperature; its internal value is kT.
    Temperature,
    /// An inverse time, such as a friction.
    Rate,
    /// A force.
    Force,
    /// A force per length.
    SpringConstant,
    /// A change of energy per atom and time, such as a drift.
    DriftPerAtom,
    /// A velocity.
    Velocity,
    /// A pressure or stress.
    Pressure,
    /// An inverse pressure.
    Compressibility,
}

impl Dimension {
    const ALL: [Self; 12] = [
        Self::Time,
        Self::Length,
        Self::Mass,
        Self::Energy,
        Self::Temperature,
        Self::Rate,
        Self::Force,
        Self::SpringConstant,
        Self::DriftPerAtom,
        Self::Velocity,
        Self::Pressure,
        Self::Compressibility,
    ];

    fn powers(self) -> Powers {
        match self {
            Self::Time => [0, 0, 1, 0, 0],
            Self::Length => [0, 1, 0, 0, 0],
            Self::Mass => [1, 0, 0, 0, 0],
            Self::Energy => [1, 2, -2, 0, 0],
            Self::Temperature => [0, 0, 0, 1, 0],
            Self::Rate => [0, 0, -1, 0, 0],
            Self::Force => [1, 1, -2, 0, 0],
            Self::SpringConstant => [1, 0, -2, 0, 0],
            Self::DriftPerAtom => [1, 2, -3, 0, -1],
            Self::Velocity => [0, 1, -1, 0, 0],
            Self::Pressure => [1, -1, -2, 0, 0],
            Self::Compressibility => [-1, 1, 2, 0, 0],
        }
    }

    /// Its name with an article: `"a time"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "a time",
            Self::Length => "a length",
            Self::Mass => "a mass",
            Self::Energy => "an energy",
            Self::Temperature => "a temperature",
            Self::Rate => "an inverse time",
            Self::Force => "a force",
            Self::SpringConstant => "a spring constant",
            Self::DriftPerAtom => "an energy per atom and time",
            Self::Velocity => "a velocity",
            Self::Pressure => "a pressure",
            Self::Compressibility => "an inverse pressure",
        }
    }

    /// Units that users write, the commonest first.
    pub fn units(self) -> &'static str {
        match self {
            Self::Time => "fs, ps, ns",
            Self::Length => "A, nm, bohr",
            Self::Mass => "u",
            Self::Energy => "eV, meV, kcal/mol, kJ/mol",
            Self::Temperature => "K",
            Self::Rate => "1/ps, 1/fs",
            Self::Force => "eV/A, kcal/mol/A",
            Self::SpringConstant => "eV/A^2, kcal/mol/A^2, kJ/mol/nm^2",
            Self::DriftPerAtom => "meV/atom/ps",
            Self::Velocity => "A/fs, A/ps",
            Self::Pressure => "GPa, bar",
            Self::Compressibility => "1/bar, 1/GPa",
        }
    }
}

/// One unit: its spelling, its powers, and its size in internal units.
struct Unit(&'static str, Powers, f64);

const MASS: Powers = [1, 0, 0, 0, 0];
const LENGTH: Powers = [0, 1, 0, 0, 0];
const TIME: Powers = [0, 0, 1, 0, 0];
const ENERGY: Powers = [1, 2, -2, 0, 0];
const TEMPERATURE: Powers = [0, 0, 0, 1, 0];
const ATOM: Powers = [0, 0, 0, 0, 1];
const PRESSURE: Powers = [1, -1, -2, 0, 0];

/// All units; those with a slash in their name are read as one word.
const UNITS: [Unit; 38] = [
    Unit("fs", TIME, FEMTOSECOND),
    Unit("ps", TIME, PICOSECOND),
    Unit("ns", TIME, NANOSECOND),
    Unit("us", TIME, 1e9 * FEMTOSECOND),
    Unit("as", TIME, 1e-3 * FEMTOSECOND),
    Unit("THz", [0, 0, -1, 0, 0], 1.0 / PICOSECOND),
    Unit("A", LENGTH, ANGSTROM),
    Unit("Å", LENGTH, ANGSTROM),
    Unit("\u{212b}", LENGTH, ANGSTROM),
    Unit("Ang", LENGTH, ANGSTROM),
    Unit("angstrom", LENGTH, ANGSTROM),
    Unit("Angstrom", LENGTH, ANGSTROM),
    Unit("nm", LENGTH, NANOMETRE),
    Unit("pm", LENGTH, 0.01),
    Unit("bohr", LENGTH, BOHR),
    Unit("Bohr", LENGTH, BOHR),
    Unit("u", MASS, 1.0),
    Unit("amu", MASS, 1.0),
    Unit("Da", MASS, 1.0),
    Unit("g/mol", MASS, 1e-3 / AVOGADRO / ATOMIC_MASS),
    Unit("eV", ENERGY, ELECTRONVOLT),
    Unit("meV", ENERGY, MILLIELECTRONVOLT),
    Unit("keV", ENERGY, 1e3 * ELECTRONVOLT),
    Unit("kcal/mol", ENERGY, KCAL_PER_MOL),
    Unit("kJ/mol", ENERGY, KJ_PER_MOL),
    Unit("hartree", ENERGY, HARTREE),
    Unit("Hartree", ENERGY, HARTREE),
    Unit("Ha", ENERGY, HARTREE),
    Unit("Ry", ENERGY, 0.5 * HARTREE),
    Unit("K", TEMPERATURE, KELVIN),
    Unit("mK", TEMPERATURE, 1e-3 * KELVIN),
    Unit("atom", ATOM, 1.0),
    Unit("GPa", PRESSURE, GIGAPASCAL),
    Unit("MPa", PRESSURE, 1e-3 * GIGAPASCAL),
    Unit("Pa", PRESSURE, 1e-9 * GIGAPASCAL),
    Unit("bar", PRESSURE, BAR),
    Unit("kbar", PRESSURE, 1e3 * BAR),
    Unit("atm", PRESSURE, 1.013_25 * BAR),
];

/// Parses a number with its unit, such as `"0.5 fs"`, `"10 1/ps"`, `"5 meV/atom/ps"` or
/// `"1 kcal/mol"`, and returns it in internal units.
///
/// A unit is a product of names: `/` divides by the next name, a space or `*` multiplies, `^` raises
/// to a whole power (`"10 ps^-1"`).
///
/// # Errors
/// No number, a number that is not finite, no unit, an unknown unit (with the nearest known one), or
/// a unit of another dimension.
pub fn parse(text: &str, wanted: Dimension) -> Result<f64> {
    let (number, unit) = split_number(text, wanted)?;
    if unit.is_empty() {
        return Err(Error::input(format!(
            "{text:?} needs a unit, such as \"{number} {}\"",
            first(wanted.units())
        )));
    }
    let (powers, factor) = parse_unit(unit, wanted)?;
    if powers != wanted.powers() {
        let what = (Dimension::ALL.iter().find(|d| d.powers() == powers))
            .map_or("the unit of something else", |d| d.name());
        return Err(Error::input(format!(
            "{unit:?} is {what}; {} is wanted: {}",
            wanted.name(),
            wanted.units()
        )));
    }
    let value = number * factor;
    if !value.is_finite() {
        return Err(Error::input(format!("{text:?} is too large")));
    }
    Ok(value)
}

fn first(units: &str) -> &str {
    units.split(',').next().unwrap_or(units)
}

/// Splits `"0.5 fs"` into 0.5 and `"fs"`.
fn split_number(text: &str, wanted: Dimension) -> Result<(f64, &str)> {
    let text = text.trim();
    let end = number_end(text);
    let (digits, unit) = (&text[..end], text[end..].trim_start());
    let example = || format!("such as \"1 {}\"", first(wanted.units()));
    if let Some(rest) = unit.strip_prefix(',')
        && rest.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(Error::input(format!(
            "{text:?}: the decimal sign is a point, not a comma: \"{digits}.{rest}\""
        )));
    }
    let lower = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    if lower.starts_with("nan") || lower.starts_with("inf") {
        return Err(Error::input(format!(
            "{text:?} is not a finite number; write {}, {}",
            wanted.name(),
            example()
        )));
    }
    let number: f64 = digits.parse().map_err(|_| {
        Error::input(format!(
            "{text:?} does not begin with a number; write {}, {}",
            wanted.name(),
            example()
        ))
    })?;
    if !number.is_finite() {
        return Err(Error::input(format!("{text:?} is too large a number")));
    }
    Ok((number, unit))
}

/// Where the number at the start of the text ends: sign, digits, point, exponent.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let sign = |at: usize| at + usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    let mut end = digits(sign(0));
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let start = sign(end + 1);
        let exponent = digits(start);
        if exponent > start {
            end = exponent;
        }
    }
    end
}

/// Powers and size of a product of units.
fn parse_unit(text: &str, wanted: Dimension) -> Result<(Powers, f64)> {
    let mut rest = text.strip_prefix('1').unwrap_or(text).trim_start();
    let mut powers = [0_i8; 5];
    let mut factor = 1.0;
    while !rest.is_empty() {
        let divide = rest.starts_with('/');
        rest = rest.trim_start_matches(['/', '*', '·', ' ']);
        let (unit, after) = take_unit(rest, text, wanted)?;
        let (exponent, after) = take_exponent(after, text)?;
        let exponent = if divide { -exponent } else { exponent };
        for (sum, p) in powers.iter_mut().zip(unit.1) {
            *sum = sum.saturating_add(p.saturating_mul(exponent));
        }
        factor *= unit.2.powi(i32::from(exponent));
        rest = after.trim_start();
    }
    Ok((powers, factor))
}

/// The unit at the start of `rest`, the longest that fits, and what comes after it.
fn take_unit<'t>(rest: &'t str, text: &str, wanted: Dimension) -> Result<(&'static Unit, &'t str)> {
    let word = |s: &str| s.find(|c: char| !c.is_alphabetic()).unwrap_or(s.len());
    let end = word(rest);
    if let Some(more) = rest[end..].strip_prefix('/') {
        let longer = &rest[..end + 1 + word(more)];
        if let Some(unit) = UNITS.iter().find(|u| u.0 == longer) {
            return Ok((unit, &rest[longer.len()..]));
        }
    }
    let name = &rest[..end];
    if let Some(unit) = UNITS.iter().find(|u| u.0 == name) {
        return Ok((unit, &rest[end..]));
    }
    let shown = if name.is_empty() { text } else { name };
    let near =
        nearest_unit(shown, wanted).map_or_else(String::new, |u| format!("; did you mean {u:?}?"));
    Err(Error::input(format!(
        "unknown unit {shown:?}{near} ({}: {})",
        wanted.name(),
        wanted.units()
    )))
}

/// The power after a unit: `^-1`, or 1.
fn take_exponent<'t>(rest: &'t str, text: &str) -> Result<(i8, &'t str)> {
    let Some(after) = rest.strip_prefix('^') else {
        return Ok((1, rest));
    };
    let end = number_end(after);
    match after[..end].parse::<i8>() {
        Ok(power) if (-9..=9).contains(&power) => Ok((power, &after[end..])),
        _ => Err(Error::input(format!(
            "the power in {text:?} is not a whole number from -9 to 9"
        ))),
    }
}

/// The known unit most like a misspelt one; those of the wanted dimension come first.
fn nearest_unit(name: &str, wanted: Dimension) -> Option<&'static str> {
    /// More slips than this are another word.
    const MOST_SLIPS: usize = 2;
    let lower = name.to_lowercase();
    (UNITS.iter())
        .map(|unit| {
            let target = unit.0.to_lowercase();
            let begins = target.split('/').next() == Some(lower.as_str());
            let slips = match begins {
                true => 0,
                false => strsim::osa_distance(&lower, &target),
            };
            (slips, unit.1 != wanted.powers(), unit)
        })
        .filter(|(slips, _, unit)| *slips <= MOST_SLIPS && *slips < unit.0.chars().count().max(1))
        .min_by_key(|&(slips, other, _)| (slips, other))
        .map(|(_, _, unit)| unit.0)
}

/// Nanoseconds a day at so many steps a second of `timestep` (internal time).
pub fn ns_per_day(steps_per_second: f64, timestep: f64) -> f64 {
    const SECONDS: f64 = 86_400.0;
    steps_per_second * SECONDS * timestep / NANOSECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Products of a few constants are right to the last bits.
    const ROUNDING: f64 = 8.0 * f64::EPSILON;

    fn close(a: f64, b: f64, relative: f64) {
        assert!((a - b).abs() <= relative * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn the_unit_of_time_follows_from_the_others() {
        let seconds = 1e-10 * (ATOMIC_MASS / ELEMENTARY_CHARGE).sqrt();
        close(ATOMIC_UNIT_RATE * seconds, 1.0, ROUNDING);
        close(1.0 / FEMTOSECOND, 10.180_5, 1e-6);
    }

    /// Values printed in CODATA 2022 and the SI brochure, to their printed digits.
    #[test]
    fn constants_agree_with_published_values() {
        close(KELVIN, 8.617_333_262e-5, 1e-9);
        close(1.0 / KCAL_PER_MOL, 23.060_548, 1e-7);
        close(1.0 / KJ_PER_MOL, 96.485_332, 1e-7);
        close(1.0 / GIGAPASCAL, 160.217_663_4, 1e-9);
        close(BAR, 6.241_509_074e-7, 1e-9);
        // Kinetic energy of 1 u at 1 A/fs: 103.642696 eV (e.g. J. Chem. Phys. units tables).
        close(0.5 * ANGSTROM_PER_FS.powi(2), 0.5 * 103.642_697, 1e-8);
    }

    #[test]
    fn quantities_come_out_in_internal_units() {
        use Dimension::*;
        for (text, dimension, value) in [
            ("0.5 fs", Time, 0.5 * FEMTOSECOND),
            ("  5ps ", Time, 5.0 * PICOSECOND),
            ("1e-3 ns", Time, PICOSECOND),
            ("300 K", Temperature, 300.0 * KELVIN),
            ("2 A", Length, 2.0),
            ("2 Å", Length, 2.0),
            ("1 nm", Length, 10.0),
            ("10 1/ps", Rate, 10.0 / PICOSECOND),
            ("10 ps^-1", Rate, 10.0 / PICOSECOND),
            ("10 /ps", Rate, 10.0 / PICOSECOND),
            ("10/ps", Rate, 10.0 / PICOSECOND),
            ("1 kcal/mol", Energy, KCAL_PER_MOL),
            ("5eV", Energy, 5.0),
            ("2 kcal/mol/A", Force, 2.0 * KCAL_PER_MOL),
            ("50 eV/A", Force, 50.0),
            ("5 meV/atom/ps", DriftPerAtom, 5.0 * MEV_PER_PS),
            ("39.948 u", Mass, 39.948),
            ("-1 eV", Energy, -1.0),
            ("1 u*A^2/fs^2", Energy, 1.0 / FEMTOSECOND.powi(2)),
            ("1 A/fs", Velocity, ANGSTROM_PER_FS),
            ("1 eV/A^3", Pressure, 1.0),
        ] {
            match parse(text, dimension) {
                Ok(found) => close(found, value, ROUNDING),
                Err(error) => panic!("{text}: {error}"),
            }
        }
    }

    #[test]
    fn faults_say_what_to_write() {
        use Dimension::*;
        for (text, dimension, says) in [
            ("0.5", Time, "\"0.5\" needs a unit, such as \"0.5 fs\""),
            (
                "300 K",
                Time,
                "\"K\" is a temperature; a time is wanted: fs, ps, ns",
            ),
            ("1 sf", Time, "unknown unit \"sf\"; did you mean \"fs\"?"),
            ("1 PS", Time, "did you mean \"ps\"?"),
            ("1 kcal", Energy, "did you mean \"kcal/mol\"?"),
            (
                "1 kelvins",
                Temperature,
                "unknown unit \"kelvins\" (a temperature: K)",
            ),
            (
                "5 meV/ps",
                DriftPerAtom,
                "an energy per atom and time is wanted: meV/atom/ps",
            ),
            (
                "",
                Time,
                "does not begin with a number; write a time, such as \"1 fs\"",
            ),
            ("half a fs", Time, "does not begin with a number"),
            ("nan K", Temperature, "not a finite number"),
            ("-inf K", Temperature, "not a finite number"),
            ("1e999 fs", Time, "too large"),
            (
                "0,5 fs",
                Time,
                "the decimal sign is a point, not a comma: \"0.5 fs\"",
            ),
            ("1 ps^x", Time, "not a whole number"),
            ("1 ps^", Time, "not a whole number"),
            ("1 %", Time, "unknown unit \"%\""),
        ] {
            match parse(text, dimension) {
                Ok(value) => panic!("{text} is taken as {value}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains(says), "{text}: {error}");
                }
            }
        }
    }

    #[test]
    fn no_unit_is_there_twice() {
        for (k, unit) in UNITS.iter().enumerate() {
            assert!(UNITS[..k].iter().all(|u| u.0 != unit.0), "{}", unit.0);
        }
    }
}
