//! Positions of constrained molecules in a bath have the weight of the canonical ensemble, as closed forms say.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Snapshot, System, Vec3, velocities};
use mdrun::dynamics::{ConstraintSolver, baoab};
use mdrun::engine::{Engine, GroupRules, HostEngine, Start};
use mdrun::forcefield::external::{ExternalLaw, ExternalTerm};

use super::held;
use crate::physics::bodies::{SIGMAS, run};
use crate::physics::doubles::Free;
use crate::physics::statistics::{deviation, mean, standard_error};

const KT: f64 = 0.025;

/// Many molecules that do not see each other, each of these masses and places, on which forces act that do not change.
struct Gas {
    engine: HostEngine,
    /// Atoms of a molecule.
    atoms: usize,
}

impl Gas {
    fn new(
        count: usize,
        molecule: &[(f64, Vec3)],
        bonds: &[[usize; 2]],
        terms: Vec<ExternalTerm>,
    ) -> Self {
        let atoms = molecule.len();
        let masses: Vec<f64> = molecule.iter().map(|(m, _)| *m).collect();
        let system = System {
            species: vec![6; count * atoms],
            masses: masses.repeat(count),
        };
        let places = |k: usize| {
            molecule
                .iter()
                .map(move |(_, r)| r + Vec3::x() * (1e3 * k as f64))
        };
        let positions: Vec<Vec3> = (0..count).flat_map(places).collect();
        let pairs: Vec<[usize; 2]> = (0..count)
            .flat_map(|k| {
                bonds
                    .iter()
                    .map(move |&[i, j]| [k * atoms + i, k * atoms + j])
            })
            .collect();
        let mut constraints = held(&pairs, &positions);
        // Atoms are up to 1e5 A out.
        constraints.tolerance = 1e-9;
        let mut drawn = velocities::maxwell_boltzmann(&system, KT, Noise::new(1));
        let solver = ConstraintSolver::new(&constraints, &system.masses);
        solver.project(&positions, &mut drawn).unwrap();
        let start = Start::new(system, Cell::open(), positions, drawn)
            .with_constraints(constraints)
            .with_groups(GroupRules {
                terms,
                ..GroupRules::default()
            });
        let engine = HostEngine::new(start, Noise::new(2), 100.0, Box::new(Free)).unwrap();
        Self { engine, atoms }
    }

    /// Means over all molecules of some values, at so many moments `every` steps of a Langevin run apart.
    fn sample(
        &mut self,
        (timestep, friction): (f64, f64),
        (moments, every): (u64, u64),
        values: impl Fn(&Snapshot) -> Vec<f64>,
    ) -> Vec<Vec<f64>> {
        const SETTLE: u64 = 300;
        let program = baoab(timestep, KT, friction);
        run(&mut self.engine, &program, 0..SETTLE);
        let mut series = Vec::new();
        for k in 0..moments {
            let first = SETTLE + k * every;
            run(&mut self.engine, &program, first..first + every);
            let found = values(&self.engine.snapshot(Fields::ALL).unwrap());
            series.resize_with(found.len(), Vec::new);
            series
                .iter_mut()
                .zip(found)
                .for_each(|(all, one)| all.push(one));
        }
        series
    }
}

fn check(name: &str, series: &[f64], wanted: f64) {
    let off = deviation(series, wanted);
    println!(
        "{name}: {:.5}, exactly {wanted:.5} ({off:+.2} standard errors)",
        mean(series)
    );
    assert!(off.abs() < SIGMAS, "{name}");
}

/// A dipole in a field leans on it by coth(a) - 1 / a with a = field times dipole over kT (Langevin, 1905): positions are sampled
/// with the weight that they have.
#[test]
fn dipoles_lean_on_a_field_as_langevin_said() {
    const DIMERS: usize = 100;
    const LENGTH: f64 = 0.9;
    let force = 2.0 * KT / LENGTH;
    let field = |atom: usize, sign: f64| ExternalTerm {
        atoms: (0..DIMERS).map(|k| 2 * k + atom).collect(),
        law: ExternalLaw::Force(Vec3::z() * (sign * force)),
    };
    let molecule = [(1.0, Vec3::zeros()), (19.0, Vec3::x() * LENGTH)];
    let terms = vec![field(1, 1.0), field(0, -1.0)];
    let mut gas = Gas::new(DIMERS, &molecule, &[[0, 1]], terms);
    let series = gas.sample((0.4, 1.0), (5000, 6), |s| {
        let along = s.positions.chunks(2).map(|r| (r[1] - r[0]).z / LENGTH);
        vec![along.sum::<f64>() / DIMERS as f64]
    });
    check("cosine", &series[0], 1.0 / 2.0_f64.tanh() - 0.5);
}

/// Three equal atoms in a chain of two rigid bonds: the cosine c of the angle between them has the density sqrt(1 - c^2 / 4), as
/// velocities are constrained too (Frenkel and Smit, Understanding Molecular Simulation, section 15.1). Without that
/// factor the mean of c^2 would be 1/3.
#[test]
fn a_bent_chain_has_the_weight_of_its_mass_matrix() {
    const CHAINS: usize = 100;
    let molecule = [
        (12.0, Vec3::zeros()),
        (12.0, Vec3::x()),
        (12.0, Vec3::new(1.3, 0.9, 0.2)),
    ];
    let mut gas = Gas::new(CHAINS, &molecule, &[[0, 1], [1, 2]], Vec::new());
    let atoms = gas.atoms;
    let series = gas.sample((0.6, 0.7), (6000, 8), |s| {
        let squares = s.positions.chunks(atoms).map(|r| {
            let (a, b) = ((r[1] - r[0]).normalize(), (r[2] - r[1]).normalize());
            a.dot(&b).powi(2)
        });
        let kinetic = s.observables.kinetic / KT;
        vec![
            squares.sum::<f64>() / CHAINS as f64,
            kinetic / CHAINS as f64,
        ]
    });
    // The integrals over c by Simpson's rule.
    let integral = |power: i32| -> f64 {
        const PARTS: usize = 200;
        (0..=PARTS)
            .map(|k| {
                let c = k as f64 / PARTS as f64;
                let weight = if k == 0 || k == PARTS {
                    1.0
                } else {
                    2.0 * (1 + k % 2) as f64
                };
                weight * c.powi(power) * (1.0 - 0.25 * c * c).sqrt()
            })
            .sum()
    };
    let wanted = integral(2) / integral(0);
    assert!((wanted - 0.3211).abs() < 1e-4, "{wanted}");
    check("cosine squared", &series[0], wanted);
    check("kinetic energy / kT", &series[1], 3.5);
    let error = standard_error(&series[0]);
    // So that the weight is seen.
    assert!(error < 0.0025, "{error}");
}
