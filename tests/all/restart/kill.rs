//! Runs that are killed at random moments and taken up again, until they come to their end: what they leave is to
//! the byte what a run leaves that nobody disturbed.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use mdrun::core::rng::philox;

use super::runs::{self, Bench, Dynamics, Subject, assert_same, hashes};

/// Kills of each of the ten kinds of runs: 130 in all. Ten times as many with MDRUN_VALIDATE=1.
const KILLS: u32 = 13;
/// A run that was killed so often without coming to its end would never come there.
const MOST_SITTINGS: u32 = 200;
/// Kills come within this part of the time that an undisturbed run takes, so that many come before its
/// end.
const WITHIN: f64 = 0.9;
/// Each further sitting of a run may last so many times as long: one that others slow down comes to its end too.
const PATIENCE: f64 = 1.03;
/// Steps of a run.
const STEPS: u64 = 70;

fn kills() -> u32 {
    match std::env::var_os("MDRUN_VALIDATE") {
        Some(_) => 10 * KILLS,
        None => KILLS,
    }
}

/// Moments to kill at, the same ones every time.
pub struct Moments {
    seed: u32,
    count: u32,
    longest: Duration,
}

impl Moments {
    /// Moments within the time that an undisturbed run takes.
    pub fn within(whole: Duration, seed: u32) -> Self {
        Self {
            seed,
            count: 0,
            longest: whole.mul_f64(WITHIN),
        }
    }

    pub fn next(&mut self) -> Duration {
        self.count += 1;
        let [word, ..] = philox([self.seed, self.count, 0, 0], [0x6b69, 0x6c6c]);
        self.longest.mul_f64(f64::from(word) / 4_294_967_296.0)
    }
}

/// Waits for the process to end, but no longer than `moment`; then kills it. Whether it was killed.
pub fn kill_after(child: &mut Child, moment: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < moment {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    // By the signal: it had not ended by itself in the meantime.
    child.wait().unwrap().code().is_none()
}

/// Waits for a run to have written a file, or to have ended.
fn wait_for(file: &Path, child: &mut Child) {
    while !file.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Runs into `run` with one kill after another; returns the number of kills before it was complete. Where a run
/// prepares itself for long, behind the first kill moments count from the `first` file that it writes.
fn disturbed(
    bench: &Bench,
    run: &Path,
    first: Option<&str>,
    moments: &mut Moments,
) -> (u32, String) {
    let mut story = String::new();
    for kills in 0..MOST_SITTINGS {
        let mut child = bench.start(run, &["--resume"]);
        if let Some(file) = first.filter(|_| kills > 0) {
            wait_for(&run.join(file), &mut child);
        }
        let moment = moments.next().mul_f64(PATIENCE.powi(kills as i32));
        let killed = kill_after(&mut child, moment);
        let output = child.wait_with_output().unwrap();
        story += &format!("\nafter {moment:?}: {}", runs::stderr(&output).trim());
        if !killed {
            assert!(output.status.success(), "{story}");
            assert_eq!(runs::status(run), "complete", "{story}");
            return (kills, story);
        }
    }
    panic!("killed {MOST_SITTINGS} times, and not at its end: {story}");
}

/// Runs that are killed so often, one after another, leave what an undisturbed one leaves.
pub fn survives(bench: &Bench, seed: u32, kills: u32) {
    survives_behind(bench, None, seed, kills);
}

/// The same for runs that prepare themselves for long before they write their `first` file: killed only in their
/// preparation, which begins anew every time, they would never come to their end.
pub fn survives_behind(bench: &Bench, first: Option<&str>, seed: u32, kills: u32) {
    let whole = bench.at("whole");
    let mut child = bench.start(&whole, &["-q"]);
    if let Some(file) = first {
        wait_for(&whole.join(file), &mut child);
    }
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", runs::stderr(&output));
    let mut moments = Moments::within(began.elapsed(), seed);
    let right = hashes(&whole);
    let mut killed = 0;
    for n in 0.. {
        let run = bench.at(&format!("run{n}"));
        let (kills_here, story) = disturbed(bench, &run, first, &mut moments);
        assert_same(&run, &right, &story);
        killed += kills_here;
        if killed >= kills {
            return;
        }
    }
}

fn cpu(subject: Subject, dynamics: Dynamics, seed: u32) {
    let one_thread = "[device]\nkind = \"cpu\"\nthreads = 1\n";
    survives(
        &Bench::new(subject, dynamics, STEPS, one_thread),
        seed,
        kills(),
    );
}

#[test]
fn argon_at_constant_energy_survives_kills() {
    cpu(Subject::Argon, Dynamics::Nve, 1);
}

#[test]
fn argon_with_a_thermostat_survives_kills() {
    cpu(Subject::Argon, Dynamics::Langevin, 2);
}

#[test]
fn ethanol_at_constant_energy_survives_kills() {
    cpu(Subject::Ethanol, Dynamics::Nve, 3);
}

#[test]
fn ethanol_with_a_thermostat_survives_kills() {
    cpu(Subject::Ethanol, Dynamics::Langevin, 4);
}

#[test]
fn argon_with_velocity_rescaling_survives_kills() {
    cpu(Subject::Argon, Dynamics::Csvr, 7);
}

#[test]
fn argon_with_a_chain_of_thermostats_survives_kills() {
    cpu(Subject::Argon, Dynamics::NoseHoover, 15);
}

#[test]
fn argon_under_a_piston_survives_kills() {
    cpu(Subject::Argon, Dynamics::Mtk, 17);
}

#[test]
fn argon_under_pressure_survives_kills() {
    cpu(Subject::Argon, Dynamics::Npt, 8);
}

#[test]
fn argon_in_a_cell_of_any_shape_survives_kills() {
    cpu(Subject::Argon, Dynamics::NptTriclinic, 9);
}

/// Frames beyond a limit to the spread are written, some of all.
const WATCHED: &str = "[monitor]\nspread = \"0.03 eV/A\"\naction = \"warn\"\n";

#[test]
fn a_committee_survives_kills() {
    let more = format!("[device]\nkind = \"cpu\"\nthreads = 1\n{WATCHED}");
    let bench = Bench::new(Subject::Committee, Dynamics::Langevin, STEPS, &more);
    survives(&bench, 13, kills());
    some_are_uncertain(&bench, STEPS);
}

/// Some frames of the undisturbed run are beyond the limit, and not all of them.
fn some_are_uncertain(bench: &Bench, steps: u64) {
    let text = std::fs::read_to_string(bench.at("whole").join(runs::UNCERTAIN)).unwrap();
    let frames = text.matches("Properties=").count() as u64;
    println!("{frames} of {} frames are uncertain", steps + 1);
    assert!(0 < frames && frames < steps + 1, "{frames}");
}

#[cfg(feature = "cuda")]
#[test]
fn a_committee_on_a_gpu_survives_kills() {
    if !crate::cuda::gpu() {
        return;
    }
    let more = format!("[device]\nkind = \"cuda:0\"\n{WATCHED}");
    let bench = Bench::new(Subject::Committee, Dynamics::Langevin, 20 * STEPS, &more);
    survives(&bench, 14, 5);
    some_are_uncertain(&bench, 20 * STEPS);
}

/// Lennard-Jones on a GPU, with all atoms taken together.
#[cfg(feature = "cuda")]
#[test]
fn runs_under_pressure_on_a_gpu_survive_kills() {
    if !crate::cuda::gpu() {
        return;
    }
    for (dynamics, seed) in [
        (Dynamics::Csvr, 10),
        (Dynamics::NoseHoover, 16),
        (Dynamics::Mtk, 18),
        (Dynamics::Npt, 11),
        (Dynamics::NptTriclinic, 12),
    ] {
        let device = "[device]\nkind = \"cuda:0\"\n";
        let bench = Bench::new(Subject::Argon, dynamics, 20 * STEPS, device);
        survives(&bench, seed, 5);
    }
}

/// On a GPU, both ensembles.
#[cfg(feature = "cuda")]
#[test]
fn runs_on_a_gpu_survive_kills() {
    if !crate::cuda::gpu() {
        return;
    }
    for (dynamics, seed) in [(Dynamics::Nve, 5), (Dynamics::Langevin, 6)] {
        let device = "[device]\nkind = \"cuda:0\"\n";
        let bench = Bench::new(Subject::Ethanol, dynamics, 20 * STEPS, device);
        survives(&bench, seed, kills());
    }
}
