//! Thermostats, sound and spoiled: what is found of their kinetic energies, of pairs of temperatures and of steps is what
//! physical_validation finds of the same data.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use mdrun::core::observe::kt;
use mdrun::core::rng::Noise;
use mdrun::core::{Fields, Snapshot};
use mdrun::dynamics::{self, Local, Op, Program};
use mdrun::engine::Engine;
use mdrun::validate::{Judgement, KineticTheory, Sample, Samples, judge_kinetic, log_ratio};
use serde_json::Value;

use crate::physics::subjects::{FS, KB, Subject};
use crate::recorder::potentials::liquid;
use crate::support::{python, root};

const KT: f64 = 95.0 * KB;
const COLDER: f64 = 86.0 * KB;
const TIMESTEP: f64 = 4.0 * FS;
const FRICTION: f64 = 1.0 / (200.0 * FS);
/// Every so many steps a sample, after as many steps as settle it.
const EVERY: u64 = 10;
const SETTLE: u64 = 2000;
const SAMPLES: usize = 6000;
/// All atoms are pushed, the motion of the whole too.
const FREEDOM: usize = 3 * 108;
/// Relative deviations that have to be seen: 3 % of a temperature; half of a width.
const SEEN: [f64; 2] = [0.03, 0.5];
/// Standard errors by which physical_validation may be off for a sound run (once in 370), and beyond which a fault is found.
const OFF: f64 = 3.0;

/// What is done to a state between two samples.
type Between = fn(&mut dyn Engine, &mut Snapshot);

fn nothing(_: &mut dyn Engine, _: &mut Snapshot) {}

/// Scales velocities towards the temperature of the bath (Berendsen, J. Chem. Phys. 81, 3684 (1984)), without noise.
fn steered(engine: &mut dyn Engine, state: &mut Snapshot) {
    const RATE: f64 = 0.2;
    let now = kt(state.observables.kinetic, FREEDOM);
    let factor = (1.0 + RATE * (KT / now - 1.0)).sqrt();
    state.velocities.iter_mut().for_each(|v| *v *= factor);
    engine.restore(state).unwrap();
}

fn run(subject: &Subject, program: &Program, between: Between, seed: u32) -> Samples {
    let mut engine = (subject.build)(subject.start(seed), Noise::new(seed), 1.0);
    let mut samples = Vec::new();
    let mut step = 0;
    let every = SETTLE / EVERY;
    for k in 0..every + SAMPLES as u64 {
        engine.run(program, step..step + EVERY).unwrap();
        step += EVERY;
        let mut state = engine.snapshot(Fields::PHASE).unwrap();
        if k >= every {
            samples.push(Sample {
                kinetic: state.observables.kinetic,
                potential: state.observables.potential,
                ..Sample::default()
            });
        }
        between(engine.as_mut(), &mut state);
    }
    Samples(samples)
}

/// Noise that is 8 % too large.
fn loud(timestep: f64) -> Program {
    let mut program = dynamics::baoab(timestep, KT, FRICTION);
    for op in &mut program.ops {
        if let Op::Local(Local::Noise { kt, .. }) = op {
            *kt *= 1.08 * 1.08;
        }
    }
    program
}

/// The runs, by name; those from the third on have a fault.
static RUNS: LazyLock<Vec<(&'static str, Samples)>> = LazyLock::new(|| {
    let subject = liquid(KT);
    let sound = |kt| dynamics::baoab(TIMESTEP, kt, FRICTION);
    let nve = Program::velocity_verlet(TIMESTEP);
    let own = run(&subject, &sound(KT), nothing, 1);
    let mut hotter = own.clone();
    hotter.0.iter_mut().for_each(|s| s.kinetic *= 1.03);
    vec![
        ("sound", own),
        ("colder", run(&subject, &sound(COLDER), nothing, 2)),
        ("kinetic", hotter),
        ("loud", run(&subject, &loud(TIMESTEP), nothing, 3)),
        ("steered", run(&subject, &nve, steered, 4)),
    ]
});

fn samples(name: &str) -> &'static Samples {
    let (_, found) = RUNS.iter().find(|(n, _)| *n == name).unwrap();
    found
}

fn judged(name: &str, kt: f64) -> [Judgement; 2] {
    let theory = KineticTheory::exact(kt, FREEDOM);
    judge_kinetic(&theory, samples(name), SEEN).map(|line| {
        println!(
            "{name}: {:9} {} {}",
            line.judgement.word(),
            line.key,
            line.found
        );
        line.judgement
    })
}

#[test]
fn sound_thermostats_pass() {
    assert_eq!(judged("sound", KT), [Judgement::Pass; 2]);
    assert_eq!(judged("colder", COLDER), [Judgement::Pass; 2]);
}

#[test]
fn three_hundredths_too_much_fail() {
    assert_eq!(judged("kinetic", KT)[0], Judgement::Fail);
}

#[test]
fn noise_of_the_wrong_size_fails() {
    assert_eq!(judged("loud", KT)[0], Judgement::Fail);
}

#[test]
fn a_bath_that_only_steers_fails() {
    assert_eq!(judged("steered", KT)[1], Judgement::Fail);
}

/// The ratio of the slope of the logarithm of a ratio to what it must be, and its error.
fn relative_slope(first: &str, second: &str) -> [f64; 2] {
    let [a, b] = [first, second].map(|name| samples(name).each(|s| s.potential));
    let found = log_ratio(&a, &b).unwrap();
    let slope = found.slope.scaled(1.0 / (1.0 / KT - 1.0 / COLDER));
    println!("{first}, {second}: {}", slope.text());
    [slope.value, slope.error]
}

#[test]
fn two_temperatures_have_boltzmanns_ratio() {
    let [slope, error] = relative_slope("sound", "colder");
    assert!(error < 0.2 && (slope - 1.0).abs() < 4.0 * error);
    // Noise that is too large makes another temperature of it.
    let [slope, error] = relative_slope("loud", "colder");
    assert!((slope - 1.0).abs() > 4.0 * error);
}

/// Runs at constant energy with the step, its half and its quarter: the conserved quantity of each.
fn convergence(program: fn(f64) -> Program) -> Vec<Vec<f64>> {
    let subject = liquid(KT);
    let parts = [1, 2, 4];
    let series = parts.map(|part: u64| {
        let program = program(TIMESTEP / part as f64);
        let mut engine = subject.engine(subject.start(5));
        let steps = part * 500;
        let values = (0..steps).map(|step| {
            engine.run(&program, step..step + 1).unwrap();
            engine.snapshot(Fields::NONE).unwrap().observables.total()
        });
        values.collect()
    });
    series.to_vec()
}

fn first_order(timestep: f64) -> Program {
    Program::of(vec![
        Op::Local(Local::Kick(timestep)),
        Op::Local(Local::Drift(timestep)),
        Op::Forces,
    ])
}

fn write_column(folder: &Path, name: &str, columns: &[Vec<f64>]) {
    let mut text = String::new();
    for k in 0..columns[0].len() {
        let row: Vec<String> = columns.iter().map(|c| format!("{:.12e}", c[k])).collect();
        writeln!(text, "{}", row.join(",")).unwrap();
    }
    std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
}

/// What physical_validation says of the same numbers.
fn theirs(python: &Path) -> Value {
    let folder = tempfile::tempdir().unwrap();
    for (name, samples) in RUNS.iter() {
        let columns = [samples.each(|s| s.kinetic), samples.each(|s| s.potential)];
        write_column(folder.path(), name, &columns);
    }
    for (name, program) in [
        ("second", Program::velocity_verlet as fn(f64) -> Program),
        ("first", first_order),
    ] {
        for (k, values) in convergence(program).into_iter().enumerate() {
            write_column(folder.path(), &format!("{name}_{k}"), &[values]);
        }
    }
    let numbers = [KT / KB, COLDER / KB, TIMESTEP / FS].map(|x| x.to_string());
    let output = Command::new(python)
        .arg(root().join("tests/python/validated.py"))
        .arg(folder.path())
        .args(numbers)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn physical_validation_judges_alike() {
    let python = match python::environment() {
        Ok(python) => python,
        Err(why) => return python::skip(why),
    };
    let theirs = theirs(&python);
    println!("{theirs}");
    let sigma = |name: &str, k: usize| theirs[name][k].as_f64().unwrap().abs();
    for (name, kt) in [("sound", KT), ("colder", COLDER)] {
        assert!(sigma(name, 0) < OFF && sigma(name, 1) < OFF, "{name}");
        assert_eq!(judged(name, kt), [Judgement::Pass; 2]);
    }
    for name in ["kinetic", "loud"] {
        assert!(sigma(name, 0) > OFF, "{name}");
        assert_eq!(judged(name, KT)[0], Judgement::Fail);
    }
    assert!(sigma("steered", 1) > OFF);
    assert_eq!(judged("steered", KT)[1], Judgement::Fail);
    // The pair that is sound. Of the one with too much noise, whose fault kinetic energies show by far, fewer samples are left
    // of theirs: ends of distributions are cut off.
    let [slope, error] = relative_slope("sound", "colder");
    assert!(theirs["pair"].as_f64().unwrap().abs() < OFF);
    assert!((slope - 1.0).abs() < 4.0 * error);
    // How far the ratio of fluctuations is from that of the squares of the steps: half of it for an integrator of first order.
    assert!(theirs["second"].as_f64().unwrap() < 0.05);
    assert!(theirs["first"].as_f64().unwrap() > 0.3);
}
