//! The closing summary: how long, how fast, how warm, and whether the energy was conserved.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::drift::{Energies, EnergyRecord};
use super::progress::ns_per_day;
use super::series::Estimate;
use super::text::{duration, round, significant};
use crate::units::{ANGSTROM_PER_FS, KELVIN, MEV_PER_PS, MILLIELECTRONVOLT, PICOSECOND};

/// Fewest samples from which a drift is judged.
const FEWEST_SAMPLES: u64 = 64;
/// A drift is seen where it is so many times its standard error.
const SEEN: f64 = 2.0;
/// Heating over the run, as a part of the temperature, that is nothing to worry about.
const NEGLIGIBLE: f64 = 0.01;
/// Heating over the run, as a part of the temperature, that makes it another experiment.
const SPOILT: f64 = 0.1;
/// Largest sound fluctuation of the conserved energy, as a part of that of the kinetic energy: the
/// usual rule of thumb for the length of a time step.
const SOUND_FLUCTUATION: f64 = 0.2;
/// Heat capacity of an atom in units of k: kinetic and potential energy of three classical harmonic
/// oscillators. What a drift does to the temperature follows from it, roughly.
const HEAT_CAPACITY: f64 = 3.0;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is going on.
    Running,
    /// All steps were taken.
    Complete,
    /// It was interrupted; all that was reached is written.
    Interrupted,
    /// A limit was broken, or something failed.
    Failed,
}

/// How a run went, besides its energies.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// How it ended.
    pub status: Status,
    /// Steps taken.
    pub steps: u64,
    /// Time step (internal time).
    pub timestep: f64,
    /// Time that the steps took.
    pub elapsed: Duration,
    /// Where its files are.
    pub directory: PathBuf,
    /// Why it ended before its last step; `None` if it did not.
    pub stopped_by: Option<String>,
    /// Whether a thermostat was at work.
    pub thermostat: bool,
    /// Steps from which it went on after it had stopped.
    pub resumed_from: Vec<u64>,
}

/// The closing summary. As JSON its keys are these names; what is not known is null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How it ended.
    pub status: Status,
    /// Steps taken.
    pub steps: u64,
    /// Number of atoms.
    pub atoms: usize,
    /// Simulated time (ps).
    pub simulated_ps: f64,
    /// Time that the steps took (s).
    pub elapsed_s: f64,
    /// Speed.
    pub steps_per_second: f64,
    /// Speed.
    pub ns_per_day: f64,
    /// Mean temperature (K).
    pub mean_temperature_k: Option<f64>,
    /// Its standard error (K), correlation included.
    pub mean_temperature_stderr_k: Option<f64>,
    /// Slope of the conserved energy (meV/atom/ps).
    pub energy_drift_mev_per_atom_ps: Option<f64>,
    /// Its standard error (meV/atom/ps), correlation included.
    pub energy_drift_stderr: Option<f64>,
    /// Whether the run is long enough for that error to be more than a lower bound.
    pub energy_drift_converged: Option<bool>,
    /// Change of the conserved energy along its slope over the run, in standard deviations of the
    /// kinetic energy.
    pub drift_over_std_ekin: Option<f64>,
    /// Root mean square deviation of the conserved energy from its slope (meV/atom).
    pub energy_fluctuation_mev_per_atom: Option<f64>,
    /// The same, in standard deviations of the kinetic energy.
    pub fluctuation_over_std_ekin: Option<f64>,
    /// Samples behind the statistics above.
    pub samples: u64,
    /// Norm of the total momentum at the end (u A/fs).
    pub momentum_u_a_per_fs: f64,
    /// Whether the energy was conserved; null where the run is too short to tell.
    pub energy_conserved: Option<bool>,
    /// The same in a sentence.
    pub verdict: String,
    /// Where the run's files are.
    #[serde(serialize_with = "crate::input::serialize_path")]
    pub output_directory: PathBuf,
    /// Why the run ended before its last step; null if it did not.
    pub stopped_by: Option<String>,
    /// Steps from which the run went on after it had stopped.
    pub resumed_from: Vec<u64>,
    /// What should be conserved: the total energy, or that less the thermostat's heat.
    #[serde(skip)]
    conserved_name: &'static str,
}

impl Summary {
    /// Sums up a run.
    pub fn new(course: &Course, energies: &Energies) -> Self {
        energies.read(|record| Self::of(course, record))
    }

    fn of(course: &Course, record: &EnergyRecord) -> Self {
        let elapsed = course.elapsed.as_secs_f64();
        let rate = match elapsed > 0.0 {
            true => course.steps as f64 / elapsed,
            false => 0.0,
        };
        let temperature = record.mean_kt().map(|t| t.scaled(1.0 / KELVIN));
        let drift = record.drift().map(|d| d.scaled(1.0 / MEV_PER_PS));
        let conserved_name = match course.thermostat {
            true => "total energy less the thermostat's heat",
            false => "total energy",
        };
        let (energy_conserved, verdict) = Verdict::of(record).tell(conserved_name);
        let momentum = record.momentum.iter().map(|p| p * p).sum::<f64>().sqrt();
        Self {
            status: course.status,
            steps: course.steps,
            atoms: record.atoms,
            simulated_ps: round(course.steps as f64 * course.timestep / PICOSECOND),
            elapsed_s: elapsed,
            steps_per_second: rate,
            ns_per_day: ns_per_day(rate, course.timestep),
            mean_temperature_k: temperature.map(|t| t.value),
            mean_temperature_stderr_k: temperature.map(|t| t.error),
            energy_drift_mev_per_atom_ps: drift.map(|d| d.value),
            energy_drift_stderr: drift.map(|d| d.error),
            energy_drift_converged: drift.map(|d| d.converged),
            drift_over_std_ekin: record.drift_over_deviation(),
            energy_fluctuation_mev_per_atom: (record.fluctuation()).map(|f| f / MILLIELECTRONVOLT),
            fluctuation_over_std_ekin: record.fluctuation_ratio(),
            samples: record.conserved.count(),
            momentum_u_a_per_fs: momentum / ANGSTROM_PER_FS,
            energy_conserved,
            verdict,
            output_directory: course.directory.clone(),
            stopped_by: course.stopped_by.clone(),
            resumed_from: course.resumed_from.clone(),
            conserved_name,
        }
    }

    /// The summary as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The summary for people.
    pub fn to_text(&self) -> String {
        let mut lines = vec![format!(
            "{} {} steps of {} atoms, {} ps, in {}: {} steps/s, {} ns/day",
            match self.status {
                Status::Running | Status::Complete => "Done:",
                Status::Interrupted => "Interrupted after",
                Status::Failed => "Stopped after",
            },
            self.steps,
            self.atoms,
            self.simulated_ps,
            duration(Duration::from_secs_f64(self.elapsed_s)),
            significant(self.steps_per_second, 4),
            significant(self.ns_per_day, 4),
        )];
        if let Some(reason) = &self.stopped_by {
            lines.push(format!("  stopped by    {reason}"));
        }
        if !self.resumed_from.is_empty() {
            let steps: Vec<String> = self.resumed_from.iter().map(u64::to_string).collect();
            lines.push(format!("  resumed from  step {}", steps.join(", ")));
        }
        if let (Some(t), Some(e)) = (self.mean_temperature_k, self.mean_temperature_stderr_k) {
            lines.push(format!("  temperature   {t:.1} +- {e:.1} K"));
        }
        if let (Some(drift), Some(error)) =
            (self.energy_drift_mev_per_atom_ps, self.energy_drift_stderr)
        {
            let bound = match self.energy_drift_converged {
                Some(true) => "",
                _ => " or more",
            };
            lines.push(format!(
                "  energy drift  {drift:+.5} +- {error:.5}{bound} meV/atom/ps ({})",
                self.conserved_name
            ));
        }
        if let Some(fluctuation) = self.energy_fluctuation_mev_per_atom {
            let part = (self.fluctuation_over_std_ekin).map_or_else(String::new, |r| {
                format!(", {} % of the kinetic energy's", significant(100.0 * r, 2))
            });
            lines.push(format!(
                "  fluctuation   {} meV/atom about that line{part}",
                significant(fluctuation, 3)
            ));
        }
        lines.push(format!(
            "  momentum      {} u A/fs",
            significant(self.momentum_u_a_per_fs, 2)
        ));
        lines.push(format!("  verdict       {}", self.verdict));
        lines.push(format!("  output        {}", self.directory().display()));
        lines.join("\n")
    }

    fn directory(&self) -> &Path {
        &self.output_directory
    }
}

/// What the energies of a run say about its conservation.
struct Verdict {
    /// Slope per atom (meV/atom/ps) where there are samples enough.
    drift: Option<Estimate>,
    /// Time sampled (ps).
    span: f64,
    /// Warming over that time that the slope amounts to (K), and its uncertainty.
    heating: [f64; 2],
    /// Mean temperature (K).
    temperature: f64,
    /// Fluctuation over that of the kinetic energy.
    fluctuation: f64,
}

impl Verdict {
    fn of(record: &EnergyRecord) -> Self {
        let span = record.conserved.span();
        let drift = record
            .drift()
            .filter(|_| record.conserved.count() >= FEWEST_SAMPLES);
        let heat = drift.map_or([0.0; 2], |d| [d.value, d.error]);
        Self {
            drift: drift.map(|d| d.scaled(1.0 / MEV_PER_PS)),
            span: span / PICOSECOND,
            heating: heat.map(|slope| slope * span / (HEAT_CAPACITY * KELVIN)),
            temperature: record.mean_kt().map_or(0.0, |t| t.value / KELVIN),
            fluctuation: record.fluctuation_ratio().unwrap_or(0.0),
        }
    }

    /// Whether the energy was conserved, and a sentence about it.
    fn tell(&self, what: &str) -> (Option<bool>, String) {
        let Some(drift) = self.drift else {
            let text = format!(
                "too short a run ({} ps) to say whether the energy is conserved",
                significant(self.span, 3)
            );
            return (None, text);
        };
        let [heating, uncertainty] = self.heating;
        let seen = drift.value.abs() > SEEN * drift.error;
        let size = heating.abs() / self.temperature;
        let does = match heating < 0.0 {
            true => "cool",
            false => "heat",
        };
        let amount = format!(
            "the {what} drifts by {:+.4} meV/atom/ps, enough to {does} the system by {} K in this \
             run of {} ps",
            drift.value,
            significant(heating.abs(), 2),
            significant(self.span, 3)
        );
        if self.fluctuation > SOUND_FLUCTUATION {
            let text = format!(
                "the time step is too long: the {what} fluctuates by {:.0} % of what the kinetic \
                 energy does, and {:.0} % is the most that is sound",
                100.0 * self.fluctuation,
                100.0 * SOUND_FLUCTUATION
            );
            return (Some(false), text);
        }
        if !seen && SEEN * uncertainty <= SPOILT * self.temperature {
            let text = format!(
                "energy is conserved: no drift is seen above twice its uncertainty of {:.4} \
                 meV/atom/ps",
                drift.error
            );
            return (Some(true), text);
        }
        if !seen {
            let text = format!(
                "too short a run to say whether the energy is conserved: the drift is known to \
                 {:.4} meV/atom/ps only",
                drift.error
            );
            return (None, text);
        }
        match size {
            x if x <= NEGLIGIBLE => (Some(true), format!("energy is conserved: {amount}")),
            x if x <= SPOILT => (
                Some(true),
                format!("energy is conserved well enough for this run: {amount}"),
            ),
            _ => (
                Some(false),
                format!("energy is not conserved: {amount}; use a smaller timestep"),
            ),
        }
    }
}
