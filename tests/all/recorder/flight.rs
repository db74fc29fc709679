//! What is recorded of the steps before a fault.

use std::sync::atomic::AtomicBool;

use mdrun::core::{Cell, Fields, Snapshot};
use mdrun::dynamics;
use mdrun::engine::Limits;
use mdrun::report::names;
use mdrun::report::recorder::{self, FaultKind, FlightContext};
use mdrun::report::{EnergyRecord, checkpoint};
use mdrun::simulation::{Cause, Finish, Flight, Guard, Ring, Simulation};

use super::potentials::{engine, liquid};
use crate::physics::doubles::{Recorder, bits};
use crate::physics::subjects::{FS, KB, argon_potential};

static NEVER: AtomicBool = AtomicBool::new(false);

/// Argon that a thermostat heats, with a limit on the temperature that breaks some time later.
fn simulation(limits: Limits, record: bool) -> Simulation {
    let subject = liquid(20.0 * KB);
    let ring = record.then(|| Ring::new(108));
    Simulation {
        engine: engine(subject.start(1), argon_potential(), false),
        program: dynamics::baoab(subject.timestep, 95.0 * KB, 1.0 / (3000.0 * FS)),
        limits,
        reporters: Vec::new(),
        keeper: None,
        successor: None,
        guard: Guard::new(ring, 0),
        step: 0,
        end: 2000,
    }
}

/// Breaks at 60 K, which the heating takes a few hundred steps to.
fn hot(stop: bool) -> Limits {
    Limits {
        kinetic: Some(0.5 * 60.0 * KB * 321.0),
        stop,
        ..Limits::default()
    }
}

fn broken() -> (u64, Box<Flight>) {
    match simulation(hot(true), true)
        .run(&NEVER, &mut |_| {})
        .unwrap()
    {
        Finish::Fault {
            cause: Cause::Breach(breach),
            flight: Some(flight),
        } => (breach.step, flight),
        other => panic!("{other:?}"),
    }
}

/// The frames are those of a run that looks at every step, bit for bit; the state before them leads to them.
#[test]
fn frames_are_the_very_steps_before_the_fault() {
    let (step, flight) = broken();
    assert!(
        step > 300,
        "{step}: the ring has more than one state by then"
    );
    assert_eq!(flight.frames.len(), 64);
    let mut watched = simulation(Limits::default(), false);
    watched.end = step;
    let (recorder, seen) = Recorder::new(1);
    watched.reporters.push(Box::new(recorder));
    watched.run(&NEVER, &mut |_| {}).unwrap();
    let seen = seen.lock().unwrap();
    for frame in flight.frames.iter().chain([&flight.before]) {
        let same = |s: &Snapshot| match frame.forces.is_empty() {
            true => s.positions == frame.positions && s.velocities == frame.velocities,
            false => bits(s) == bits(frame),
        };
        assert!(
            same(&seen.snapshots[frame.step as usize]),
            "step {}",
            frame.step
        );
    }
    assert_eq!(flight.frames.last().unwrap().step, step);
    assert!(flight.before.step + 63 < step && flight.before.step + 264 > step);
}

/// With a limit that warns, the record is made at once, and the run goes on as if nothing had been done.
#[test]
fn recording_leaves_no_trace_in_the_run() {
    let end = |limits: Limits, record: bool| {
        let mut simulation = simulation(limits, record);
        let mut flights = 0;
        let finish = simulation.run(&NEVER, &mut |warning| {
            if let mdrun::simulation::Warning::Fault {
                flight: Some(_), ..
            } = warning
            {
                flights += 1;
            }
        });
        assert_eq!(finish.unwrap(), Finish::Complete);
        (
            bits(&simulation.engine.snapshot(Fields::ALL).unwrap()),
            flights,
        )
    };
    let (plain, none) = end(Limits::default(), false);
    let (recorded, one) = end(hot(false), true);
    assert_eq!((none, one), (0, 1));
    assert!(plain == recorded);
}

/// What is written reads back as the same bits: the frames as text, the state as a checkpoint from which the
/// run comes through all of the frames.
#[test]
fn the_files_lead_to_the_fault_again() {
    let (step, flight) = broken();
    let folder = tempfile::tempdir().unwrap();
    let subject = liquid(20.0 * KB);
    let about = FlightContext {
        system: &subject.system,
        cause: "too hot".into(),
        energies: EnergyRecord::new(108, 321),
        stretch: 1,
        identity: Default::default(),
        stage: None,
    };
    let recorded = recorder::write(folder.path(), &flight, &flight.before, &about).unwrap();
    assert_eq!(
        (
            recorded.kind,
            recorded.step,
            recorded.frames,
            recorded.last_step
        ),
        (FaultKind::Temperature, step, 64, step)
    );
    let read = serde_json::to_string(&recorded).unwrap();
    assert_eq!(
        serde_json::from_str::<recorder::Recorded>(&read).unwrap(),
        recorded
    );

    let state = checkpoint::read(&folder.path().join(names::FLIGHT_STATE)).unwrap();
    assert_eq!(state.step, recorded.state_step);
    let mut again = simulation(Limits::default(), false);
    again.engine = engine(state.start(), argon_potential(), false);
    again.step = state.step;
    again.end = step;
    let (recorder, seen) = Recorder::new(1);
    again.reporters.push(Box::new(recorder));
    again.run(&NEVER, &mut |_| {}).unwrap();
    let seen = seen.lock().unwrap();

    let text = std::fs::read_to_string(folder.path().join(names::FLIGHT)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 64 * 110);
    for (k, block) in lines.chunks(110).enumerate() {
        let here = &seen.snapshots[(recorded.first_step - state.step) as usize + k];
        assert!(
            block[1].contains(&format!(" step={} ", here.step)),
            "{}",
            block[1]
        );
        let conserved = block[1].split_once("conserved=").unwrap().1;
        let conserved: f64 = conserved.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(conserved.to_bits(), here.observables.conserved().to_bits());
        for (i, line) in block[2..].iter().enumerate() {
            let numbers: Vec<f64> = line
                .split_whitespace()
                .skip(1)
                .map(|word| word.parse().unwrap())
                .collect();
            // pos, velo, momenta, masses, velo_internal, forces.
            let at = |k: usize| &numbers[k..k + 3];
            assert_eq!(at(0), here.positions[i].as_slice());
            assert_eq!(at(10), here.velocities[i].as_slice());
            assert_eq!(at(13), here.forces[i].as_slice());
        }
    }
}

/// However long the run, few states are kept: the newest, and older ones ever more apart, so that there is one
/// about as far back as one asks for.
#[test]
fn states_thin_out_with_their_age() {
    let mut ring = Ring::new(108);
    let mut simulation = simulation(Limits::default(), false);
    let mut state = simulation.engine.snapshot(Fields::ALL).unwrap();
    let mut step = ring.next(37);
    assert_eq!(step, 37, "the start is kept");
    let (vectors, periodic) = (*state.cell.vectors(), state.cell.periodic());
    let cell_at = |step: u64| Cell::new(vectors * (1.0 + 1e-7 * step as f64), periodic).unwrap();
    while step < 2_000_000 {
        state.step = step;
        state.cell = cell_at(step);
        ring.push(&state);
        step = ring.next(step + 1);
    }
    // A barostat changes the cell: each state has its own.
    assert!(ring.states().iter().all(|s| s.cell == cell_at(s.step)));
    let steps: Vec<u64> = ring.states().iter().map(|s| s.step).collect();
    assert!(
        steps.len() <= 32 && steps.is_sorted() && steps[0] == 37,
        "{steps:?}"
    );
    let now = *steps.last().unwrap();
    assert_eq!(now, 1_999_800);
    for back in [1_000, 10_000, 100_000, 1_000_000] {
        let found = now - ring.before(now - back).unwrap().step;
        assert!(
            (back..=2 * back).contains(&found),
            "{back}: {found} of {steps:?}"
        );
    }
    assert!(ring.states().iter().all(|s| s.forces.is_empty()));
    // A system too large for the memory set aside: the newest, the oldest and one between.
    let mut ring = Ring::new(1 << 30);
    for step in 0..100 {
        state.step = 50 * step;
        ring.push(&state);
    }
    assert_eq!(ring.states().len(), 3);
    assert_eq!(
        ring.before(4949).unwrap().step,
        4900.min(ring.before(4949).unwrap().step)
    );
}
