//! The progress bar: steps done and left, speed, temperature and drift, where stderr is a terminal.

use std::time::{Duration, Instant};

use super::console::Console;
use super::drift::Energies;
use crate::Result;
use crate::core::{Fields, Snapshot};
use crate::simulation::{Reporter, Signal};
use crate::terminal::Terminal;
use crate::text::significant;
use crate::units::{KELVIN, MEV_PER_PS, ns_per_day};

/// Time between two looks: seldom enough to cost nothing, often enough to look alive.
const INTERVAL: Duration = Duration::from_millis(250);

/// Columns of the bar, and of the step and the time left beside it, before the message begins.
const BEFORE: usize = 42;

/// Moves the progress bar.
pub struct Progress {
    console: Console,
    energies: Energies,
    timestep: f64,
    /// The stage, of a run in stages.
    stage: Option<String>,
    /// The step at which to look next; found from the speed so far.
    due: u64,
    /// Step and moment of the first look.
    began: Option<(u64, Instant)>,
    /// Step and moment of the last look.
    last: Option<(u64, Instant)>,
}

impl Progress {
    /// Moves the bar of `console` for a run in steps of `timestep` (internal time).
    pub fn new(console: &Console, energies: &Energies, timestep: f64) -> Self {
        Self {
            console: console.clone(),
            energies: energies.clone(),
            timestep,
            stage: None,
            due: 0,
            began: None,
            last: None,
        }
    }

    /// Tells of a stage what it is called.
    pub fn of_stage(self, name: Option<&str>) -> Self {
        let stage = name.map(str::to_owned);
        Self { stage, ..self }
    }

    /// The step that is reached about [`INTERVAL`] after `step`.
    fn after(&self, step: u64, now: Instant) -> u64 {
        let Some((before, moment)) = self.last else {
            return step + 1;
        };
        let (steps, elapsed) = (step - before, (now - moment).as_secs_f64());
        let fit = steps as f64 * INTERVAL.as_secs_f64() / elapsed.max(1e-9);
        // The first steps are slow (warming up): approach the speed in powers of two.
        step + (fit as u64).clamp(1, 2 * steps.max(1))
    }

    /// Speed, temperature and drift, as many of them as there is `room` for.
    fn message(&self, snapshot: &Snapshot, now: Instant, room: usize) -> String {
        let mut parts: Vec<String> = self.stage.iter().cloned().collect();
        let rate = self.began.filter(|(step, _)| snapshot.step > *step);
        let rate = rate.map(|(step, moment)| {
            (snapshot.step - step) as f64 / (now - moment).as_secs_f64().max(1e-9)
        });
        if let Some(rate) = rate {
            let speed = ns_per_day(rate, self.timestep);
            parts.push(format!("{} ns/day", significant(speed, 3)));
        }
        self.energies.read(|record| {
            let kt = record.thermometer().kt(&snapshot.observables);
            parts.push(format!("{:.0} K", kt / KELVIN));
            if let Some(drift) = record.drift() {
                let drift = significant(drift.value / MEV_PER_PS, 2);
                parts.push(format!("drift {drift} meV/atom/ps"));
            }
        });
        parts.extend(rate.map(|rate| format!("{} steps/s", significant(rate, 3))));
        fitting(&parts, room)
    }
}

/// The first parts of a message, as many as fit into `room` columns.
pub(super) fn fitting(parts: &[String], room: usize) -> String {
    let mut message = String::new();
    for part in parts {
        let comma = if message.is_empty() { "" } else { ", " };
        if message.len() + comma.len() + part.len() > room {
            break;
        }
        message += comma;
        message += part;
    }
    message
}

impl Reporter for Progress {
    fn next(&self, step: u64) -> u64 {
        match self.console.bar().is_hidden() {
            true => u64::MAX,
            false => self.due.max(step),
        }
    }

    fn wants(&self) -> Fields {
        Fields::NONE
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        let now = Instant::now();
        let bar = self.console.bar();
        if self.began.is_none() {
            self.began = Some((snapshot.step, now));
            bar.set_position(snapshot.step);
            bar.reset_eta();
        }
        let width = Terminal::err().width.unwrap_or(0);
        bar.set_message(self.message(snapshot, now, width.saturating_sub(BEFORE)));
        bar.set_position(snapshot.step);
        self.due = self.after(snapshot.step, now);
        self.last = Some((snapshot.step, now));
        Ok(Signal::Continue)
    }

    fn finish(&mut self) -> Result<()> {
        self.console.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::drift::EnergyRecord;

    #[test]
    fn looks_are_as_far_apart_as_the_interval_and_none_where_nobody_sees() {
        let energies = Energies::new(EnergyRecord::new(1, 3));
        let mut progress = Progress::new(&Console::silent(), &energies, 1.0);
        assert_eq!(progress.next(5), u64::MAX);
        let now = Instant::now();
        assert_eq!(progress.after(5, now), 6);
        // 100 steps in a tenth of the interval: 1000 in all of it, but no more than twice as many as before.
        progress.last = Some((100, now - INTERVAL / 10));
        assert_eq!(progress.after(200, now), 400);
        progress.last = Some((100, now - INTERVAL));
        assert_eq!(progress.after(200, now), 300);
        // Slower than that: one step at a time.
        progress.last = Some((199, now - 10 * INTERVAL));
        assert_eq!(progress.after(200, now), 201);
    }

    #[test]
    fn a_message_is_as_long_as_there_is_room() {
        let parts = ["193 ns/day", "165 K", "4466 steps/s"].map(str::to_owned);
        assert_eq!(fitting(&parts, 80), "193 ns/day, 165 K, 4466 steps/s");
        assert_eq!(fitting(&parts, 30), "193 ns/day, 165 K");
        assert_eq!(fitting(&parts, 9), "");
    }

    #[test]
    fn a_speed_in_nanoseconds_a_day() {
        let half_fs = 0.5 * crate::units::FEMTOSECOND;
        assert!((ns_per_day(1000.0, half_fs) - 43.2).abs() < 1e-9);
    }
}
