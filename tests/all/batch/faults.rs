//! A member at fault goes back to the state saved and rests; the others do not notice.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, System, Vec3};
use mdrun::dynamics::{self, Program};
use mdrun::engine::{
    BatchEngine, BatchMember, Engine, Flags, HostBatch, HostEngine, Limits, Start, Watched,
};
use mdrun::potential::Potential;

use super::host::threads;
use crate::physics::doubles::{Hole, bits};
use crate::physics::subjects::FS;

/// Closer than this (angstrom) nothing is a number.
const HOLE: f64 = 1.0;
const SKIN: f64 = 0.5;

fn potential() -> Box<dyn Potential> {
    Box::new(Hole {
        distance: HOLE,
        energy_only: false,
    })
}

fn program() -> Program {
    dynamics::baoab(FS, 0.001, 1.0 / (500.0 * FS))
}

/// Two heavy atoms that come `closer` by so much (angstrom) in a step.
fn member(replica: u32, closer: f64) -> BatchMember {
    let positions = vec![Vec3::zeros(), Vec3::new(3.0, 0.0, 0.0)];
    let velocity = Vec3::new(closer / FS, 0.0, 0.0);
    let system = System {
        species: vec![79, 79],
        masses: vec![1e6, 1e6],
    };
    let start = Start::new(
        system,
        Cell::open(),
        positions,
        vec![velocity, Vec3::zeros()],
    );
    BatchMember {
        start: start.of_replica(replica),
        noise: Noise::new(5),
        program: program(),
        limits: Limits::default(),
    }
}

fn batch(members: &[BatchMember]) -> HostBatch {
    HostBatch::new(members.to_vec(), SKIN, |_| Ok(potential())).unwrap()
}

/// The bits of all members.
fn all(engine: &mut HostBatch) -> Vec<Vec<u64>> {
    let snapshots = engine.snapshots(Fields::ALL).unwrap();
    snapshots.iter().map(bits).collect()
}

/// What one of them alone says of steps, and the state after them.
fn alone(member: &BatchMember, steps: u64) -> (mdrun::engine::Outcome, Vec<u64>) {
    let (start, noise) = (member.start.clone(), member.noise);
    let mut engine = HostEngine::new(start, noise, SKIN, potential()).unwrap();
    engine.watch(member.limits);
    let outcome = engine.run(&member.program, 0..steps).unwrap();
    (outcome, bits(&engine.snapshot(Fields::ALL).unwrap()))
}

/// The second of three falls into the hole near step 50, between two that go on.
#[test]
fn a_member_that_is_no_number_rests_where_it_was_saved() {
    let members = [member(0, 0.0), member(1, 0.04), member(2, 0.001)];
    for count in [1, 2, 4] {
        threads(count).install(|| {
            let mut engine = batch(&members);
            engine.run(20).unwrap();
            engine.save().unwrap();
            let saved = all(&mut engine);
            engine.run(10).unwrap();

            let outcomes = engine.run(170).unwrap();
            let (lone, _) = alone(&members[1], 200);
            assert_eq!(outcomes[1], lone);
            assert!(lone.flags.contains(Flags::NONFINITE) && (40..60).contains(&lone.step));
            assert_eq!(lone.breach.unwrap().what, Watched::Finite);
            let reached = all(&mut engine);
            assert_eq!(reached[1], saved[1]);
            for k in [0, 2] {
                assert_eq!((outcomes[k].step, outcomes[k].flags), (200, Flags::OK));
                assert_eq!(reached[k], alone(&members[k], 200).1);
            }

            // It rests: it says nothing, also once the others are saved, or back where they were.
            let outcomes = engine.run(10).unwrap();
            assert_eq!((outcomes[1].step, outcomes[1].flags), (20, Flags::OK));
            assert_eq!((outcomes[0].step, outcomes[1].breach.clone()), (210, None));
            engine.rollback().unwrap();
            assert_eq!(all(&mut engine), saved);
            engine.run(180).unwrap();
            assert_eq!(all(&mut engine), reached);
            engine.save().unwrap();
            assert_eq!(all(&mut engine)[1], saved[1]);
            let none = engine.run(0).unwrap();
            assert!(none.iter().all(|outcome| outcome.flags == Flags::OK));
        });
    }
}

/// A limit ends a member where it is to; else it is told, and the member goes on.
#[test]
fn a_broken_limit_ends_a_member_where_it_is_to() {
    for stop in [false, true] {
        let mut members = [member(0, 0.0), member(1, 0.01), member(2, 0.0)];
        members[1].limits = Limits {
            contact: Some(1.5),
            stop,
            ..Limits::default()
        };
        let mut engine = batch(&members);
        let start = all(&mut engine);
        let outcomes = engine.run(180).unwrap();
        let (lone, state) = alone(&members[1], 180);
        assert_eq!(outcomes[1], lone);
        assert!(lone.flags.contains(Flags::LIMIT) && !lone.flags.intersects(Flags::FATAL));
        let reached = all(&mut engine);
        match stop {
            true => assert_eq!(reached[1], start[1]),
            false => assert_eq!(reached[1], state),
        }
        for k in [0, 2] {
            assert_eq!(reached[k], alone(&members[k], 180).1);
        }
        let outcomes = engine.run(5).unwrap();
        assert_eq!(outcomes[1].step, if stop { 0 } else { 185 });
    }
}

/// A state that is at fault already is seen without a step, as after one.
#[test]
fn no_steps_check_the_state() {
    let mut members = [member(0, 0.0), member(1, 0.0)];
    members[1].limits = Limits {
        contact: Some(5.0),
        stop: true,
        ..Limits::default()
    };
    // Seen within the potential's range alone.
    members[1].start.positions[1].x = 1.5;
    let mut engine = batch(&members);
    let outcomes = engine.run(0).unwrap();
    assert_eq!((outcomes[0].flags, outcomes[0].step), (Flags::OK, 0));
    assert_eq!((outcomes[1].flags, outcomes[1].step), (Flags::LIMIT, 0));
    assert_eq!(engine.run(3).unwrap()[1].step, 0);
}

/// A member that is told to rest stays where it is.
#[test]
fn a_member_rests_when_it_is_told_to() {
    let members = [member(0, 0.001), member(1, 0.001), member(2, 0.001)];
    let mut engine = batch(&members);
    engine.run(7).unwrap();
    engine.rest(2);
    let reached = all(&mut engine);
    let outcomes = engine.run(9).unwrap();
    let steps: Vec<u64> = outcomes.iter().map(|outcome| outcome.step).collect();
    assert_eq!(steps, [16, 16, 7]);
    let after = all(&mut engine);
    assert_eq!(after[2], reached[2]);
    assert_eq!(after[0], alone(&members[0], 16).1);
}

/// A member whose start is no start is named.
#[test]
fn a_member_that_cannot_begin_is_named() {
    let mut members = [member(0, 0.0), member(1, 0.0)];
    members[1].start.velocities.pop();
    let refused = HostBatch::new(members.to_vec(), SKIN, |_| Ok(potential()));
    let said = refused.err().unwrap().to_string();
    assert!(said.starts_with("member 1: "), "{said}");
}
