//! Systems side by side: whose atoms are whose, whose noise is drawn, and that an engine takes one.

use mdrun::core::rng::{Noise, Stream};
use mdrun::core::{Cell, ChainState, Fields, Kept, MOST_LINKS, Mat3, Members, PistonState};
use mdrun::dynamics::{Local, Op, Program};
use mdrun::engine::{HostEngine, Start};

use super::bodies::run;
use super::doubles::bits;
use super::subjects::{Subject, argon, argon_potential};
use crate::support::calculators::{Calculator, for_every_calculator};

for_every_calculator!([Argon]: a_member_draws_the_noise_of_its_replica);

/// A start of a subject as the only system, of this replica.
fn start_of(subject: &Subject, replica: u32) -> Start {
    let atoms = subject.system.len();
    Start {
        members: Members::default().and(atoms, replica, subject.cell.clone()),
        ..subject.start(1)
    }
}

#[test]
fn atoms_lie_one_member_after_another() {
    let cube = Cell::new(Mat3::identity() * 9.0, [true; 3]).unwrap();
    let members = Members::alone(3, Cell::open())
        .and(0, 7, Cell::open())
        .and(5, 1, cube.clone());
    let ranges: Vec<_> = members.all().iter().map(|m| m.atoms.clone()).collect();
    assert_eq!(ranges, [0..3, 3..3, 3..8]);
    let replicas: Vec<u32> = members.all().iter().map(|m| m.replica).collect();
    assert_eq!(replicas, [0, 7, 1]);
    assert_eq!((members.atoms(), &members.all()[2].cell), (8, &cube));
    assert_eq!(Members::default().atoms(), 0);
}

#[test]
fn only_one_member_is_the_only_one() {
    let alone = Members::alone(3, Cell::open());
    assert_eq!(alone.only().unwrap().atoms, 0..3);
    let two = alone.and(3, 1, Cell::open());
    for (members, count) in [(two, "2 systems"), (Members::default(), "0 systems")] {
        let said = members.only().unwrap_err();
        assert_eq!(said.exit_code(), 2);
        assert!(said.to_string().contains(count), "{said}");
    }
}

/// What was put into a start was put into each of its members.
#[test]
fn a_later_start_keeps_what_was_put_in() {
    let subject = argon();
    let kept = Kept {
        heat: 0.5,
        work: -0.25,
        pulled: 0.75,
        response: Mat3::identity() * 0.125,
        chain: ChainState {
            positions: [0.5; MOST_LINKS],
            velocities: [-0.25; MOST_LINKS],
        },
        piston: PistonState {
            rate: 0.75,
            chain: ChainState {
                positions: [-0.125; MOST_LINKS],
                velocities: [0.0625; MOST_LINKS],
            },
        },
    };
    let start = start_of(&subject, 4).after(12, kept);
    let member = start.members.only().unwrap();
    assert_eq!((start.step, member.replica), (12, 4));
    assert_eq!(member.kept, kept);
    let mut engine = subject.engine(start);
    let o = engine.snapshot(Fields::NONE).unwrap().observables;
    assert_eq!(o.kept, kept);
}

/// Two boxes of 54 atoms in the arrays of one of 108: nothing of them is evaluated as one system.
pub fn two_halves(subject: &Subject) -> Start {
    let half = subject.system.len() / 2;
    let cell = &subject.cell;
    Start {
        members: Members::alone(half, cell.clone()).and(half, 1, cell.clone()),
        ..subject.start(1)
    }
}

#[test]
fn an_engine_takes_one_system_with_all_the_atoms() {
    let engine = |start| HostEngine::new(start, Noise::new(7), 1.0, argon_potential());
    let said = engine(two_halves(&argon())).err().unwrap();
    assert_eq!(said.exit_code(), 2);
    assert!(said.to_string().starts_with("2 systems at once"), "{said}");
    let fewer = Start {
        members: Members::alone(100, argon().cell),
        ..argon().start(1)
    };
    let said = engine(fewer).err().unwrap().to_string();
    assert_eq!(said, "100 atoms of members for 108 atoms");
}

/// Velocities after a thermostat that forgets all are the numbers of the member's replica; those of the replica that noise
/// came with are not.
fn a_member_draws_the_noise_of_its_replica(calculator: &Calculator) {
    /// Logarithms and sines of another library: some units in the last place.
    const ROUNDING: f64 = 1e-13;
    let (noise, subject) = (Noise::new(7), argon().by(calculator));
    let forget = Local::Noise {
        c: 0.0,
        kt: subject.kt,
    };
    let program = Program::of(vec![Op::Local(forget), Op::Forces]);
    for replica in [0, 3] {
        let [found, other] = [noise, noise.of_replica(9)].map(|given| {
            let mut engine = (subject.build)(start_of(&subject, replica), given, 1.0);
            run(&mut *engine, &program, 5..6);
            engine.snapshot(Fields::ALL).unwrap()
        });
        assert_eq!(bits(&found), bits(&other));
        for (i, (v, m)) in (found.velocities.iter().zip(&subject.system.masses)).enumerate() {
            let own = noise.of_replica(replica);
            let width = (subject.kt / m).sqrt();
            let wanted = own.normal3(5, i as u32, Stream::Thermostat) * width;
            assert!((v - wanted).norm() < ROUNDING * width, "{replica}, {i}");
        }
    }
}
