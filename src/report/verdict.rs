//! Whether a run conserved what it should, judged from its energies.
//!
//! # At constant energy
//!
//! Energy is conserved where three things are known: the drift and twice its standard error are together less than
//! 0.1 kT per atom and nanosecond, the fluctuation is less than 5 % of that of the kinetic energy, and the last
//! fifth of the run is as warm as the first, within 20 %. A drift that is certainly larger, or a larger
//! fluctuation, means that it is not. Between the two the run is too short to tell, and the length of one that
//! would tell follows from the error of a slope, which falls as the time to the power of -3/2.
//!
//! # With a thermostat
//!
//! What should be conserved is the energy less the heat that the thermostat put in. Its error is made anew with
//! every kick of the noise and is not taken back: it goes off on a random walk, whose slope is known with an error
//! that falls as the time to the power of -1/2 alone (see [`super::series::Series::slope_of_walk`]), and whose fluctuation
//! is looked at within 0.1 ps. A run may warm up from a cold start, so the last fifth is compared with the bath, unless the
//! bath's temperature is a ramp.

use super::course::RunOutcome;
use super::drift::EnergyRecord;
use super::series::Estimate;
use crate::text::significant;
use crate::units::{FEMTOSECOND, KELVIN, MEV_PER_PS, NANOSECOND, PICOSECOND};

/// Fewest samples from which anything is judged.
const FEWEST_SAMPLES: u64 = 64;
/// Largest drift of a conserved energy, in kT per atom and nanosecond.
const DRIFT: f64 = 0.1;
/// A drift is known to within so many of its standard errors.
const SURE: f64 = 2.0;
/// Standard errors within which a drift is known where the error is a lower bound.
const SURE_OF_BOUND: f64 = 5.0;
/// Largest sound fluctuation of the conserved energy, as a part of that of the kinetic energy.
const FLUCTUATION: f64 = 0.05;
/// Largest change of the temperature from the first fifth of a run to the last, as a part of it.
const STEADY: f64 = 0.2;
/// A run tells where the limit is so many errors of its drift: without a drift the slope found is within two of
/// them in 95 of 100 runs, and two more are within the limit then.
const TELLS: f64 = 4.0;
/// A run of so many times this length, at least, is advised where this one does not tell.
const LONGER: f64 = 1.5;
/// Time (ps) within which fluctuations are looked at where there is a thermostat.
const WITHIN_PS: f64 = 0.1;
/// Temperature (K) under which nothing moves that could tell anything.
const STILL: f64 = 1e-3;
/// Heat capacity of an atom in units of k: kinetic and potential energy of three classical harmonic
/// oscillators. What a drift does to the temperature follows from it, roughly.
const HEAT_CAPACITY: f64 = 3.0;

/// What became of the energy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// Whether it was conserved; `None` where that cannot be told.
    pub conserved: Option<bool>,
    /// Whether it was conserved, in a sentence.
    pub text: String,
    /// Simulated time (internal) after which a run would tell.
    pub needs: Option<f64>,
}

impl Verdict {
    fn new(conserved: Option<bool>, text: String) -> Self {
        Self {
            conserved,
            text,
            needs: None,
        }
    }
}

/// What is judged.
pub(super) struct Evidence<'r> {
    course: &'r RunOutcome,
    record: &'r EnergyRecord,
    /// Slope per atom (eV / time) where there are samples enough.
    drift: Option<Estimate>,
    /// Mean temperature kT (eV), without the motion of the whole where that is remarkable.
    kt: Option<f64>,
    /// Fluctuation of what should be conserved (eV per atom).
    pub fluctuation: Option<f64>,
    /// That fluctuation as a part of the kinetic energy's.
    pub fluctuation_ratio: Option<f64>,
}

impl<'r> Evidence<'r> {
    /// `kt` (eV) is the temperature without the motion of the whole, where that is remarkable.
    pub fn of(course: &'r RunOutcome, record: &'r EnergyRecord, kt: Option<f64>) -> Self {
        let conserved = &record.conserved;
        let enough = conserved.count() >= FEWEST_SAMPLES;
        let fluctuation = match course.bath {
            None => conserved.fluctuation(),
            Some(_) => conserved.deviation_within(WITHIN_PS * PICOSECOND),
        };
        let kinetic = record.counted.deviation().filter(|d| *d > 0.0);
        Self {
            course,
            record,
            drift: record.drift_with(course.bath.is_some()).filter(|_| enough),
            kt: kt.or(record.mean_kt().map(|t| t.value)),
            fluctuation: fluctuation.map(|f| f / record.atoms as f64),
            fluctuation_ratio: fluctuation.zip(kinetic).map(|(f, k)| f / k),
        }
    }

    /// What should be conserved.
    pub fn conserved_name(&self) -> &'static str {
        match (self.course.bath, self.course.press) {
            (_, Some(_)) => "total energy less heat and work",
            (Some(_), None) => "total energy less the thermostat's heat",
            (None, None) => "total energy",
        }
    }

    /// Largest drift of a conserved energy (eV per atom and time).
    pub fn limit(&self) -> Option<f64> {
        Some(DRIFT * self.kt? / NANOSECOND)
    }

    /// What became of the energy.
    pub fn verdict(&self) -> Verdict {
        let too_short = || {
            let text = format!(
                "too short a run ({} ps) to say whether the energy is conserved",
                significant(self.record.conserved.span() / PICOSECOND, 3)
            );
            Verdict::new(None, text)
        };
        let (Some(drift), Some(kt), Some(limit)) = (self.drift, self.kt, self.limit()) else {
            return too_short();
        };
        if kt / KELVIN < STILL {
            let text = "nothing moves that could tell whether the energy is conserved";
            return Verdict::new(None, text.to_owned());
        }
        let sure = match drift.converged {
            true => SURE,
            false => SURE_OF_BOUND,
        };
        if drift.value.abs() - sure * drift.error > limit {
            return self.drifts(&drift, limit);
        }
        if let Some(ratio) = self.fluctuation_ratio.filter(|r| *r > FLUCTUATION) {
            return self.fluctuates(ratio);
        }
        if !drift.converged || drift.value.abs() + SURE * drift.error > limit {
            return self.undecided(&drift, limit);
        }
        self.unsteady().unwrap_or_else(|| {
            let text = format!(
                "energy is conserved: {}, within the {} that 0.1 kT per atom and ns are",
                self.amount(&drift),
                significant(limit / MEV_PER_PS, 2)
            );
            Verdict::new(Some(true), text)
        })
    }

    /// The drift and what it would do to the temperature.
    fn amount(&self, drift: &Estimate) -> String {
        let span = self.record.conserved.span();
        let heating = drift.value * span / (HEAT_CAPACITY * KELVIN);
        let does = match heating < 0.0 {
            true => "cool",
            false => "heat",
        };
        format!(
            "the {} drifts by {} meV/atom/ps, enough to {does} the system by {} K in this run of {} ps",
            self.conserved_name(),
            drift.scaled(1.0 / MEV_PER_PS).text(),
            significant(heating.abs(), 2),
            significant(span / PICOSECOND, 3)
        )
    }

    fn drifts(&self, drift: &Estimate, limit: f64) -> Verdict {
        let text = format!(
            "energy is not conserved: {}, and 0.1 kT per atom and ns ({} meV/atom/ps) is the most that is sound; \
             use a smaller timestep, or find the cause with `mdrun diagnose {}`",
            self.amount(drift),
            significant(limit / MEV_PER_PS, 2),
            self.course.directory.display()
        );
        Verdict::new(Some(false), text)
    }

    /// Fluctuations grow with the square of the time step.
    fn fluctuates(&self, ratio: f64) -> Verdict {
        let sound = self.course.timestep * (FLUCTUATION / ratio).sqrt() / FEMTOSECOND;
        let text = format!(
            "the time step is too long: the {} fluctuates by {} % of what the kinetic energy does, and {:.0} % is \
             the most that is sound; {} fs would be short enough",
            self.conserved_name(),
            significant(100.0 * ratio, 2),
            100.0 * FLUCTUATION,
            rounded_down(sound)
        );
        Verdict::new(Some(false), text)
    }

    /// Says how long a run would tell.
    fn undecided(&self, drift: &Estimate, limit: f64) -> Verdict {
        // A drift near the limit is told from it by a smaller error.
        let gap = match drift.value.abs() > SURE * drift.error {
            true => (drift.value.abs() - limit).abs().max(0.5 * limit),
            false => limit,
        };
        let power = match self.course.bath {
            None => 2.0 / 3.0,
            Some(_) => 2.0,
        };
        let factor = (TELLS * drift.error / gap).powf(power).max(LONGER);
        let needs = self.record.conserved.span() * factor;
        let steps = needs / self.course.timestep;
        let text = format!(
            "too short a run to say whether the energy is conserved: the drift of the {} is {} meV/atom/ps{}, and \
             {} (0.1 kT per atom and ns) is the most that is sound; a run of {} {} ps ({} steps) would tell",
            self.conserved_name(),
            drift.scaled(1.0 / MEV_PER_PS).text(),
            match drift.converged {
                true => "",
                false => " or more",
            },
            significant(limit / MEV_PER_PS, 2),
            match drift.converged {
                true => "about",
                false => "at least",
            },
            rounded_up(needs / PICOSECOND),
            rounded_up(steps),
        );
        Verdict {
            conserved: None,
            text,
            needs: Some(needs),
        }
    }

    /// A temperature that is not what it should be in the end.
    fn unsteady(&self) -> Option<Verdict> {
        // A temperature that was to change has changed.
        if self.course.ramped {
            return None;
        }
        let Some([first, last]) = self.record.fifths_kt() else {
            let text = "too short a run to say whether its temperature is steady";
            return Some(Verdict::new(None, text.to_owned()));
        };
        let kelvin = |e: &Estimate| e.scaled(1.0 / KELVIN).text();
        let wanted = match self.course.bath {
            Some(bath) => Estimate {
                value: bath,
                error: 0.0,
                converged: true,
            },
            None => first,
        };
        if (last.value - wanted.value).abs() <= STEADY * wanted.value {
            return None;
        }
        let text = match self.course.bath {
            Some(bath) => format!(
                "no drift is seen, but the last fifth of the run is at {} K, the bath at {} K: the run is not in \
                 equilibrium yet",
                kelvin(&last),
                significant(bath / KELVIN, 4)
            ),
            None => format!(
                "no drift is seen, but the temperature is not steady: {} K in the first fifth of the run, {} K in \
                 the last",
                kelvin(&first),
                kelvin(&last)
            ),
        };
        Some(Verdict::new(None, text))
    }
}

/// A number to two digits, upwards.
fn rounded_up(value: f64) -> String {
    let unit = 10_f64.powf(value.log10().floor() - 1.0);
    significant((value / unit).ceil() * unit, 2)
}

/// A number to two digits, downwards.
fn rounded_down(value: f64) -> String {
    let unit = 10_f64.powf(value.log10().floor() - 1.0);
    significant((value / unit).floor() * unit, 2)
}
