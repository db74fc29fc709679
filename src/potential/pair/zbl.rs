//! The repulsion of two nuclei, screened by their electrons.

use super::PairEnergy;

/// e^2 / (4 pi epsilon_0) (eV angstrom): a hartree times a bohr. CODATA 2022.
const COULOMB: f64 = 14.399_645_468_7;
/// Screening length (angstrom) of two atoms, times the sum of [`POWER`] powers of their atomic numbers: 0.8854 bohr.
const SCREENING: f64 = 0.46850;
/// Power of the atomic number in it.
const POWER: f64 = 0.23;
/// Factors and decays of the universal screening function, sum of c exp(-d x).
const TERMS: [[f64; 2]; 4] = [
    [0.18175, 3.19980],
    [0.50986, 0.94229],
    [0.28022, 0.40290],
    [0.02817, 0.20162],
];

/// The universal repulsion of Ziegler, Biersack and Littmark (The Stopping and Range of Ions in Solids, Pergamon 1985),
///
/// u(r) = (Z_1 Z_2 e^2 / (4 pi epsilon_0 r)) phi(r / a),  a = 0.4685 angstrom / (Z_1^0.23 + Z_2^0.23),
///
/// phi the sum of four exponentials that is 1 at 0, with five digits of its constants, as LAMMPS has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zbl;

impl PairEnergy for Zbl {
    fn at(&self, species: [u8; 2], distance: f64) -> (f64, f64) {
        let [first, second] = species.map(f64::from);
        let inverse = (first.powf(POWER) + second.powf(POWER)) / SCREENING;
        let x = distance * inverse;
        let [mut screen, mut change] = [0.0; 2];
        for [factor, decay] in TERMS {
            let term = factor * (-decay * x).exp();
            screen += term;
            change -= decay * term;
        }
        let bare = COULOMB * first * second / distance;
        let energy = bare * screen;
        (energy, bare * change * inverse - energy / distance)
    }

    fn words(&self) -> String {
        "ZBL repulsion".to_owned()
    }

    #[cfg(feature = "cuda")]
    fn source(&self, elements: &[u8]) -> String {
        let numbers = super::list(elements.iter().map(|&z| f64::from(z)));
        let terms = TERMS.map(|[factor, decay]| {
            format!(
                "term = {factor:?} * exp({:?} * x), screen += term, change += {:?} * term;\n",
                -decay, -decay
            )
        });
        format!(
            "__constant__ double NUMBERS[] = {numbers};\n\
             __device__ __forceinline__ void pair_at(int i, int j, double r, double &energy, double &slope) {{\n\
             const double first = NUMBERS[E.species[i]], second = NUMBERS[E.species[j]];\n\
             const double inverse = (pow(first, {POWER:?}) + pow(second, {POWER:?})) / {SCREENING:?}, x = r * inverse;\n\
             double term, screen = 0.0, change = 0.0;\n\
             {}\
             const double bare = {COULOMB:?} * first * second / r;\n\
             energy = bare * screen;\n\
             slope = bare * change * inverse - energy / r;\n\
             }}\n",
            terms.concat()
        )
    }
}
