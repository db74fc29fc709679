//! How minimisations end, other than in a minimum; and many at once, each to its own end.

use std::ops::ControlFlow;

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::dynamics::cell_rescaling::Coupling;
use mdrun::forcefield::{Arrangement, HostForceFields};
use mdrun::minimize::{DescentMethod, MinimizerEnd, MinimizerSettings, minimize, minimize_many};
use mdrun::potential::Evaluation;
use mdrun::potential::lennard_jones::LennardJones;

use super::{FunctionField, METHODS, found, unit_lennard_jones, unwatched};
use crate::support::atoms::Random;

/// Five atoms, not far from a minimum.
fn start(seed: u32) -> Vec<Vec3> {
    let corners = [
        [0.0, 0.0, 0.0],
        [1.1, 0.0, 0.0],
        [0.5, 1.0, 0.0],
        [0.5, 0.3, 0.9],
        [0.5, 0.3, -0.9],
    ];
    let mut random = Random::new(seed);
    corners
        .iter()
        .map(|r| Vec3::from(*r) + 0.05 * random.vector())
        .collect()
}

fn settings(method: DescentMethod, force: f64, most_steps: u64) -> MinimizerSettings {
    MinimizerSettings {
        method,
        ..MinimizerSettings::of_positions(force, most_steps)
    }
}

#[test]
fn most_steps_are_an_end_and_none_may_be_asked_for() {
    for method in METHODS {
        let open = Cell::open();
        let at_once = found(
            &mut unit_lennard_jones(9.0),
            &settings(method, 1e-6, 0),
            &open,
            &start(1),
        );
        assert_eq!(
            (at_once.end, at_once.steps, at_once.evaluations),
            (MinimizerEnd::MostSteps, 0, 1)
        );
        assert_eq!(at_once.positions, start(1));
        let seven = found(
            &mut unit_lennard_jones(9.0),
            &settings(method, 1e-6, 7),
            &open,
            &start(1),
        );
        assert_eq!((seven.end, seven.steps), (MinimizerEnd::MostSteps, 7));
        assert!(seven.evaluation.energy < at_once.evaluation.energy);
        // A start that is good enough takes one evaluation.
        let easy = found(
            &mut unit_lennard_jones(9.0),
            &settings(method, 1e3, 7),
            &open,
            &start(1),
        );
        assert_eq!((easy.end, easy.evaluations), (MinimizerEnd::Converged, 1));
    }
}

/// Forces and energies with an error come to an end by themselves, near the minimum, and it is said why.
#[test]
fn the_error_of_the_numbers_is_an_end() {
    /// Error of each component of a force (eV / angstrom), about that of f32.
    const ERROR: f64 = 2e-5;
    for method in METHODS {
        let mut exact = unit_lennard_jones(9.0);
        let mut random = Random::new(1);
        let mut rough = FunctionField(move |positions: &[Vec3], out: &mut Evaluation| {
            use mdrun::forcefield::ForceField as _;
            exact.evaluate(&Cell::open(), positions, out).unwrap();
            out.energy += 1e-6 * (random.unit() - 0.5);
            out.forces
                .iter_mut()
                .for_each(|f| *f += ERROR * random.vector());
        });
        let settings = settings(method, 1e-9, 1_000_000);
        let end = found(&mut rough, &settings, &Cell::open(), &start(2));
        println!(
            "{}: {:e} after {}",
            method.name(),
            end.force,
            end.evaluations
        );
        assert_eq!(end.end, MinimizerEnd::NumbersEnd);
        assert!(end.force < 10.0 * ERROR, "{}", end.force);
        assert!(end.evaluations < 3000, "{}", end.evaluations);
    }
}

/// Forces that are not those of the energy lead nowhere, and that is an end too.
#[test]
fn forces_that_lead_up_are_an_end() {
    for method in METHODS {
        let mut wrong = FunctionField(|positions: &[Vec3], out: &mut Evaluation| {
            out.energy = positions.iter().map(Vec3::norm_squared).sum();
            out.forces
                .iter_mut()
                .zip(positions)
                .for_each(|(f, r)| *f = *r);
        });
        let settings = settings(method, 1e-3, 100_000);
        let end = found(&mut wrong, &settings, &Cell::open(), &start(2));
        assert_ne!(end.end, MinimizerEnd::Converged);
        assert!(end.evaluations < 200_000);
        // What is given back is no worse than the start.
        let energy: f64 = start(2).iter().map(Vec3::norm_squared).sum();
        assert!(
            end.evaluation.energy <= energy + 1e-12,
            "{}",
            end.evaluation.energy
        );
    }
}

#[test]
fn who_watches_may_ask_for_an_end() {
    for method in METHODS {
        let mut seen = Vec::new();
        let minimum = minimize(
            &mut unit_lennard_jones(9.0),
            &settings(method, 1e-6, 1000),
            (&Cell::open(), &start(3)),
            &mut |moment| {
                seen.push((moment.step, moment.enthalpy, moment.positions.to_vec()));
                match moment.step {
                    4 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            },
        );
        let minimum = minimum.unwrap();
        assert_eq!((minimum.end, minimum.steps), (MinimizerEnd::Interrupted, 4));
        assert_eq!(
            seen.iter().map(|s| s.0).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4]
        );
        let lowest = seen.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert_eq!(lowest.2, minimum.positions);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |settings: &MinimizerSettings, cell: &Cell, positions: &[Vec3]| {
        let mut field = unit_lennard_jones(2.0);
        let end = minimize(&mut field, settings, (cell, positions), &mut unwatched);
        end.unwrap_err().to_string()
    };
    let plain = settings(DescentMethod::Lbfgs, 1e-3, 10);
    let loose = plain.with_cell(Coupling::Isotropic, 0.0, 1e-3);
    let slab = Cell::new(Mat3::identity() * 5.0, [true, true, false]).unwrap();
    let message = refused(&loose, &slab, &start(1));
    assert!(message.contains("periodic in all directions"), "{message}");
    let message = refused(&plain, &Cell::open(), &[Vec3::zeros(); 2]);
    assert!(
        message.contains("two atoms may be at one place"),
        "{message}"
    );
    let zero = MinimizerSettings {
        force: 0.0,
        ..plain
    };
    assert!(refused(&zero, &Cell::open(), &start(1)).contains("largest force"));
    let nan = MinimizerSettings {
        pressure: f64::NAN,
        ..loose
    };
    assert!(refused(&nan, &slab, &start(1)).contains("pressure"));
    assert!(refused(&plain, &Cell::open(), &[]).contains("no atoms"));
}

/// Each of many goes the way that it goes alone, to the last bit, however many there are, and one that is at fault ends by itself.
#[test]
fn each_of_many_is_what_it_is_alone() {
    let bind = |_: &[u8]| {
        let potential: Box<dyn mdrun::potential::Potential> =
            Box::new(LennardJones::new(1.0, 1.0, 9.0)?);
        Ok(potential)
    };
    let mut field = HostForceFields::new(bind);
    let open = Cell::open();
    let mut starts: Vec<Vec<Vec3>> = (0..9).map(start).collect();
    starts[4] = vec![Vec3::zeros(); 5];
    let arrangements: Vec<Arrangement<'_>> = (starts.iter())
        .map(|positions| Arrangement {
            species: &[18; 5],
            cell: &open,
            positions,
        })
        .collect();
    for method in METHODS {
        let settings = settings(method, 1e-5, 2000);
        let mut rounds = 0;
        let many = minimize_many(&mut field, &settings, &arrangements, &mut |moment| {
            rounds += 1;
            assert_eq!(moment.members, 9);
            ControlFlow::Continue(())
        });
        let many = many.unwrap();
        let mut longest = 0;
        for (k, (member, start)) in many.into_iter().zip(&starts).enumerate() {
            let member = member.unwrap();
            if k == 4 {
                assert!(member.is_err());
                continue;
            }
            let alone = found(&mut unit_lennard_jones(9.0), &settings, &open, start);
            longest = longest.max(alone.evaluations);
            assert_eq!(member.unwrap(), alone);
        }
        assert_eq!(rounds, longest);
    }
}
