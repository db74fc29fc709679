//! Pairs against brute force, while the run goes on.

use std::sync::atomic::AtomicBool;

use mdrun::core::{Cell, Fields, Vec3};
use mdrun::dynamics::Program;
use mdrun::engine::{Engine, Limits};
use mdrun::neighbors::{Listed, Neighbor, Pairs, audit};
use mdrun::simulation::{Cause, Finish, Guard, Ring, Simulation};
use mdrun::{Result, core::Mat3};

use super::potentials::{Unlisted, cube, engine, liquid};
use crate::physics::subjects::{CUTOFF, KB, argon_potential};
use crate::support::brute;
use crate::support::double::pass_on;

static NEVER: AtomicBool = AtomicBool::new(false);

impl Engine for Unlisted {
    pass_on!(inner: run save rollback rebuild restore watch snapshot statistics about);

    fn listed(&mut self, receivers: &[usize]) -> Result<Listed> {
        let state = self.inner.snapshot(Fields::ALL)?;
        let mut pairs = Pairs::default();
        self.list.pairs(&state.cell, &state.positions, &mut pairs);
        let mut listed = rows(&pairs, receivers);
        if self.extra {
            listed.rows[0].push(Neighbor {
                atom: receivers[0],
                vector: Vec3::new(0.0, 1.25, 0.0),
            });
        }
        Ok(listed)
    }
}

fn rows(pairs: &Pairs, receivers: &[usize]) -> Listed {
    let neighbor = |p: usize| Neighbor {
        atom: pairs.neighbors[p] as usize,
        vector: pairs.vectors[p],
    };
    Listed {
        cutoff: CUTOFF,
        rows: (receivers.iter())
            .map(|&i| pairs.row(i).map(neighbor).collect())
            .collect(),
    }
}

fn audited(engine: Box<dyn Engine>, every: u64, end: u64) -> Finish {
    let subject = liquid(95.0 * KB);
    let mut simulation = Simulation {
        engine,
        program: Program::velocity_verlet(subject.timestep),
        limits: Limits::default(),
        reporters: Vec::new(),
        keeper: None,
        successor: None,
        guard: Guard::new(Some(Ring::new(subject.system.len())), every),
        step: 0,
        end,
    };
    simulation.run(&NEVER, &mut |_| {}).unwrap()
}

#[test]
fn a_sound_list_passes_every_audit() {
    for exhaustive in [false, true] {
        let start = liquid(95.0 * KB).start(1);
        let engine = engine(start, argon_potential(), exhaustive);
        assert_eq!(audited(engine, 1, 60), Finish::Complete);
    }
}

/// A list that is not rebuilt: the audit names a pair that brute force has and the list lacks, and the step
/// is the first at which one of the atoms chosen lacks one.
#[test]
fn a_stale_list_is_caught_with_the_pair_that_is_missing() {
    let subject = liquid(95.0 * KB);
    let Finish::Fault { cause, flight } =
        audited(Box::new(Unlisted::new(subject.start(1), 0.05)), 5, 2000)
    else {
        panic!("the run must end");
    };
    let Cause::Pairs { step, mismatch } = cause else {
        panic!("{cause:?}");
    };
    assert!(step.is_multiple_of(5) && mismatch.missing, "{mismatch:?}");
    let flight = flight.expect("recorded");
    let here = flight.frames.last().unwrap();
    assert_eq!(here.step, step);
    let pairs = brute::pairs(&subject.cell, &here.positions, CUTOFF);
    let found = (pairs.row(mismatch.atom)).find(|&p| {
        pairs.neighbors[p] as usize == mismatch.neighbor
            && (pairs.distances[p] - mismatch.distance).abs() < 1e-9
    });
    assert!(
        found.is_some() && mismatch.distance < CUTOFF,
        "{mismatch:?}"
    );
    assert!(audit::choose(step, 108, 4).contains(&mismatch.atom));
}

#[test]
fn a_pair_for_nothing_is_caught_at_the_start() {
    let mut engine = Unlisted::new(liquid(95.0 * KB).start(1), 1.0);
    engine.extra = true;
    let Finish::Fault {
        cause: Cause::Pairs { step, mismatch },
        ..
    } = audited(Box::new(engine), 100, 10)
    else {
        panic!("the run must end");
    };
    assert_eq!((step, mismatch.missing), (0, false));
    assert_eq!(mismatch.atom, mismatch.neighbor);
    assert!((mismatch.distance - 1.25).abs() < 1e-12);
}

/// Cells smaller than the range, skewed ones, slabs: one image too many or too few is seen.
#[test]
fn every_image_counts() {
    let skewed = Mat3::new(6.0, 0.0, 0.0, 2.0, 7.0, 0.0, -1.0, 3.0, 9.0);
    let cells = [
        cube(5.0),
        Cell::new(skewed, [true; 3]).unwrap(),
        Cell::new(skewed, [true, false, true]).unwrap(),
        Cell::open(),
    ];
    for cell in cells {
        let positions: Vec<Vec3> = (0..9)
            .map(|k| {
                Vec3::new(
                    1.7 * f64::from(k),
                    -11.0 + 3.1 * f64::from(k % 4),
                    0.9 * f64::from(k * k % 7),
                )
            })
            .collect();
        let pairs = brute::pairs(&cell, &positions, CUTOFF);
        let mut exhausted = Pairs::default();
        exhausted.exhaust(&cell, &positions, CUTOFF);
        assert_eq!(exhausted, pairs);
        let all: Vec<usize> = (0..9).collect();
        let whole = rows(&pairs, &all);
        assert_eq!(audit::compare(&cell, &positions, &all, &whole), None);
        for i in 0..9 {
            for k in 0..whole.rows[i].len() {
                let mut less = whole.clone();
                let gone = less.rows[i].swap_remove(k);
                let found = audit::compare(&cell, &positions, &all, &less).expect("seen");
                assert_eq!(
                    (found.atom, found.neighbor, found.missing),
                    (i, gone.atom, true)
                );
                let mut more = whole.clone();
                more.rows[i].push(gone);
                let found = audit::compare(&cell, &positions, &all, &more).expect("seen");
                assert_eq!(
                    (found.atom, found.neighbor, found.missing),
                    (i, gone.atom, false)
                );
            }
        }
    }
}

/// All atoms get their turn, none is favoured: of 40,000 draws of 4 in 100 each atom has 400 on average, and a
/// deviation of 20; the largest of 100 is under 5 of them.
#[test]
fn every_atom_has_its_turn() {
    let mut turns = [0_i32; 100];
    for step in 0..10_000 {
        let chosen = audit::choose(200 * step, 100, 4);
        assert!(!chosen.is_empty() && chosen.len() <= 4 && chosen.is_sorted());
        for atom in chosen {
            turns[atom] += 1;
        }
    }
    assert!(turns.iter().all(|n| (n - 394).abs() < 100), "{turns:?}");
    assert_eq!(audit::choose(3, 2, 4), [0, 1]);
    assert_eq!(audit::choose(7, 1000, 4), audit::choose(7, 1000, 4));
}
