//! Springs, walls, forces and thermostats of groups on a GPU: what they do is what they do on the host, alone and as members of
//! a batch, and its bits do not depend on how steps are cut, nor on going back.

use mdrun::core::rng::Noise;
use mdrun::core::{Fields, Snapshot, Vec3};
use mdrun::dynamics::{Program, baoab};
use mdrun::engine::cuda::{CudaBatch, CudaEngine};
use mdrun::engine::{
    BatchEngine, BatchMember, Engine, Flags, GroupRules, HostEngine, Limits, OwnBath, Start,
};
use mdrun::forcefield::external::{
    ExternalCourse, ExternalLaw, ExternalTerm, WallPush, WallShape, act,
};
use mdrun::potential::Evaluation;

use super::gpu;
use crate::physics::bodies;
use crate::physics::nve::back;
use crate::physics::subjects::{FS, KB, argon};
use crate::support::calculators::{Numbers, lennard_jones};

const STEPS: u64 = 50;

/// Terms of every kind, some of which share atoms, and two of which move.
fn rules(positions: &[Vec3]) -> GroupRules {
    let term = |atoms: Vec<usize>, law| ExternalTerm { atoms, law };
    let course = |each| ExternalCourse { origin: 3, each };
    let middle = positions.iter().sum::<Vec3>() / positions.len() as f64;
    let farthest = positions.iter().map(|r| (r - middle).norm());
    let radius = farthest.fold(0.0, f64::max);
    let wall = |shape, push| ExternalLaw::Wall { shape, push };
    let sphere = |radius| WallShape::Sphere {
        centre: middle,
        radius,
    };
    let normal = Vec3::new(1.0, 0.5, -0.25).normalize();
    let least = positions
        .iter()
        .map(|r| normal.dot(r))
        .fold(f64::INFINITY, f64::min);
    let plane = |at| WallShape::Plane { normal, at };
    let (soft, hard) = (
        WallPush::Harmonic { constant: 0.8 },
        WallPush::NineThree {
            epsilon: 0.02,
            sigma: 2.0,
        },
    );
    let all = || (0..positions.len()).collect::<Vec<_>>();
    let held: Vec<usize> = (3..90).step_by(2).collect();
    let places = held
        .iter()
        .map(|&i| positions[i] + Vec3::new(0.05, -0.1, 0.02))
        .collect();
    let apart = (positions[7] - positions[40]).norm();
    GroupRules {
        frozen: Vec::new(),
        terms: vec![
            term(
                held,
                ExternalLaw::Places {
                    constant: 0.9,
                    places,
                    course: course(Vec3::new(1e-3, 0.0, -2e-3)),
                },
            ),
            term(
                vec![5, 9, 100],
                ExternalLaw::Centre {
                    constant: 2.0,
                    place: positions[9],
                    course: course(Vec3::zeros()),
                },
            ),
            term(
                vec![7],
                ExternalLaw::Distance {
                    constant: 1.5,
                    others: vec![40, 41, 5],
                    shift: Vec3::new(0.3, 0.0, 0.1),
                    length: apart,
                    course: ExternalCourse {
                        origin: 3,
                        each: 4e-3,
                    },
                },
            ),
            term(all(), wall(sphere(radius - 1.0), soft)),
            term(all(), wall(sphere(radius + 3.0), hard)),
            term(all(), wall(plane(least + 0.5), soft)),
            term(all(), wall(plane(least - 3.0), hard)),
            term(
                vec![11, 12],
                ExternalLaw::Force(Vec3::new(0.01, -0.02, 0.005)),
            ),
        ],
        baths: Vec::new(),
    }
}

/// A bath of its own of some atoms, and none of others.
fn with_baths(mut rules: GroupRules, atoms: usize) -> GroupRules {
    rules.baths = vec![None; atoms];
    rules.baths[20..60].fill(Some(OwnBath {
        kt: 300.0 * KB,
        friction: 4.0,
    }));
    rules.baths[60..80].fill(Some(OwnBath {
        kt: 0.0,
        friction: 0.0,
    }));
    rules
}

fn start() -> Start {
    argon().start(2).with_groups(rules(&argon().positions))
}

fn card(start: &Start) -> CudaEngine {
    CudaEngine::new(start.clone(), &lennard_jones(), Noise::new(7), 1.0, 0).unwrap()
}

fn host(start: &Start) -> HostEngine {
    HostEngine::new(start.clone(), Noise::new(7), 1.0, Box::new(lennard_jones())).unwrap()
}

/// Checks that a state is that of the host, and that its energies are those of its terms.
fn same_as_on_the_host(start: &Start, exact: &Snapshot, found: &Snapshot) {
    let worst = |a: &[Vec3], b: &[Vec3]| {
        let off = a.iter().zip(b).map(|(a, b)| (a - b).norm());
        off.fold(0.0, f64::max)
    };
    let positions = worst(&exact.positions, &found.positions);
    println!(
        "positions off by {positions:.1e} A after {} steps",
        found.step
    );
    assert!(positions < back(Numbers::RoundedPairs));
    // Forces on the card are those of pairs rounded to f32: 1e-6 of some 0.1 eV/A, and what positions are off by.
    let forces = worst(&exact.forces, &found.forces);
    assert!(forces < 1e-5, "forces off by {forces:e} eV/A");
    let (a, b) = (&exact.observables, &found.observables);
    for (name, a, b) in [
        ("potential", a.potential, b.potential),
        ("external", a.external, b.external),
        ("pulled", a.kept.pulled, b.kept.pulled),
        ("heat", a.kept.heat, b.kept.heat),
    ] {
        // Of 256 atoms, each off by a few 1e-8 eV; terms are of some 10 eV with positions that are off by 1e-6 A.
        assert!((a - b).abs() < 2e-5, "{name}: {a} {b}");
    }
    let strain = (a.strain_derivative - b.strain_derivative).amax();
    assert!(strain < 1e-3, "strain derivative off by {strain:e} eV");
    let mut none = Evaluation::zeros(start.system.len());
    let own = act(
        &start.groups.terms,
        found.step,
        (&start.system, &found.positions),
        &mut none,
    );
    let off = (own.energy - b.external).abs();
    assert!(off < 1e-10 * own.energy.abs().max(1.0), "{off:e} eV");
}

fn programs() -> [Program; 2] {
    let subject = argon();
    [
        Program::velocity_verlet(subject.timestep),
        baoab(subject.timestep, subject.kt, 1.0 / (100.0 * FS)),
    ]
}

#[test]
fn terms_and_baths_act_as_on_the_host() {
    if !gpu() {
        return;
    }
    let plain = start();
    let bathed = start().with_groups(with_baths(plain.groups.clone(), plain.system.len()));
    for (program, start) in programs().into_iter().zip([plain, bathed]) {
        let (mut host, mut card) = (host(&start), card(&start));
        for steps in [0..0, 0..STEPS] {
            bodies::run(&mut host, &program, steps.clone());
            bodies::run(&mut card, &program, steps);
            let exact = host.snapshot(Fields::ALL).unwrap();
            same_as_on_the_host(&start, &exact, &card.snapshot(Fields::ALL).unwrap());
        }
        let exact = host.snapshot(Fields::ALL).unwrap();
        assert!(
            exact.observables.kept.pulled.abs() > 1e-4,
            "something is pulled"
        );
        // Beside a member that is free.
        let member = |start: &Start| BatchMember {
            start: start.clone(),
            noise: Noise::new(7),
            program: program.clone(),
            limits: Limits::default(),
        };
        let members = vec![member(&argon().start(3)), member(&start)];
        let mut batch = CudaBatch::new(members, &lennard_jones(), 1.0, 0).unwrap();
        batch.run_beside(STEPS, &mut || {}).unwrap();
        let all = batch.request(Fields::ALL).unwrap().take().unwrap();
        same_as_on_the_host(&start, &exact, &all[1]);
        assert_eq!(
            (all[0].observables.external, all[0].observables.kept.pulled),
            (0.0, 0.0)
        );
    }
}

/// Bits of all of a state.
fn bits(state: &Snapshot) -> Vec<u64> {
    let vectors = [&state.positions, &state.velocities, &state.forces];
    let o = &state.observables;
    let numbers = [o.potential, o.external, o.kept.pulled, o.kept.heat];
    let vectors = vectors.into_iter().flatten().flat_map(|v| [v.x, v.y, v.z]);
    vectors.chain(numbers).map(f64::to_bits).collect()
}

#[test]
fn cuts_and_ways_back_change_no_bit() {
    if !gpu() {
        return;
    }
    let start = start();
    for program in programs() {
        let mut whole = card(&start);
        bodies::run(&mut whole, &program, 0..STEPS);
        let right = bits(&whole.snapshot(Fields::ALL).unwrap());
        let mut cut = card(&start);
        for steps in [0..1, 1..18, 18..18, 18..30] {
            bodies::run(&mut cut, &program, steps);
        }
        let middle = cut.snapshot(Fields::ALL).unwrap();
        cut.save().unwrap();
        bodies::run(&mut cut, &program, 30..41);
        cut.rollback().unwrap();
        cut.rebuild().unwrap();
        bodies::run(&mut cut, &program, 30..STEPS);
        assert!(
            bits(&cut.snapshot(Fields::ALL).unwrap()) == right,
            "cut, gone back and rebuilt"
        );
        let mut other = card(&start);
        other.restore(&middle).unwrap();
        bodies::run(&mut other, &program, 30..STEPS);
        assert!(
            bits(&other.snapshot(Fields::ALL).unwrap()) == right,
            "restored"
        );
    }
}

/// A member that rests keeps its state, while another goes on.
#[test]
fn a_member_at_rest_stays_what_it_is() {
    if !gpu() {
        return;
    }
    let member = |start: Start| BatchMember {
        start,
        noise: Noise::new(7),
        program: programs()[0].clone(),
        limits: Limits::default(),
    };
    let members = vec![member(start()), member(argon().start(3))];
    let mut batch = CudaBatch::new(members, &lennard_jones(), 1.0, 0).unwrap();
    batch.run_beside(20, &mut || {}).unwrap();
    let before = batch.request(Fields::ALL).unwrap().take().unwrap();
    batch.rest(0);
    batch.run_beside(20, &mut || {}).unwrap();
    let after = batch.request(Fields::ALL).unwrap().take().unwrap();
    assert!(bits(&before[0]) == bits(&after[0]));
    assert!(before[1].positions != after[1].positions);
}

/// What is beyond a limit or no number is the whole force.
#[test]
fn limits_are_those_of_the_whole_force() {
    if !gpu() {
        return;
    }
    let program = &programs()[0];
    let limits = Limits {
        force: Some(5.0),
        stop: true,
        ..Limits::default()
    };
    let pushed = |force: f64| {
        let law = ExternalLaw::Force(Vec3::new(force, 0.0, 0.0));
        let terms = vec![ExternalTerm {
            atoms: vec![17],
            law,
        }];
        argon().start(2).with_groups(GroupRules {
            terms,
            ..GroupRules::default()
        })
    };
    let mut calm = card(&pushed(1.0));
    calm.watch(limits);
    assert_eq!(calm.run(program, 0..3).unwrap().flags, Flags::default());
    let mut beyond = card(&pushed(6.0));
    beyond.watch(limits);
    let breach = beyond.run(program, 0..3).unwrap().breach.unwrap();
    assert_eq!(breach.atoms, vec![17], "{breach:?}");
    // Behind a wall of Lennard-Jones matter there is no energy that is a number.
    let shape = WallShape::Sphere {
        centre: argon().positions[17],
        radius: 1.0,
    };
    let push = WallPush::NineThree {
        epsilon: 0.02,
        sigma: 2.0,
    };
    let terms = vec![ExternalTerm {
        atoms: vec![30],
        law: ExternalLaw::Wall { shape, push },
    }];
    let mut behind = card(&argon().start(2).with_groups(GroupRules {
        terms,
        ..GroupRules::default()
    }));
    let breach = behind.run(program, 0..3).unwrap().breach.unwrap();
    assert!(
        !breach.value.is_finite() && breach.atoms == vec![30],
        "{breach:?}"
    );
}
