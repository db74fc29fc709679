//! Units that a model's metadata may name.

/// Joule per electronvolt (exact, SI 2019).
const ELECTRONVOLT: f64 = 1.602_176_634e-19;
/// Particles per mole (exact, SI 2019).
const AVOGADRO: f64 = 6.022_140_76e23;
/// Joule per thermochemical calorie (exact).
const CALORIE: f64 = 4.184;
/// eV per kJ/mol.
const KILOJOULE_PER_MOLE: f64 = 1e3 / (AVOGADRO * ELECTRONVOLT);
/// eV per kcal/mol, 0.0433641...
const KILOCALORIE_PER_MOLE: f64 = CALORIE * KILOJOULE_PER_MOLE;
/// eV per hartree (CODATA 2022).
const HARTREE: f64 = 27.211_386_245_981;
/// Angstrom per bohr (CODATA 2022).
const BOHR: f64 = 0.529_177_210_544;

/// Names of units of energy, for messages.
pub const ENERGIES: &str = "eV, meV, kcal/mol, kJ/mol, Hartree, mHartree, Ry";
/// Names of units of length, for messages.
pub const LENGTHS: &str = "Ang, Bohr, nm, pm";

/// eV per unit of energy; `None` where the name is not known.
pub fn energy(name: &str) -> Option<f64> {
    // A capital M is a million.
    if name.starts_with('M') {
        return None;
    }
    Some(match name.to_ascii_lowercase().as_str() {
        "ev" | "electronvolt" => 1.0,
        "mev" => 1e-3,
        "kcal/mol" => KILOCALORIE_PER_MOLE,
        "kj/mol" => KILOJOULE_PER_MOLE,
        "hartree" | "ha" | "eh" | "e_h" | "au" | "a.u." => HARTREE,
        "mhartree" | "mha" | "meh" => 1e-3 * HARTREE,
        "rydberg" | "ry" => 0.5 * HARTREE,
        _ => return None,
    })
}

/// Angstrom per unit of length; `None` where the name is not known.
pub fn length(name: &str) -> Option<f64> {
    Some(match name.to_lowercase().as_str() {
        "ang" | "angstrom" | "angstroms" | "a" | "\u{e5}" => 1.0,
        "bohr" | "a0" | "a_0" | "au" | "a.u." => BOHR,
        "nm" | "nanometer" | "nanometre" => 10.0,
        "pm" => 1e-2,
        _ => return None,
    })
}

/// eV / angstrom per unit of force, such as `kcal/mol/Ang`; `None` where the name is not known.
pub fn force(name: &str) -> Option<f64> {
    let (over, under) = name.rsplit_once('/')?;
    Some(energy(over.trim())? / length(under.trim())?)
}
