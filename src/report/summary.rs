//! The closing summary: how long, how fast, how warm, and whether the energy was conserved.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::course::{RunOutcome, Status};
use super::drift::{Energies, EnergyRecord};
use super::numbers::Raise;
use super::series::{Estimate, Series};
use super::verdict::Evidence;
use crate::core::observe::WholeBody;
use crate::text::{counted, duration, round, significant};
use crate::units::{
    ANGSTROM_PER_FS, BAR, GRAM_PER_CM3, KELVIN, MEV_PER_PS, MILLIELECTRONVOLT, PICOSECOND,
    ns_per_day,
};

/// Metres per second in an angstrom per femtosecond.
const METRES_PER_SECOND: f64 = 1e5;

/// A shorter time (s) is printed as 0.0 s, and tells no speed.
const SHORTEST_TIMED: f64 = 0.05;

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
    /// Mean temperature of the first fifth of the run (K).
    pub first_fifth_temperature_k: Option<f64>,
    /// Mean temperature of the last fifth of the run (K).
    pub last_fifth_temperature_k: Option<f64>,
    /// Mean pressure (bar); null where the cell is not periodic in all directions.
    pub mean_pressure_bar: Option<f64>,
    /// Its standard error (bar), correlation included.
    pub mean_pressure_stderr_bar: Option<f64>,
    /// Mean volume (A^3); null where no barostat changes it.
    pub mean_volume_a3: Option<f64>,
    /// Its standard error (A^3), correlation included.
    pub mean_volume_stderr_a3: Option<f64>,
    /// Mean density (g/cm^3); null likewise.
    pub mean_density_g_cm3: Option<f64>,
    /// Its standard error (g/cm^3), correlation included.
    pub mean_density_stderr_g_cm3: Option<f64>,
    /// Mean over the run of the standard deviation of the force on the atom that a committee's models are farthest apart on
    /// (eV/A); null without one.
    pub mean_force_spread_ev_a: Option<f64>,
    /// Its standard error (eV/A), correlation included.
    pub mean_force_spread_stderr_ev_a: Option<f64>,
    /// The largest sample of it (eV/A).
    pub largest_force_spread_ev_a: Option<f64>,
    /// Largest difference of the force on an atom from that in f64 that audits found (eV/A); null without them.
    pub largest_force_error_ev_a: Option<f64>,
    /// Number of these audits.
    pub audits: u64,
    /// Where the run went on in finer numbers.
    pub raises: Vec<Raise>,
    /// Mean potential energy (eV).
    pub mean_potential_energy_ev: Option<f64>,
    /// Its standard error (eV), correlation included.
    pub mean_potential_energy_stderr_ev: Option<f64>,
    /// Mean kinetic energy (eV), that of the whole included.
    pub mean_kinetic_energy_ev: Option<f64>,
    /// Its standard error (eV), correlation included.
    pub mean_kinetic_energy_stderr_ev: Option<f64>,
    /// Mean total energy (eV).
    pub mean_total_energy_ev: Option<f64>,
    /// Its standard error (eV), correlation included.
    pub mean_total_energy_stderr_ev: Option<f64>,
    /// Part of the kinetic energy that is motion of the system as a whole; null where there is none to speak of.
    pub whole_motion_fraction: Option<f64>,
    /// Speed of the centre of mass (A/fs); null likewise.
    pub whole_motion_speed_a_per_fs: Option<f64>,
    /// Mean temperature without the motion of the whole (K); null likewise.
    pub mean_temperature_without_whole_motion_k: Option<f64>,
    /// Slope of the conserved energy (meV/atom/ps).
    pub energy_drift_mev_per_atom_ps: Option<f64>,
    /// Its standard error (meV/atom/ps), correlation included.
    pub energy_drift_stderr: Option<f64>,
    /// Whether the run is long enough for that error to be more than a lower bound.
    pub energy_drift_converged: Option<bool>,
    /// Largest drift of a conserved energy (meV/atom/ps): 0.1 kT per atom and ns.
    pub energy_drift_limit_mev_per_atom_ps: Option<f64>,
    /// Change of the conserved energy along its slope over the run, in standard deviations of the
    /// kinetic energy.
    pub drift_over_std_ekin: Option<f64>,
    /// Root mean square deviation of the conserved energy from its slope (meV/atom); with a thermostat, from its
    /// means over 0.1 ps.
    pub energy_fluctuation_mev_per_atom: Option<f64>,
    /// That deviation in standard deviations of the kinetic energy.
    pub fluctuation_over_std_ekin: Option<f64>,
    /// Samples behind the statistics above.
    pub samples: u64,
    /// Norm of the total momentum at the end (u A/fs).
    pub momentum_u_a_per_fs: f64,
    /// Whether the energy was conserved; null where the run is too short to tell.
    pub energy_conserved: Option<bool>,
    /// Whether the energy was conserved, in a sentence.
    pub verdict: String,
    /// Simulated time after which a run would tell (ps), where this one does not.
    pub verdict_needs_ps: Option<f64>,
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
    /// Whether there was a thermostat.
    #[serde(skip)]
    thermostat: bool,
}

impl Summary {
    /// Sums up a run.
    pub fn new(course: &RunOutcome, energies: &Energies) -> Self {
        energies.read(|record| Self::of(course, record))
    }

    fn of(course: &RunOutcome, record: &EnergyRecord) -> Self {
        let elapsed = course.elapsed.as_secs_f64();
        let rate = match elapsed > 0.0 {
            true => course.steps as f64 / elapsed,
            false => 0.0,
        };
        let temperature = record.mean_kt().map(|t| t.scaled(1.0 / KELVIN));
        let drift = record.drift_with(course.bath.is_some());
        let drift = drift.map(|d| d.scaled(1.0 / MEV_PER_PS));
        let whole = course.whole.and_then(|whole| WholeNote::of(record, &whole));
        let judge = Evidence::of(course, record, whole.map(|w| w.temperature * KELVIN));
        let verdict = judge.verdict();
        let fifths = (record.fifths_kt()).map(|f| f.map(|kt| kt.value / KELVIN));
        let pressure = record.pressure.mean().map(|p| p.scaled(1.0 / BAR));
        let pressed = |series: &Series| series.mean().filter(|_| course.press.is_some());
        let volume = pressed(&record.volume);
        let density = pressed(&record.density).map(|d| d.scaled(1.0 / GRAM_PER_CM3));
        let spread = record.spread.mean();
        let [potential, kinetic, total] =
            [&record.potential, &record.kinetic, &record.total].map(Series::mean);
        let value = |e: Option<Estimate>| e.map(|e| e.value);
        let error = |e: Option<Estimate>| e.map(|e| e.error);
        let momentum = record.momentum.iter().map(|p| p * p).sum::<f64>().sqrt();
        Self {
            status: course.status,
            steps: course.steps,
            atoms: record.atoms,
            simulated_ps: round(course.time() / PICOSECOND),
            elapsed_s: elapsed,
            steps_per_second: rate,
            ns_per_day: ns_per_day(rate, course.timestep),
            mean_temperature_k: value(temperature),
            mean_temperature_stderr_k: error(temperature),
            first_fifth_temperature_k: fifths.map(|f| f[0]),
            last_fifth_temperature_k: fifths.map(|f| f[1]),
            mean_pressure_bar: value(pressure),
            mean_pressure_stderr_bar: error(pressure),
            mean_volume_a3: value(volume),
            mean_volume_stderr_a3: error(volume),
            mean_density_g_cm3: value(density),
            mean_density_stderr_g_cm3: error(density),
            mean_force_spread_ev_a: value(spread),
            mean_force_spread_stderr_ev_a: error(spread),
            largest_force_spread_ev_a: spread.map(|_| record.largest_spread),
            largest_force_error_ev_a: record.numbers.most(),
            audits: record.numbers.all(),
            raises: record.numbers.raises.clone(),
            mean_potential_energy_ev: value(potential),
            mean_potential_energy_stderr_ev: error(potential),
            mean_kinetic_energy_ev: value(kinetic),
            mean_kinetic_energy_stderr_ev: error(kinetic),
            mean_total_energy_ev: value(total),
            mean_total_energy_stderr_ev: error(total),
            whole_motion_fraction: whole.map(|w| w.fraction),
            whole_motion_speed_a_per_fs: whole.map(|w| w.speed),
            mean_temperature_without_whole_motion_k: whole.map(|w| w.temperature),
            energy_drift_mev_per_atom_ps: value(drift),
            energy_drift_stderr: error(drift),
            energy_drift_converged: drift.map(|d| d.converged),
            energy_drift_limit_mev_per_atom_ps: judge.limit().map(|limit| limit / MEV_PER_PS),
            drift_over_std_ekin: record.drift_over_deviation(),
            energy_fluctuation_mev_per_atom: judge.fluctuation.map(|f| f / MILLIELECTRONVOLT),
            fluctuation_over_std_ekin: judge.fluctuation_ratio,
            samples: record.conserved.count(),
            momentum_u_a_per_fs: momentum / ANGSTROM_PER_FS,
            energy_conserved: verdict.conserved,
            verdict: verdict.text,
            verdict_needs_ps: verdict.needs.map(|time| time / PICOSECOND),
            output_directory: course.directory.clone(),
            stopped_by: course.stopped_by.clone(),
            resumed_from: course.resumed_from.clone(),
            conserved_name: judge.conserved_name(),
            thermostat: course.bath.is_some(),
        }
    }

    /// The summary as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The summary for people.
    pub fn to_text(&self) -> String {
        let speed = match self.elapsed_s < SHORTEST_TIMED {
            true => String::new(),
            false => format!(
                ": {} steps/s, {} ns/day",
                significant(self.steps_per_second, 4),
                significant(self.ns_per_day, 4)
            ),
        };
        let mut lines = vec![format!(
            "{} {} of {}, {} ps, in {}{speed}",
            match self.status {
                Status::Running | Status::Complete => "Done:",
                Status::Interrupted => "Interrupted after",
                Status::Failed => "Stopped after",
            },
            counted(self.steps, "step"),
            counted(self.atoms as u64, "atom"),
            self.simulated_ps,
            duration(Duration::from_secs_f64(self.elapsed_s)),
        )];
        if let Some(reason) = &self.stopped_by {
            lines.push(format!("  stopped by    {reason}"));
        }
        if !self.resumed_from.is_empty() {
            let steps: Vec<String> = self.resumed_from.iter().map(u64::to_string).collect();
            lines.push(format!("  resumed from  step {}", steps.join(", ")));
        }
        lines.extend(self.means());
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
                "  fluctuation   {} meV/atom {}{part}",
                significant(fluctuation, 3),
                match self.thermostat {
                    true => "within 0.1 ps",
                    false => "about that line",
                }
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

    /// Lines of means with their error bars.
    fn means(&self) -> Vec<String> {
        let estimate = |value: Option<f64>, error: Option<f64>| {
            Some(Estimate {
                value: value?,
                error: error?,
                converged: true,
            })
        };
        let mut lines = Vec::new();
        if let (Some(t), Some(e)) = (self.mean_temperature_k, self.mean_temperature_stderr_k) {
            lines.push(format!("  temperature   {t:.1} +- {e:.1} K"));
        }
        if let (Some(fraction), Some(speed), Some(inner)) = (
            self.whole_motion_fraction,
            self.whole_motion_speed_a_per_fs,
            self.mean_temperature_without_whole_motion_k,
        ) {
            lines.push(format!(
                "  whole motion  {} % of the kinetic energy is motion of the system as a whole ({} m/s): {} K without it",
                significant(100.0 * fraction, 3),
                significant(speed * METRES_PER_SECOND, 3),
                significant(inner, 3)
            ));
        }
        if let Some(p) = estimate(self.mean_pressure_bar, self.mean_pressure_stderr_bar) {
            lines.push(format!("  pressure      {} bar", p.text()));
        }
        if let Some(v) = estimate(self.mean_volume_a3, self.mean_volume_stderr_a3) {
            lines.push(format!("  volume        {} A^3", v.text()));
        }
        if let Some(d) = estimate(self.mean_density_g_cm3, self.mean_density_stderr_g_cm3) {
            lines.push(format!("  density       {} g/cm^3", d.text()));
        }
        let spread = estimate(
            self.mean_force_spread_ev_a,
            self.mean_force_spread_stderr_ev_a,
        );
        if let (Some(mean), Some(most)) = (spread, self.largest_force_spread_ev_a) {
            lines.push(format!(
                "  spread        {} eV/A on the worst atom, {} at most",
                mean.text(),
                significant(most, 3)
            ));
        }
        if let Some(most) = self.largest_force_error_ev_a {
            let raises = self.raises.iter();
            let raises =
                raises.map(|raise| format!(", {} from step {} on", raise.precision, raise.step));
            lines.push(format!(
                "  precision     forces {} eV/A off f64 at most, in {}{}",
                significant(most, 3),
                counted(self.audits, "audit"),
                raises.collect::<String>()
            ));
        }
        for (name, value, error) in [
            (
                "potential",
                self.mean_potential_energy_ev,
                self.mean_potential_energy_stderr_ev,
            ),
            (
                "kinetic",
                self.mean_kinetic_energy_ev,
                self.mean_kinetic_energy_stderr_ev,
            ),
            (
                "total",
                self.mean_total_energy_ev,
                self.mean_total_energy_stderr_ev,
            ),
        ] {
            if let Some(e) = estimate(value, error) {
                lines.push(format!("  {name:<13} {} eV", e.text()));
            }
        }
        lines
    }

    fn directory(&self) -> &Path {
        &self.output_directory
    }
}

/// Motion of the whole that is worth a word.
#[derive(Debug, Clone, Copy)]
struct WholeNote {
    /// Part of the mean kinetic energy.
    fraction: f64,
    /// Speed of the centre of mass (A/fs).
    speed: f64,
    /// Mean temperature without it (K).
    temperature: f64,
}

impl WholeNote {
    fn of(record: &EnergyRecord, whole: &WholeBody) -> Option<Self> {
        let kinetic = record.kinetic.mean()?.value;
        let degrees = 3 * record.atoms;
        if !whole.is_remarkable(kinetic, degrees) {
            return None;
        }
        Some(Self {
            fraction: whole.kinetic() / kinetic,
            speed: whole.speed / ANGSTROM_PER_FS,
            temperature: whole.kt_without(kinetic, degrees) / KELVIN,
        })
    }
}
