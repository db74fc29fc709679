//! What computes energies and forces: one list for all tests of what must hold of any engine, potential and numbers.

use std::sync::{Arc, LazyLock};

use mdrun::core::System;
use mdrun::engine::HostEngine;
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::potential::committee::Committee;
#[cfg(feature = "cuda")]
use mdrun::potential::committee::CudaCommittee;
use mdrun::potential::lennard_jones::LennardJones;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::reference::{self, BurnDevice};
use mdrun::potential::painn::{RadialBasis, Spec, Weights};
use mdrun::potential::pair::{Beside, PairLaw, Repulsion, RepulsionEnd, Zbl};
#[cfg(feature = "cuda")]
use mdrun::potential::schnet::CudaSchnet;
use mdrun::potential::schnet::{FusedSchnet, Schnet};
#[cfg(feature = "cuda")]
use mdrun::potential::student::CudaStudent;
use mdrun::potential::student::{FusedStudent, Student};
use mdrun::potential::{Potential, Precision};

use super::models;
use crate::physics::subjects::{Build, CUTOFF, EPSILON, SIGMA};

/// What a calculator knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// Argon: Lennard-Jones.
    Argon,
    /// Molecules of H, C, N and O: networks.
    Molecules,
    /// The same, of networks that are no potentials of nature: for the contract alone, which knows what each lacks.
    Tried,
}

/// Numbers that a calculator computes in. Sums of energies and of forces over pairs are f64 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// f64 throughout.
    Double,
    /// f64, but for gradients of pairs, which are rounded to f32.
    RoundedPairs,
    /// A network in f32.
    Single,
}

/// Rounding of a pair's gradient and of its direction to f32, relative to the largest force of a pair: 2^-24 each, of two
/// gradients and three components.
pub const PAIR_ROUNDING: f64 = 4e-7;

/// A potential in some numbers, and where it is computed.
#[derive(Clone, Copy)]
pub struct Calculator {
    pub name: &'static str,
    pub matter: Matter,
    pub numbers: Numbers,
    /// Whether it takes too long for statistics.
    pub slow: bool,
    /// Whether its definition has a preferred direction of space, and jumps where a pair comes into range.
    pub flawed: bool,
    place: Place,
}

/// Makes a potential in host memory for atoms of some species.
type OnTheHost = fn(&[u8]) -> Box<dyn Potential>;

#[derive(Clone, Copy)]
enum Place {
    /// In host memory, with a Verlet list.
    Host(OnTheHost),
    /// In host memory; pairs by brute force.
    Exhaustive(OnTheHost),
    /// On the first GPU.
    #[cfg(feature = "cuda")]
    Card(fn() -> Box<dyn mdrun::potential::device::DevicePotential>),
}

/// The shipped model of H, C, N and O.
pub static SHIPPED: LazyLock<(Spec, Weights)> = LazyLock::new(models::shipped);
/// The shipped model of more elements.
static ORGANIC: LazyLock<(Spec, Weights)> = LazyLock::new(models::organic);

/// Argon's Lennard-Jones potential.
pub fn lennard_jones() -> LennardJones {
    LennardJones::new(EPSILON, SIGMA, CUTOFF).expect("the parameters are sound")
}

fn fused(model: &(Spec, Weights), species: &[u8], precision: Precision) -> Box<dyn Potential> {
    let potential = FusedPainn::new(&model.0, &model.1, species, precision, 2);
    Box::new(potential.expect("the model knows the elements"))
}

/// A repulsion that ends at a distance (angstrom), farther out than a run would have it, so that there are pairs inside.
fn repulsion(end: f64) -> PairLaw {
    Arc::new(Repulsion::new(Zbl, RepulsionEnd::Distance(end)))
}

/// An end within the vibration of bonds to hydrogen.
const IN_BONDS: f64 = 1.1;
/// An end within the nearest distances of argon, and less than argon's range.
const IN_ARGON: f64 = 4.0;

const DOUBLE: Calculator = Calculator {
    name: "PaiNN, fused, f64",
    matter: Matter::Molecules,
    numbers: Numbers::Double,
    slow: false,
    flawed: false,
    place: Place::Host(|species| fused(&SHIPPED, species, Precision::F64)),
};

/// A StudentForceField of random numbers, as its authors define it, and without what makes it no potential.
static STUDENT: LazyLock<Student> = LazyLock::new(|| Student::random(40, 3, &[24, 12], 7));
static CURED: LazyLock<Student> = LazyLock::new(|| STUDENT.clone().without_flaws());

fn student(model: &Student, species: &[u8], precision: Precision) -> Box<dyn Potential> {
    let potential = FusedStudent::new(model, species, precision, 2);
    Box::new(potential.expect("the model knows the elements"))
}

/// A SchNet of random numbers.
static SCHNET: LazyLock<Schnet> = LazyLock::new(|| {
    let basis = RadialBasis::gaussian(12, 5.0);
    Schnet::random(40, 3, basis, &[20], 7)
});

fn schnet(species: &[u8], precision: Precision) -> Box<dyn Potential> {
    let potential = FusedSchnet::new(&SCHNET, species, precision, 2);
    Box::new(potential.expect("the model knows the elements"))
}

/// Those of the host.
const ON_THE_HOST: [Calculator; 14] = [
    Calculator {
        name: "Lennard-Jones",
        matter: Matter::Argon,
        place: Place::Host(|_| Box::new(lennard_jones())),
        ..DOUBLE
    },
    DOUBLE,
    Calculator {
        name: "PaiNN, fused, f32",
        numbers: Numbers::Single,
        place: Place::Host(|species| fused(&SHIPPED, species, Precision::F32)),
        ..DOUBLE
    },
    Calculator {
        name: "second PaiNN, fused, f64, brute force",
        place: Place::Exhaustive(|species| fused(&ORGANIC, species, Precision::F64)),
        ..DOUBLE
    },
    Calculator {
        name: "PaiNN, reference, f64",
        slow: true,
        place: Place::Host(|species| {
            let (spec, weights) = &*SHIPPED;
            let (precision, device) = (Precision::F64, BurnDevice::Cpu);
            let potential = reference::potential(spec, weights, species, precision, device);
            potential.expect("the model knows the elements")
        }),
        ..DOUBLE
    },
    Calculator {
        name: "Lennard-Jones and a repulsion",
        matter: Matter::Argon,
        slow: true,
        place: Place::Host(|species| {
            let (potential, term) = (Box::new(lennard_jones()), repulsion(IN_ARGON));
            Box::new(Beside::new(potential, term, species))
        }),
        ..DOUBLE
    },
    Calculator {
        name: "PaiNN, fused, f64, and a repulsion",
        slow: true,
        place: Place::Host(|species| {
            let network = fused(&SHIPPED, species, Precision::F64);
            Box::new(Beside::new(network, repulsion(IN_BONDS), species))
        }),
        ..DOUBLE
    },
    Calculator {
        name: "student, f64",
        matter: Matter::Tried,
        flawed: true,
        place: Place::Host(|species| student(&STUDENT, species, Precision::F64)),
        ..DOUBLE
    },
    Calculator {
        name: "student, f32",
        matter: Matter::Tried,
        flawed: true,
        numbers: Numbers::Single,
        place: Place::Host(|species| student(&STUDENT, species, Precision::F32)),
        ..DOUBLE
    },
    Calculator {
        name: "student without flaws, f64",
        matter: Matter::Tried,
        place: Place::Exhaustive(|species| student(&CURED, species, Precision::F64)),
        ..DOUBLE
    },
    Calculator {
        name: "student without flaws, f32",
        matter: Matter::Tried,
        numbers: Numbers::Single,
        place: Place::Host(|species| student(&CURED, species, Precision::F32)),
        ..DOUBLE
    },
    Calculator {
        name: "SchNet, f64",
        matter: Matter::Tried,
        place: Place::Host(|species| schnet(species, Precision::F64)),
        ..DOUBLE
    },
    Calculator {
        name: "SchNet, f32",
        matter: Matter::Tried,
        numbers: Numbers::Single,
        place: Place::Host(|species| schnet(species, Precision::F32)),
        ..DOUBLE
    },
    Calculator {
        name: "committee of PaiNN and SchNet, f64",
        matter: Matter::Tried,
        place: Place::Host(|species| {
            let precision = Precision::F64;
            let members = vec![
                fused(&SHIPPED, species, precision),
                fused(&ORGANIC, species, precision),
                schnet(species, precision),
            ];
            Box::new(Committee::new(members).expect("their range is the same"))
        }),
        ..DOUBLE
    },
];

/// Those of the first GPU.
#[cfg(feature = "cuda")]
const ON_THE_CARD: [Calculator; 8] = [
    Calculator {
        name: "Lennard-Jones, CUDA",
        matter: Matter::Argon,
        numbers: Numbers::RoundedPairs,
        place: Place::Card(|| Box::new(lennard_jones())),
        ..DOUBLE
    },
    Calculator {
        name: "PaiNN, CUDA, f32",
        numbers: Numbers::Single,
        place: Place::Card(|| {
            let (spec, weights) = &*SHIPPED;
            Box::new(mdrun::potential::painn::cuda::CudaPainn::new(spec, weights))
        }),
        ..DOUBLE
    },
    Calculator {
        name: "Lennard-Jones and a repulsion, CUDA",
        matter: Matter::Argon,
        numbers: Numbers::RoundedPairs,
        slow: true,
        place: Place::Card(|| {
            let (potential, term) = (Box::new(lennard_jones()), repulsion(IN_ARGON));
            Box::new(mdrun::potential::pair::CudaBeside::new(potential, term))
        }),
        ..DOUBLE
    },
    Calculator {
        name: "PaiNN and a repulsion, CUDA, f32",
        numbers: Numbers::Single,
        slow: true,
        place: Place::Card(|| {
            let (spec, weights) = &*SHIPPED;
            let network = mdrun::potential::painn::cuda::CudaPainn::new(spec, weights);
            let term = repulsion(IN_BONDS);
            Box::new(mdrun::potential::pair::CudaBeside::new(
                Box::new(network),
                term,
            ))
        }),
        ..DOUBLE
    },
    Calculator {
        name: "student, CUDA, f32",
        matter: Matter::Tried,
        flawed: true,
        numbers: Numbers::Single,
        place: Place::Card(|| Box::new(CudaStudent::new(&STUDENT))),
        ..DOUBLE
    },
    Calculator {
        name: "student without flaws, CUDA, f32",
        matter: Matter::Tried,
        numbers: Numbers::Single,
        place: Place::Card(|| Box::new(CudaStudent::new(&CURED))),
        ..DOUBLE
    },
    Calculator {
        name: "SchNet, CUDA, f32",
        matter: Matter::Tried,
        numbers: Numbers::Single,
        place: Place::Card(|| Box::new(CudaSchnet::new(&SCHNET))),
        ..DOUBLE
    },
    Calculator {
        name: "committee of PaiNN and SchNet, CUDA, f32",
        matter: Matter::Tried,
        numbers: Numbers::Single,
        place: Place::Card(|| {
            let painn = |(spec, weights): &'static (Spec, Weights)| {
                let potential = mdrun::potential::painn::cuda::CudaPainn::new(spec, weights);
                Box::new(potential) as Box<dyn mdrun::potential::device::DevicePotential>
            };
            let schnet = Box::new(CudaSchnet::new(&SCHNET));
            let members = vec![painn(&SHIPPED), painn(&ORGANIC), schnet];
            Box::new(CudaCommittee::new(members).expect("their range is the same"))
        }),
        ..DOUBLE
    },
];

/// Those of the host.
pub fn on_the_host() -> Vec<Calculator> {
    ON_THE_HOST.to_vec()
}

/// Those of the first GPU; none where there is none, which is said, or is a fault where MDRUN_REQUIRE_GPU says so.
#[cfg(feature = "cuda")]
pub fn on_a_gpu() -> Vec<Calculator> {
    match crate::cuda::gpu() {
        true => ON_THE_CARD.to_vec(),
        false => Vec::new(),
    }
}

/// Makes two tests of each body: for the calculators of the host, and for those of the first GPU. A body takes a [`Calculator`]
/// of one of the kinds of matter named.
macro_rules! for_every_calculator {
    ($matter:tt: $($body:ident),+ $(,)?) => {
        /// On the host.
        mod on_the_host {
            use $crate::support::calculators::{Matter::*, each, on_the_host};
            $(#[test]
            fn $body() {
                each(on_the_host(), &$matter, super::$body);
            })+
        }
        /// On the first GPU.
        #[cfg(feature = "cuda")]
        mod on_a_gpu {
            use $crate::support::calculators::{Matter::*, each, on_a_gpu};
            $(#[test]
            fn $body() {
                each(on_a_gpu(), &$matter, super::$body);
            })+
        }
    };
}
pub(crate) use for_every_calculator;

/// Calls a body for those of a list that know one of these kinds of matter.
pub fn each(all: Vec<Calculator>, about: &[Matter], body: fn(&Calculator)) {
    for calculator in all.iter().filter(|c| about.contains(&c.matter)) {
        println!("{}", calculator.name);
        body(calculator);
    }
}

impl Calculator {
    /// A force field for atoms of these species; a Verlet list has this skin (angstrom).
    pub fn field(&self, species: &[u8], skin: f64) -> Box<dyn ForceField> {
        match self.place {
            Place::Host(potential) => Box::new(HostForceField::new(potential(species), skin)),
            Place::Exhaustive(potential) => {
                Box::new(HostForceField::exhaustive(potential(species)))
            }
            #[cfg(feature = "cuda")]
            Place::Card(potential) => {
                let field = mdrun::engine::cuda::DeviceForceField::new(potential(), species, 0);
                Box::new(field.expect("the card takes the atoms"))
            }
        }
    }

    /// Engines for a system.
    pub fn engines(&self, system: &System) -> Build {
        let (place, species) = (self.place, system.species.clone());
        Box::new(move |start, noise, skin| match place {
            Place::Host(potential) => {
                let field = HostForceField::new(potential(&species), skin);
                Box::new(HostEngine::of(start, noise, field).expect("the start is sound"))
            }
            Place::Exhaustive(potential) => {
                let field = HostForceField::exhaustive(potential(&species));
                Box::new(HostEngine::of(start, noise, field).expect("the start is sound"))
            }
            #[cfg(feature = "cuda")]
            Place::Card(potential) => {
                let potential = potential();
                let engine =
                    mdrun::engine::cuda::CudaEngine::new(start, &*potential, noise, skin, 0);
                Box::new(engine.expect("the card takes the start"))
            }
        })
    }
}
