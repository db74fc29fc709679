//! Energies, temperature and pressure over time: a CSV file, and a few of its lines as a live table.
//!
//! | column | what |
//! |---|---|
//! | `step` | steps taken |
//! | `time_fs` | simulated time |
//! | `potential_energy_ev`, `kinetic_energy_ev`, `total_energy_ev` | energies |
//! | `conserved_energy_ev` | total energy less the heat of the thermostat and the work of barostat, moving springs and PLUMED |
//! | `temperature_k` | instantaneous temperature, 2 E_kin / (degrees of freedom k_B) |
//! | `pressure_bar` | instantaneous pressure, without a flight that is not thermal; only for cells periodic in all directions |
//! | `volume_a3`, `density_g_cm3` | volume and density; only where a barostat changes them |
//! | `force_spread_ev_a`, `energy_spread_mev_per_atom` | of a committee: force on the worst atom, energy |
//! | `force_error_ev_a` | with audits of the network's numbers: what the newest found, on the worst atom; empty before |
//! | `external_energy_ev`, `pulling_work_ev` | energy of what acts beside the potential (groups, PLUMED), a part of it; work |
//! | `drift_mev_per_atom_ps`, `drift_stderr_mev_per_atom_ps` | slope of the conserved energy up to here, its standard error |
//! | `stage` | the stage's name; only in a run in stages |
//!
//! The slope and its error are empty before there are enough samples.
//!
//! Where `remove_drift` takes the motion of the centre of mass out, its kinetic energy is no part of the temperature.
//!
//! Energies are at full precision; every line is complete once it is there.

use std::path::Path;

use super::console::Console;
use super::drift::Energies;
use super::file::{OutputFile, Verified};
use super::table::{LiveRow, LiveTable, Shows};
use crate::Result;
use crate::core::{Cell, Fields, Snapshot};
use crate::simulation::{FileMark, Reporter, Signal, next_multiple};
use crate::text::{number, round};
use crate::units::{
    BAR, FEMTOSECOND, GRAM_PER_CM3, KELVIN, MEV_PER_PS, MILLIELECTRONVOLT, PICOSECOND,
};

/// Most lines of the live table.
const MOST_LINES: u64 = 40;

/// The thermo table.
pub struct Thermo {
    file: OutputFile,
    every: u64,
    shown_every: u64,
    end: u64,
    sheet: Sheet,
    table: LiveTable,
}

/// What the lines of a system's thermo table say.
pub(super) struct Sheet {
    pub shows: Shows,
    pub energies: Energies,
    /// The stage, of a run in stages.
    pub stage: Option<String>,
}

/// What a thermo table is of.
pub struct Scope<'c> {
    /// The cell.
    pub cell: &'c Cell,
    /// Whether a barostat changes it.
    pub pressed: bool,
    /// Whether a committee drives.
    pub committee: bool,
    /// Steps between lines.
    pub every: u64,
    /// The run's last step.
    pub end: u64,
    /// Whether the network's numbers are audited.
    pub audited: bool,
    /// Whether something acts beside the potential.
    pub external: bool,
    /// The stage, of a run in stages.
    pub stage: Option<&'c str>,
}

impl<'c> Scope<'c> {
    /// The scope of a run of one model whose cell stays what it is, with a line every `every` steps up to `end`.
    pub fn unpressed(cell: &'c Cell, every: u64, end: u64) -> Self {
        Self {
            cell,
            pressed: false,
            committee: false,
            every,
            end,
            audited: false,
            external: false,
            stage: None,
        }
    }

    pub(super) fn shows(&self) -> Shows {
        Shows {
            pressure: self.cell.volume().is_some(),
            density: self.pressed,
            spread: self.committee,
            audit: self.audited,
            external: self.external,
            stage: self.stage.is_some(),
        }
    }
}

/// One line of the table, in the units of its columns.
pub(super) struct ThermoLine {
    step: u64,
    time_fs: f64,
    energies: [f64; 4],
    temperature: f64,
    pressure: Option<f64>,
    /// Volume and density.
    size: Option<[f64; 2]>,
    /// That of the force, and of the energy.
    spread: Option<[f64; 2]>,
    /// What the newest audit found.
    audit: Option<f64>,
    /// Energy of what acts beside the potential, work of what of it moves.
    external: [f64; 2],
    drift: Option<[f64; 2]>,
    stage: Option<String>,
}

impl Thermo {
    /// Creates the file at `path`.
    ///
    /// # Errors
    /// The file cannot be created, or its first line not be written.
    pub fn create(
        path: &Path,
        scope: &Scope<'_>,
        energies: &Energies,
        console: &Console,
    ) -> Result<Self> {
        let mut file = OutputFile::create(path, &[])?;
        file.append(scope.shows().header().as_bytes())?;
        Ok(Self::with(file, scope, energies, console))
    }

    /// Goes on with a file as it was at a checkpoint; the rest as for [`Thermo::create`].
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn resume(
        file: Verified,
        scope: &Scope<'_>,
        energies: &Energies,
        console: &Console,
    ) -> Result<Self> {
        let file = file.cut()?;
        Ok(Self::with(file, scope, energies, console))
    }

    fn with(file: OutputFile, scope: &Scope<'_>, energies: &Energies, console: &Console) -> Self {
        Self {
            file,
            every: scope.every,
            shown_every: shown_every(scope.every, scope.end),
            end: scope.end,
            sheet: Sheet {
                shows: scope.shows(),
                energies: energies.clone(),
                stage: scope.stage.map(str::to_owned),
            },
            table: LiveTable::new(console, scope.end, scope.shows()),
        }
    }
}

impl Shows {
    /// The names of the columns.
    pub(super) fn header(self) -> String {
        let pressure = if self.pressure { "pressure_bar," } else { "" };
        let size = match self.density {
            true => "volume_a3,density_g_cm3,",
            false => "",
        };
        let spread = match self.spread {
            true => "force_spread_ev_a,energy_spread_mev_per_atom,",
            false => "",
        };
        let audit = if self.audit { "force_error_ev_a," } else { "" };
        let external = match self.external {
            true => "external_energy_ev,pulling_work_ev,",
            false => "",
        };
        let stage = if self.stage { ",stage" } else { "" };
        format!(
            "step,time_fs,potential_energy_ev,kinetic_energy_ev,total_energy_ev,conserved_energy_ev,\
             temperature_k,{pressure}{size}{spread}{audit}{external}drift_mev_per_atom_ps,drift_stderr_mev_per_atom_ps{stage}\n"
        )
    }

    /// The columns that one of two tables has.
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            pressure: self.pressure || other.pressure,
            density: self.density || other.density,
            spread: self.spread || other.spread,
            audit: self.audit || other.audit,
            external: self.external || other.external,
            stage: self.stage || other.stage,
        }
    }
}

impl Sheet {
    /// The line of a moment.
    pub(super) fn line(&self, snapshot: &Snapshot) -> ThermoLine {
        let o = &snapshot.observables;
        let (thermometer, drift, mass, audit) = (self.energies).read(|record| {
            let audit = record.numbers.newest;
            (record.thermometer(), record.drift(), record.mass, audit)
        });
        let size = |volume: f64| [volume, mass / volume / GRAM_PER_CM3];
        let pressure = thermometer.pressure(snapshot).map(|p| p / BAR);
        ThermoLine {
            step: snapshot.step,
            time_fs: round(snapshot.time / FEMTOSECOND),
            energies: [o.potential, o.kinetic, o.total(), o.conserved()],
            temperature: thermometer.kt(o) / KELVIN,
            pressure: pressure.filter(|_| self.shows.pressure),
            size: (snapshot.cell.volume())
                .filter(|_| self.shows.density)
                .map(size),
            spread: (o.spread)
                .filter(|_| self.shows.spread)
                .map(|s| [s.force, s.energy / MILLIELECTRONVOLT]),
            audit,
            external: [o.external, o.kept.pulled],
            drift: drift.map(|d| [d.value / MEV_PER_PS, d.error / MEV_PER_PS]),
            stage: self.stage.clone(),
        }
    }
}

impl ThermoLine {
    fn row(&self) -> LiveRow {
        let [potential, kinetic, _, conserved] = self.energies;
        LiveRow {
            step: self.step,
            time_ps: self.time_fs * FEMTOSECOND / PICOSECOND,
            energies: [potential, kinetic, conserved],
            temperature: self.temperature,
            pressure: self.pressure,
            density: self.size.map(|[_, density]| density),
            spread: self.spread.map(|[force, _]| force),
            drift: self.drift.map(|[drift, _]| drift),
        }
    }

    /// Appends the line, with empty cells where the table has columns that this system has nothing for.
    pub(super) fn write(&self, shows: Shows, text: &mut Vec<u8>) {
        text.extend_from_slice(self.step.to_string().as_bytes());
        let mut put = |value: Option<f64>| {
            text.push(b',');
            if let Some(value) = value {
                number(text, value);
            }
        };
        put(Some(self.time_fs));
        for energy in self.energies {
            put(Some(energy));
        }
        put(Some(self.temperature));
        if shows.pressure {
            put(self.pressure);
        }
        let mut both = |pair: Option<[f64; 2]>| {
            put(pair.map(|p| p[0]));
            put(pair.map(|p| p[1]));
        };
        if shows.density {
            both(self.size);
        }
        if shows.spread {
            both(self.spread);
        }
        if shows.audit {
            put(self.audit);
        }
        if shows.external {
            self.external
                .into_iter()
                .for_each(|energy| put(Some(energy)));
        }
        for slope in [self.drift.map(|d| d[0]), self.drift.map(|d| d[1])] {
            put(slope);
        }
        if shows.stage {
            text.push(b',');
            text.extend_from_slice(self.stage.as_deref().unwrap_or_default().as_bytes());
        }
        text.push(b'\n');
    }
}

impl Reporter for Thermo {
    fn next(&self, step: u64) -> u64 {
        next_multiple(step, self.every)
    }

    fn wants(&self) -> Fields {
        Fields::NONE
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        let line = self.sheet.line(snapshot);
        let mut text = Vec::new();
        line.write(self.sheet.shows, &mut text);
        self.file.append(&text)?;
        if snapshot.step.is_multiple_of(self.shown_every) || snapshot.step == self.end {
            self.table.show(&line.row());
        }
        Ok(Signal::Continue)
    }

    fn mark(&mut self) -> Result<Option<FileMark>> {
        self.file.mark().map(Some)
    }

    fn finish(&mut self) -> Result<()> {
        self.file.finish()
    }
}

/// Steps between lines of the live table, of which a run to step `end` has [`MOST_LINES`] at most, and
/// the last one.
fn shown_every(every: u64, end: u64) -> u64 {
    let lines = end.checked_div(every).unwrap_or(0).saturating_add(1);
    every.saturating_mul(lines.div_ceil(MOST_LINES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_table_is_bounded_however_long_the_run() {
        for (every, end) in [
            (1, 10),
            (7, 1_000),
            (100, 20_000),
            (1, u64::MAX),
            (0, 10),
            (10, 0),
        ] {
            let shown = shown_every(every, end);
            assert!(
                end.checked_div(shown).unwrap_or(0) < MOST_LINES,
                "{every} {end}"
            );
            assert!(
                every == 0 || shown.is_multiple_of(every),
                "lines are those of the file"
            );
        }
        assert_eq!(shown_every(100, 3_900), 100, "short runs show all of them");
    }
}
