//! Springs, walls and forces: their forces are slopes of their energies, moving springs do the work that is told, and what they
//! hold has the energy and the frequency of the closed form.

use mdrun::core::observe::Thermometer;
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Mat3, Observables, System, Vec3};
use mdrun::diagnose::slope::{self, derivative};
use mdrun::dynamics::{Chain, Ensemble as _, Mtk, NoseHoover, Program, SuzukiYoshida, baoab};
use mdrun::engine::{Engine as _, GroupRules, HostEngine, Start};
use mdrun::forcefield::external::{
    ExternalCourse, ExternalLaw, ExternalSums, ExternalTerm, WallPush, WallShape, act,
};
use mdrun::potential::Evaluation;
use mdrun::units::BAR;

use crate::physics::bodies::{self, SIGMAS};
use crate::physics::doubles::Free;
use crate::physics::statistics::{deviation, mean, variance};
use crate::physics::subjects::{FS, KB, argon};
use crate::support::atoms::Random;

const ATOMS: usize = 6;
/// Longest step (angstrom) of a difference, and what the terms' energies, of some eV, are rounded to.
const WIDEST: f64 = 1e-3;
const ROUNDING: f64 = 1e-14;

fn system() -> System {
    System::of_standard_masses(&[8, 1, 1, 6, 7, 16])
}

fn still<T>(each: T) -> ExternalCourse<T> {
    ExternalCourse { origin: 3, each }
}

/// One of each kind, on positions within some 2 A of the origin.
fn terms(random: &mut Random) -> Vec<(&'static str, ExternalTerm)> {
    let mut vector = || random.vector();
    let places = vec![vector(), vector(), vector()];
    let course = still(0.01 * vector());
    let term = |atoms: &[usize], law| ExternalTerm {
        atoms: atoms.to_vec(),
        law,
    };
    let wall = |shape, push| term(&[0, 2, 3, 5], ExternalLaw::Wall { shape, push });
    let normal = Vec3::new(1.0, -2.0, 0.5).normalize();
    let soft = WallPush::Harmonic { constant: 1.7 };
    let hard = WallPush::NineThree {
        epsilon: 0.02,
        sigma: 2.5,
    };
    let plane = |at| WallShape::Plane { normal, at };
    let centre = Vec3::new(0.1, 0.2, -0.3);
    let sphere = |radius| WallShape::Sphere { centre, radius };
    vec![
        (
            "places",
            term(
                &[1, 2, 4],
                ExternalLaw::Places {
                    constant: 2.3,
                    places,
                    course,
                },
            ),
        ),
        (
            "centre",
            term(
                &[0, 3],
                ExternalLaw::Centre {
                    constant: 0.7,
                    place: vector(),
                    course,
                },
            ),
        ),
        (
            "distance",
            term(
                &[0, 1, 5],
                ExternalLaw::Distance {
                    constant: 1.1,
                    others: vec![2, 4],
                    shift: Vec3::new(4.0, 0.5, 0.0),
                    length: 2.0,
                    course: still(0.02),
                },
            ),
        ),
        // Some atoms stand behind it, some ahead.
        ("plane, harmonic", wall(plane(0.1), soft)),
        ("plane, 9-3", wall(plane(-4.0), hard)),
        ("sphere, harmonic", wall(sphere(0.6), soft)),
        ("sphere, 9-3", wall(sphere(5.0), hard)),
        ("force", term(&[1, 3], ExternalLaw::Force(0.3 * vector()))),
    ]
}

fn positions(random: &mut Random) -> Vec<Vec3> {
    (0..ATOMS).map(|_| random.vector()).collect()
}

fn evaluate(term: &ExternalTerm, step: u64, positions: &[Vec3]) -> (ExternalSums, Evaluation) {
    let mut out = Evaluation::zeros(ATOMS);
    let terms = std::slice::from_ref(term);
    let sums = act(terms, step, (&system(), positions), &mut out);
    assert_eq!(sums.energy, out.energy);
    (sums, out)
}

/// The slope of an energy, and its error.
fn slope_of(mut energy: impl FnMut(f64) -> f64) -> slope::Derivative {
    let mut energy = |x: f64| Ok(energy(x));
    derivative(&mut energy, WIDEST, (ROUNDING, 1e-10)).unwrap()
}

#[test]
fn forces_are_slopes() {
    let mut random = Random::new(5);
    for (name, term) in terms(&mut random) {
        term.check(ATOMS).unwrap();
        let r = positions(&mut random);
        let (_, found) = evaluate(&term, 11, &r);
        let mut most = 0.0_f64;
        for i in 0..ATOMS {
            for a in 0..3 {
                let slope = slope_of(|x| {
                    let mut moved = r.clone();
                    moved[i][a] += x;
                    evaluate(&term, 11, &moved).0.energy
                });
                let off = (slope.value + found.forces[i][a]).abs();
                assert!(off <= slope::TOLERANCE, "{name}, atom {i}: {off}");
                most = most.max(found.forces[i][a].abs());
            }
        }
        // A term that does nothing would agree with itself.
        assert!(most > 1e-3, "{name}: {most}");
    }
}

/// A spring between two centres has a strain derivative, with which its image moves; what hangs on places in space has none.
#[test]
fn the_strain_derivative_of_a_distance_is_a_slope() {
    let mut random = Random::new(6);
    for (name, term) in terms(&mut random) {
        let r = positions(&mut random);
        let (_, found) = evaluate(&term, 3, &r);
        let ExternalLaw::Distance { shift, .. } = term.law else {
            assert_eq!(found.strain_derivative, Mat3::zeros(), "{name}");
            continue;
        };
        for (a, b) in (0..9).map(|k| (k / 3, k % 3)) {
            let slope = slope_of(|x| {
                let mut strain = Mat3::identity();
                // dE/d(strain)[a][b] is of r_b growing with r_a.
                strain[(b, a)] += x;
                let moved: Vec<Vec3> = r.iter().map(|r| strain * r).collect();
                let mut term = term.clone();
                if let ExternalLaw::Distance { shift: moves, .. } = &mut term.law {
                    *moves = strain * shift;
                }
                evaluate(&term, 3, &moved).0.energy
            });
            let off = (slope.value - found.strain_derivative[(a, b)]).abs();
            assert!(off <= slope::TOLERANCE, "{name} {a}{b}: {off}");
        }
    }
}

/// The work of a step is the derivative with respect to its number: energies are of second order in that, and their central
/// difference is it to rounding.
#[test]
fn the_work_of_a_step_is_a_difference_of_energies() {
    let mut random = Random::new(7);
    for (name, term) in terms(&mut random) {
        let r = positions(&mut random);
        let [before, now, after] = [10, 11, 12].map(|step| evaluate(&term, step, &r).0);
        let wanted = 0.5 * (after.energy - before.energy);
        assert!(
            (now.work - wanted).abs() < 1e-13,
            "{name}: {} {wanted}",
            now.work
        );
        assert_eq!(term.is_moving(), wanted != 0.0, "{name}");
        // Finer steps lead the same way, and do as much less in each.
        let fine = term.clone().refined(11, 4);
        let later = evaluate(&fine, 15, &r).0;
        assert!((later.energy - after.energy).abs() < 1e-13, "{name}");
        assert!((4.0 * later.work - after.work).abs() < 1e-13, "{name}");
    }
}

/// Lowest where sigma / z is (5/2)^(1/6), -sqrt(10) / 3 epsilon there, zero at (2/15)^(1/6) sigma, as LAMMPS has `fix wall/lj93`.
#[test]
fn the_wall_of_lennard_jones_has_its_landmarks() {
    let (epsilon, sigma) = (0.3, 2.7);
    let wall = WallPush::NineThree { epsilon, sigma };
    let (energy, force) = wall.of(sigma * 0.4_f64.powf(1.0 / 6.0));
    assert!((energy + epsilon * 10.0_f64.sqrt() / 3.0).abs() < 1e-14);
    assert!(force.abs() < 1e-14);
    let (energy, force) = wall.of(sigma * (2.0_f64 / 15.0).powf(1.0 / 6.0));
    assert!(energy.abs() < 1e-14 && force > 0.0);
    assert_eq!(wall.of(0.0), (f64::INFINITY, 0.0));
    assert_eq!(wall.of(-1.0), (f64::INFINITY, 0.0));
    let soft = WallPush::Harmonic { constant: 2.0 };
    assert_eq!([soft.of(0.5), soft.of(-0.5)], [(0.0, 0.0), (0.25, 1.0)]);
}

/// Free atoms, each on a spring.
fn on_springs(constant: f64, course: ExternalCourse<Vec3>, velocity: Vec3) -> HostEngine {
    let system = System {
        species: vec![18; 2],
        masses: vec![39.948, 20.18],
    };
    let positions = vec![Vec3::zeros(), Vec3::x() * 5.0];
    let rules = GroupRules {
        terms: vec![ExternalTerm {
            atoms: vec![0, 1],
            law: ExternalLaw::Places {
                constant,
                places: positions.clone(),
                course,
            },
        }],
        ..GroupRules::default()
    };
    let start = Start::new(system, Cell::open(), positions, vec![velocity; 2]);
    let start = start.with_groups(rules);
    HostEngine::new(start, Noise::new(3), 1.0, Box::new(Free)).unwrap()
}

/// An atom at rest whose spring sets out with a speed v: x = v t - v / w sin(w t), and the work is that of the spring,
/// m v^2 (1 - cos(w t)).
#[test]
fn a_pulled_atom_follows_the_closed_form() {
    const CONSTANT: f64 = 0.8;
    let speed = 0.02;
    let errors = [4.0, 2.0].map(|fs| {
        let timestep = fs * FS;
        let course = ExternalCourse {
            origin: 0,
            each: Vec3::y() * (speed * timestep),
        };
        let mut engine = on_springs(CONSTANT, course, Vec3::zeros());
        let (mut worst, mut off) = (0.0_f64, 0.0_f64);
        let steps = (2000.0 * FS / timestep).round() as u64;
        for step in 1..=steps {
            bodies::run(
                &mut engine,
                &Program::velocity_verlet(timestep),
                step - 1..step,
            );
            let state = engine.snapshot(Fields::ALL).unwrap();
            let time = step as f64 * timestep;
            let mut work = 0.0;
            for (r, mass) in state.positions.iter().zip([39.948_f64, 20.18]) {
                let w = (CONSTANT / mass).sqrt();
                worst = worst.max((r.y - speed * (time - (w * time).sin() / w)).abs());
                work += mass * speed * speed * (1.0 - (w * time).cos());
            }
            let o = &state.observables;
            assert!((o.external - o.potential).abs() < 1e-15);
            off = off.max((o.kept.pulled - work).abs());
        }
        [worst, off]
    });
    println!("position and work off by {errors:?}");
    for k in 0..2 {
        let ratio = errors[0][k] / errors[1][k];
        // Second order in the step.
        assert!((3.6..4.4).contains(&ratio), "{ratio}");
    }
}

/// Constant energy, chains of thermostats, and a piston.
fn programs(timestep: f64) -> [Program; 3] {
    let subject = argon();
    // The motion of the whole has no part in it.
    let degrees = 3 * subject.system.len() - 3;
    let thermometer = Thermometer::of_all(degrees);
    let chain = |relaxation| Chain {
        relaxation,
        links: 3,
        steps: 1,
        scheme: SuzukiYoshida::Three,
    };
    let chains = NoseHoover {
        kt: subject.kt,
        chain: chain(100.0 * FS),
    };
    let piston = Mtk {
        kt: subject.kt,
        pressure: 500.0 * BAR,
        chain: chain(100.0 * FS),
        barostat_relaxation: 500.0 * FS,
    };
    [
        Program::velocity_verlet(timestep),
        chains.program(timestep, &thermometer),
        piston.program(timestep, &thermometer),
    ]
}

/// Energy less heat and work of a spring that drags atoms through liquid argon: flat, and of second order in the step.
#[test]
fn energy_less_work_is_conserved_while_a_spring_pulls() {
    (0..3).for_each(energy_less_work_is_conserved);
}

fn energy_less_work_is_conserved(which: usize) {
    let subject = argon();
    let centre = |atoms: &[usize]| {
        let masses = &subject.system.masses;
        let weighted = atoms.iter().map(|&i| masses[i] * subject.positions[i]);
        weighted.sum::<Vec3>() / atoms.iter().map(|&i| masses[i]).sum::<f64>()
    };
    let apart = (centre(&[60, 61]) - centre(&[5, 17, 40])).norm();
    let fluctuation = |timestep: f64, steps: u64| {
        let rules = GroupRules {
            terms: vec![ExternalTerm {
                atoms: vec![5, 17, 40],
                law: ExternalLaw::Distance {
                    constant: 0.5,
                    others: vec![60, 61],
                    shift: Vec3::zeros(),
                    length: apart,
                    // 3 A in 2 ps.
                    course: ExternalCourse {
                        origin: 0,
                        each: 3.0 / 2000.0 * timestep / FS,
                    },
                },
            }],
            ..GroupRules::default()
        };
        let mut engine = subject.engine(subject.start(1).with_groups(rules));
        let program = programs(timestep)[which].clone();
        let moments = bodies::observe(engine.as_mut(), &program, steps, 1);
        let conserved: Vec<f64> = moments.iter().map(Observables::conserved).collect();
        let (half, last) = (conserved.len() / 2, moments[moments.len() - 1]);
        let drift = mean(&conserved[half..]) - mean(&conserved[..half]);
        // The momentum is what it was: the spring pulls both ways.
        assert!(last.momentum.norm() < 1e-9);
        (variance(&conserved).sqrt(), drift, last.kept.pulled)
    };
    let (whole, drift, work) = fluctuation(4.0 * FS, 500);
    let (half, ..) = fluctuation(2.0 * FS, 1000);
    println!(
        "work {work:.4} eV; energy less work: {whole:.2e} eV, ratio {:.2}; drift {drift:.2e} eV",
        whole / half
    );
    assert!((3.0..5.5).contains(&(whole / half)));
    // What is not told of the work would be seen at once.
    assert!(
        work.abs() > 10.0 * whole && drift.abs() < 3.0 * whole,
        "{work} {whole} {drift}"
    );
}

/// Each degree of freedom on a spring has kT / 2 of its energy.
#[test]
fn springs_have_their_share_of_the_bath() {
    let kt = 100.0 * KB;
    let rest = ExternalCourse {
        origin: 0,
        each: Vec3::zeros(),
    };
    let mut engine = on_springs(0.8, rest, Vec3::zeros());
    let program = baoab(10.0 * FS, kt, 1.0 / (100.0 * FS));
    bodies::run(&mut engine, &program, 1 << 40..(1 << 40) + 2_000);
    let moments = bodies::observe(&mut engine, &program, 400_000, 20);
    let external: Vec<f64> = moments.iter().map(|o| o.external / kt).collect();
    let off = deviation(&external, 3.0);
    println!("{:.4} kT of 3 ({off:+.2} standard errors)", mean(&external));
    assert!(off.abs() < SIGMAS);
}

/// A step back in time by a restored state leads on to the same bits, with the spring where it was then.
#[test]
fn a_restored_state_has_its_springs_where_they_were() {
    let course = ExternalCourse {
        origin: 0,
        each: Vec3::new(1e-3, -2e-3, 5e-4),
    };
    let program = baoab(5.0 * FS, 100.0 * KB, 1.0 / (100.0 * FS));
    let mut engine = on_springs(0.8, course, Vec3::x() * 0.01);
    bodies::run(&mut engine, &program, 0..40);
    let middle = engine.snapshot(Fields::ALL).unwrap();
    bodies::run(&mut engine, &program, 40..90);
    let last = engine.snapshot(Fields::ALL).unwrap();
    engine.restore(&middle).unwrap();
    assert_eq!(engine.snapshot(Fields::ALL).unwrap(), middle);
    bodies::run(&mut engine, &program, 40..90);
    assert_eq!(engine.snapshot(Fields::ALL).unwrap(), last);
}

#[test]
fn terms_of_atoms_that_are_not_there_are_refused() {
    let mut random = Random::new(8);
    for (name, mut term) in terms(&mut random) {
        assert!(term.check(ATOMS).is_ok(), "{name}");
        term.atoms[0] = ATOMS;
        assert!(term.check(ATOMS).is_err(), "{name}");
        term.atoms.clear();
        assert!(term.check(ATOMS).is_err(), "{name}");
    }
}
