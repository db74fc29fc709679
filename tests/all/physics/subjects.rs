//! Systems to run, each with an engine.

use mdrun::core::rng::Noise;
use mdrun::core::velocities::{self, Temperature};
use mdrun::core::{Cell, Mat3, System, Vec3, observe};
use mdrun::engine::{Engine, HostEngine, Start};
use mdrun::potential::Potential;

use crate::support::calculators::{Calculator, lennard_jones};

/// A femtosecond in angstrom sqrt(u / eV): 1 / (1e-10 m sqrt(u / (e V)) / 1 fs), CODATA 2018.
pub const FS: f64 = 1.0 / 10.180_505_717;
/// Boltzmann's constant (eV / K), exact in the SI.
pub const KB: f64 = 8.617_333_262e-5;

/// Argon (Rahman, Phys. Rev. 136, A405 (1964)): depth of the well (eV), diameter (angstrom).
pub const EPSILON: f64 = 120.0 * KB;
pub const SIGMA: f64 = 3.405;
pub const CUTOFF: f64 = 8.0;

/// Makes an engine at a start, with noise and a skin (angstrom).
pub type Build = Box<dyn Fn(Start, Noise, f64) -> Box<dyn Engine>>;

/// A system to run and an engine for it.
pub struct Subject {
    pub system: System,
    pub cell: Cell,
    pub positions: Vec<Vec3>,
    /// A usual time step for it.
    pub timestep: f64,
    /// A usual temperature kT (eV).
    pub kt: f64,
    pub build: Build,
}

impl Subject {
    /// A start at the subject's positions and temperature, without motion of the whole.
    pub fn start(&self, seed: u32) -> Start {
        let whole = observe::WholeMotion::Conserved;
        let temperature = Temperature {
            kt: self.kt,
            degrees_of_freedom: observe::degrees_of_freedom(
                &self.system,
                &self.cell,
                &self.positions,
                whole,
            ),
        };
        let noise = Noise::new(seed);
        let velocities = velocities::thermal(
            &self.system,
            &self.cell,
            &self.positions,
            temperature,
            noise,
        );
        Start::new(
            self.system.clone(),
            self.cell.clone(),
            self.positions.clone(),
            velocities,
        )
    }

    /// The same system under a calculator.
    pub fn by(self, calculator: &Calculator) -> Self {
        Self {
            build: calculator.engines(&self.system),
            ..self
        }
    }

    /// An engine at `start`, with a skin of 1 A.
    pub fn engine(&self, start: Start) -> Box<dyn Engine> {
        (self.build)(start, Noise::new(7), 1.0)
    }
}

/// Engines in host memory for a potential.
pub fn host(potential: impl Fn() -> Box<dyn Potential> + 'static) -> Build {
    Box::new(move |start, noise, skin| {
        Box::new(HostEngine::new(start, noise, skin, potential()).expect("the start is sound"))
    })
}

/// Argon's Lennard-Jones potential.
pub fn argon_potential() -> Box<dyn Potential> {
    Box::new(lennard_jones())
}

/// Places of a face-centred cubic crystal of `cells`^3 cubes with edges `edge` (angstrom).
pub fn face_centred(cells: u32, edge: f64) -> Vec<Vec3> {
    let basis = [
        [0.0, 0.0, 0.0],
        [0.0, 0.5, 0.5],
        [0.5, 0.0, 0.5],
        [0.5, 0.5, 0.0],
    ];
    (0..cells.pow(3))
        .flat_map(|k| {
            let cube = [k % cells, k / cells % cells, k / (cells * cells)].map(f64::from);
            basis.map(|b| (Vec3::from(cube) + Vec3::from(b)) * edge)
        })
        .collect()
}

/// 108 atoms at the density of liquid argon (1.374 g / cm^3); every other one as heavy as krypton, so
/// that there are two kinds.
pub fn argon() -> Subject {
    let positions = face_centred(3, 5.78);
    let count = positions.len();
    let masses = |i: usize| if i.is_multiple_of(2) { 39.948 } else { 83.798 };
    Subject {
        system: System {
            species: (0..count)
                .map(|i| if i.is_multiple_of(2) { 18 } else { 36 })
                .collect(),
            masses: (0..count).map(masses).collect(),
        },
        cell: Cell::new(Mat3::identity() * (3.0 * 5.78), [true; 3]).expect("a cube"),
        positions,
        timestep: 4.0 * FS,
        kt: 95.0 * KB,
        build: host(argon_potential),
    }
}

/// 32 argon atoms in the open, cold enough to stay together.
pub fn cluster() -> Subject {
    let positions = face_centred(2, 5.3);
    Subject {
        system: System {
            species: vec![18; positions.len()],
            masses: vec![39.948; positions.len()],
        },
        cell: Cell::open(),
        positions,
        timestep: 4.0 * FS,
        kt: 15.0 * KB,
        build: host(argon_potential),
    }
}
