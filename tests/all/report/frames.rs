//! Frames to write: random but known, in cells of every kind.

use std::path::Path;

use mdrun::config::plan::{TrajectoryFormat, TrajectoryPlan};
use mdrun::core::rng::{Noise, NoiseCourse, NoiseMark, Stream};
use mdrun::core::{Cell, Kept, Mat3, Observables, Snapshot, System, Vec3, elements};
use mdrun::report::Trajectory;
use mdrun::simulation::{Reporter, Signal};
use mdrun::units::FEMTOSECOND;

/// Steps between frames.
pub const EVERY: u64 = 20;
/// Time step (internal time): 0.5 fs.
pub const TIMESTEP: f64 = 0.5 * FEMTOSECOND;

/// A kind of cell to test.
pub struct Case {
    pub name: &'static str,
    pub cell: Cell,
}

/// Cells of every kind: none, right-angled, skewed in standard orientation, skewed and turned,
/// left-handed, periodic in two directions only or in one, and one whose c leans over farther than
/// GROMACS lets it.
pub fn cases() -> Vec<Case> {
    let case = |name, vectors: [f64; 9], periodic| Case {
        name,
        cell: Cell::new(Mat3::from_row_slice(&vectors), periodic).unwrap(),
    };
    vec![
        Case {
            name: "open",
            cell: Cell::open(),
        },
        case(
            "orthorhombic",
            [11.0, 0.0, 0.0, 0.0, 12.5, 0.0, 0.0, 0.0, 14.25],
            [true; 3],
        ),
        case(
            "triclinic",
            [10.0, 0.0, 0.0, 2.5, 9.0, 0.0, -1.5, 3.0, 11.0],
            [true; 3],
        ),
        case(
            "turned",
            [1.0, 9.0, 2.0, -8.0, 2.5, 3.0, 1.0, -2.0, 12.0],
            [true; 3],
        ),
        case(
            "left-handed",
            [9.0, 1.0, 0.0, 0.5, 1.0, 10.0, 1.0, 11.0, -2.0],
            [true; 3],
        ),
        case(
            "slab",
            [8.0, 0.0, 0.0, 1.0, 9.0, 0.0, 0.0, 0.0, 40.0],
            [true, true, false],
        ),
        case(
            "wire",
            [90.0, 0.0, 0.0, 0.0, 80.0, 0.0, 0.0, 0.0, 9.5],
            [false, false, true],
        ),
        case(
            "leaning",
            [8.0, 0.0, 0.0, 1.0, 9.0, 0.0, -6.0, 5.0, 11.0],
            [true; 3],
        ),
    ]
}

/// A system of `atoms` atoms of a few elements.
pub fn system(atoms: usize) -> System {
    let species: Vec<u8> = (0..atoms).map(|i| [8, 1, 1, 6, 17, 18][i % 6]).collect();
    System {
        masses: (species.iter())
            .map(|&z| elements::mass(z).unwrap())
            .collect(),
        species,
    }
}

/// Three random numbers of order one, the same for the same arguments.
pub fn random(frame: u64, atom: usize) -> Vec3 {
    Noise::new(7).normal3(frame, atom as u32, Stream::Velocities)
}

/// The frame of this number: atoms all over and beyond the cell, moving on from frame to frame.
pub fn frame(number: u64, atoms: usize, cell: &Cell) -> Snapshot {
    let spread = if cell.is_periodic() { 15.0 } else { 6.0 };
    let vectors = |stream: u64| (0..atoms).map(move |i| random(1000 * stream + number, i));
    Snapshot {
        step: number * EVERY,
        time: (number * EVERY) as f64 * TIMESTEP,
        cell: cell.clone(),
        observables: Observables {
            potential: -1_234.567_890_123_4 - number as f64,
            external: 0.0,
            kinetic: 1.0 / 3.0,
            kept: Kept {
                heat: 0.125,
                ..Kept::default()
            },
            momentum: Vec3::zeros(),
            spread: None,
            strain_derivative: Mat3::from_diagonal(&Vec3::new(1.0, 2.0, 3.0)),
        },
        positions: (vectors(1).enumerate())
            .map(|(i, moved)| spread * random(0, i) + 0.3 * moved)
            .collect(),
        velocities: vectors(2).map(|v| 0.1 * v).collect(),
        forces: vectors(3).collect(),
    }
}

/// A trajectory as a run file asks for it.
pub fn plan(format: TrajectoryFormat, wrap: bool) -> TrajectoryPlan {
    TrajectoryPlan {
        format,
        every: EVERY,
        wrap,
        velocities: true,
        forces: true,
        noise: Some(NoiseCourse {
            start: NoiseMark { seed: 3, step: 10 },
            draws: true,
        }),
        stage: None,
    }
}

/// Writes frames as a run would.
pub fn write(path: &Path, plan: &TrajectoryPlan, system: &System, frames: &[Snapshot]) {
    let mut trajectory = Trajectory::create(path, plan, system, TIMESTEP).unwrap();
    for frame in frames {
        assert_eq!(trajectory.next(frame.step), frame.step);
        assert_eq!(trajectory.report(frame).unwrap(), Signal::Continue);
    }
    trajectory.finish().unwrap();
}
