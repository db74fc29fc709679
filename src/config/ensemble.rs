//! The ensemble of a run: its keys, and whether the system is one that it can be of.

use super::keys::dynamics::{
    BAROSTAT_EVERY, BAROSTAT_RELAXATION, CHAIN, CHAIN_STEPS, COMPRESSIBILITY, COUPLING, ENSEMBLE,
    FRICTION, Heated, PRESSURE, RELAXATION, SEED, SUZUKI_YOSHIDA, TEMPERATURE, THERMOSTAT,
};
use super::keys::row::{ConfigKey, Sampled, Temperatures, Whole};
use super::ladder::temperature;
use super::plan::StartPlan;
use super::ramp::{self, RunLength};
use super::raw;
use super::section::Section;
use crate::Result;
use crate::core::Cell;
use crate::dynamics::{
    Barostat, Bath, Chain, Coupling, Csvr, Dynamics, Langevin, Mtk, NoseHoover, Npt, Nve, Ramp,
    Ramps, SuzukiYoshida, Thermostat,
};
use crate::text::significant;
use crate::units::PICOSECOND;

/// The ensemble, with what it needs, and what of its bath changes in a run of this length; keys of other ensembles are refused.
/// Where something changes, the ensemble has what it is in the end.
pub(super) fn resolve(
    section: &mut Section<'_>,
    raw: &raw::DynamicsTable,
    length: RunLength,
) -> Result<(Dynamics, Ramps)> {
    let sampled = section.choice(&ENSEMBLE, &raw.ensemble)?;
    if sampled == Sampled::Nve {
        let why = "\"nve\" keeps the energy, not the temperature; remove it (the starting one is system.velocities), \
                   or use ensemble = \"langevin\"";
        section.refuse(&TEMPERATURE, &raw.temperature, why)?;
    }
    belongs(section, &PRESSURE, &raw.pressure, sampled)?;
    belongs(section, &THERMOSTAT, &raw.thermostat, sampled)?;
    belongs(section, &RELAXATION, &raw.relaxation, sampled)?;
    belongs(section, &CHAIN, &raw.chain, sampled)?;
    belongs(section, &CHAIN_STEPS, &raw.chain_steps, sampled)?;
    belongs(section, &SUZUKI_YOSHIDA, &raw.suzuki_yoshida, sampled)?;
    belongs(section, &FRICTION, &raw.friction, sampled)?;
    belongs(section, &SEED, &raw.seed, sampled)?;
    belongs(
        section,
        &BAROSTAT_RELAXATION,
        &raw.barostat_relaxation,
        sampled,
    )?;
    belongs(section, &COMPRESSIBILITY, &raw.compressibility, sampled)?;
    belongs(section, &BAROSTAT_EVERY, &raw.barostat_every, sampled)?;
    belongs(section, &COUPLING, &raw.coupling, sampled)?;
    if sampled == Sampled::Nve {
        return Ok((Dynamics::Nve(Nve), Ramps::default()));
    }
    let ramps = Ramps {
        temperature: ramp::resolve(
            section,
            (TEMPERATURE.name, &raw.temperature),
            &Temperatures::ONE,
            length,
        )?,
        pressure: ramp::resolve(
            section,
            (PRESSURE.name, &raw.pressure),
            &PRESSURE.value.0,
            length,
        )?,
    };
    let kt = match &ramps.temperature {
        Some(ramp) => ramp.last(),
        None => temperature(section, &TEMPERATURE, &raw.temperature)?,
    };
    let ensemble = match sampled {
        Sampled::Nve => Dynamics::Nve(Nve),
        Sampled::Langevin => Dynamics::Langevin(Langevin {
            kt,
            friction: section.quantity(&FRICTION, &raw.friction)?,
            seed: section.seed(&SEED, &raw.seed)?,
        }),
        Sampled::Csvr => Dynamics::Csvr(Csvr {
            kt,
            relaxation: section.quantity(&RELAXATION, &raw.relaxation)?,
            seed: section.seed(&SEED, &raw.seed)?,
        }),
        Sampled::Npt => Dynamics::Npt(Npt {
            kt,
            barostat: barostat(section, raw, (length.timestep, ramps.pressure.as_ref()))?,
            thermostat: thermostat(section, raw)?,
            seed: section.seed(&SEED, &raw.seed)?,
        }),
        Sampled::NoseHoover => Dynamics::NoseHoover(NoseHoover {
            kt,
            chain: chain(section, raw, length.timestep)?,
        }),
        Sampled::Mtk => Dynamics::Mtk(Mtk {
            kt,
            pressure: pressure(section, raw, ramps.pressure.as_ref())?,
            chain: chain(section, raw, length.timestep)?,
            barostat_relaxation: piston_relaxation(section, raw, length.timestep)?,
        }),
    };
    Ok((ensemble, ramps))
}

fn chain(section: &mut Section<'_>, raw: &raw::DynamicsTable, timestep: f64) -> Result<Chain> {
    let relaxation = section.quantity(&RELAXATION, &raw.relaxation)?;
    let links = whole_or_usual(section, &CHAIN, &raw.chain)?;
    let steps = whole_or_usual(section, &CHAIN_STEPS, &raw.chain_steps)?;
    let scheme = match whole_or_usual(section, &SUZUKI_YOSHIDA, &raw.suzuki_yoshida)? {
        3 => SuzukiYoshida::Three,
        5 => SuzukiYoshida::Five,
        other => {
            let why = format!("{other} is neither 3 nor 5");
            return Err(section.fault(&SUZUKI_YOSHIDA, &raw.suzuki_yoshida, why));
        }
    };
    let part = timestep / (relaxation * f64::from(steps));
    if part > COARSE_CHAIN {
        let note = format!(
            "a step of the chain is {} of its relaxation time: from {COARSE_CHAIN} on its own steps are too coarse; make it \
             longer, or set chain_steps",
            significant(part, 2),
        );
        section.note(&RELAXATION, &note);
    }
    Ok(Chain {
        relaxation,
        links: links as usize,
        steps,
        scheme,
    })
}

/// Part of its relaxation time T that a step of a chain may be. A thermostat swings with the period 2 pi T / sqrt(2): beyond, a
/// seventh of it and more is one step.
const COARSE_CHAIN: f64 = 0.6;

/// A whole number, or the one that is usual.
fn whole_or_usual(
    section: &mut Section<'_>,
    key: &ConfigKey<Whole>,
    leaf: &raw::Leaf,
) -> Result<u32> {
    if let Some(given) = section.whole(key, leaf)? {
        return Ok(given as u32);
    }
    let usual = key.absent.value().and_then(|text| text.parse().ok());
    let usual: u32 = usual.unwrap_or(1);
    section.keep(key, &None, i64::from(usual));
    Ok(usual)
}

/// The pressure, or what its ramp ends at.
fn pressure(
    section: &mut Section<'_>,
    raw: &raw::DynamicsTable,
    ramp: Option<&Ramp>,
) -> Result<f64> {
    match ramp {
        Some(ramp) => Ok(ramp.last()),
        None => section.given(PRESSURE.name, &raw.pressure, &PRESSURE.value.0),
    }
}

/// The time of a piston's mass.
fn piston_relaxation(
    section: &mut Section<'_>,
    raw: &raw::DynamicsTable,
    timestep: f64,
) -> Result<f64> {
    let relaxation = section.quantity(&BAROSTAT_RELAXATION, &raw.barostat_relaxation)?;
    let part = timestep / relaxation;
    if part > COARSE {
        let note = format!(
            "a time step is {} of the relaxation time of the piston, which swings faster than that: from {COARSE} on the \
             conserved energy suffers; make it longer",
            significant(part, 2),
        );
        section.note(&BAROSTAT_RELAXATION, &note);
    }
    Ok(relaxation)
}

fn barostat(
    section: &mut Section<'_>,
    raw: &raw::DynamicsTable,
    (timestep, ramp): (f64, Option<&Ramp>),
) -> Result<Barostat> {
    let every = section.steps(&BAROSTAT_EVERY, &raw.barostat_every, timestep)?;
    let barostat = Barostat {
        pressure: pressure(section, raw, ramp)?,
        relaxation: section.quantity(&BAROSTAT_RELAXATION, &raw.barostat_relaxation)?,
        compressibility: section.quantity(&COMPRESSIBILITY, &raw.compressibility)?,
        every: every.unwrap_or_else(|| usual_every(section)),
        coupling: section.choice(&COUPLING, &raw.coupling)?,
    };
    let part = timestep * barostat.every as f64 / barostat.relaxation;
    if part > COARSE {
        let note = format!(
            "the cell is strained every {} of its relaxation time: from 0.02 on volumes of molecules vary too much, and from \
             0.04 on they are not stable (0.05 and 0.2 for liquids of atoms); make it longer, or barostat_every smaller",
            significant(part, 2),
        );
        section.note(&BAROSTAT_RELAXATION, &note);
    }
    Ok(barostat)
}

/// Part of the relaxation time from one strain to the next, beyond which the variance of the volume of water is a tenth too
/// large ([`crate::dynamics::cell_rescaling`]: its modulus at once is 26 / B at a compressibility B of 4.5e-5 / bar).
const COARSE: f64 = 0.02;

/// Steps between two strains of the cell where nothing is said.
fn usual_every(section: &mut Section<'_>) -> u64 {
    let usual = BAROSTAT_EVERY.absent.value();
    let usual: u32 = usual.and_then(|text| text.parse().ok()).unwrap_or(1);
    section.keep(&BAROSTAT_EVERY, &None, i64::from(usual));
    u64::from(usual)
}

fn thermostat(section: &mut Section<'_>, raw: &raw::DynamicsTable) -> Result<Thermostat> {
    Ok(match section.choice(&THERMOSTAT, &raw.thermostat)? {
        Heated::Csvr => {
            let why = "belongs to thermostat = \"langevin\", not to \"csvr\"; remove it";
            section.refuse(&FRICTION, &raw.friction, why)?;
            Thermostat::Csvr {
                relaxation: section.quantity(&RELAXATION, &raw.relaxation)?,
            }
        }
        Heated::Langevin => {
            let why = "belongs to thermostat = \"csvr\", not to \"langevin\"; remove it";
            section.refuse(&RELAXATION, &raw.relaxation, why)?;
            Thermostat::Langevin {
                friction: section.quantity(&FRICTION, &raw.friction)?,
            }
        }
    })
}

/// Refuses a key that belongs to other ensembles.
fn belongs<V>(
    section: &Section<'_>,
    key: &ConfigKey<V>,
    leaf: &raw::Leaf,
    sampled: Sampled,
) -> Result<()> {
    if key.of.is_empty() || key.of.contains(&sampled) {
        return Ok(());
    }
    let owners = key.of.iter().map(|one| format!("{:?}", one.word()));
    let owners: Vec<String> = owners.collect();
    let why = format!(
        "belongs to ensemble = {}, not to {:?}; remove it",
        owners.join(" or "),
        sampled.word()
    );
    section.refuse(key, leaf, &why)
}

/// Checks that a system is one that the ensemble can be of.
pub(super) fn check(
    section: &Section<'_>,
    raw: &raw::DynamicsTable,
    (ensemble, ramps, timestep): (Dynamics, &Ramps, f64),
    start: &StartPlan,
) -> Result<()> {
    let Some(Bath { kt, seed }) = ensemble.bath() else {
        return Ok(());
    };
    let coldest = ramps.temperature.as_ref().map_or(kt, Ramp::smallest);
    if coldest <= 0.0 && seed.is_none() {
        let why = "0 K has no chain of thermostats, whose masses are of the temperature; one above is wanted";
        return Err(section.misfit(&TEMPERATURE, &raw.temperature, why));
    }
    if ensemble.conserves_momentum() && start.system.len() < 2 {
        let why = "scales velocities about that of the centre of mass: one atom has none; use \"langevin\"";
        return Err(section.misfit(&ENSEMBLE, &raw.ensemble, why));
    }
    if ensemble.pressure().is_none() {
        return Ok(());
    }
    let Some(volume) = start.cell.volume() else {
        let why = format!(
            "presses on a cell, which has to be periodic in all directions; this one is open along {}: set system.cell \
             and system.periodic, or use another ensemble",
            open_directions(&start.cell)
        );
        return Err(section.misfit(&ENSEMBLE, &raw.ensemble, why));
    };
    let Some(barostat) = ensemble.barostat() else {
        return Ok(());
    };
    right_angles(section, raw, barostat.coupling, &start.cell)?;
    let kt = ramps.temperature.as_ref().map_or(kt, Ramp::largest);
    if barostat.is_too_fast(timestep, kt, volume) {
        let times = 5.0 * barostat.noise(timestep, kt, volume)
            / crate::dynamics::cell_rescaling::MOST_STRAIN;
        let why = format!(
            "strains a cell of {volume:.0} A^3 too far at once; {:.3} ps or more is wanted for this compressibility and \
             barostat_every",
            barostat.relaxation * times * times / PICOSECOND
        );
        return Err(section.misfit(&BAROSTAT_RELAXATION, &raw.barostat_relaxation, why));
    }
    Ok(())
}

fn open_directions(cell: &Cell) -> String {
    let named = ["a", "b", "c"].into_iter().zip(cell.periodic());
    let open: Vec<&str> = named.filter(|(_, p)| !p).map(|(name, _)| name).collect();
    open.join(", ")
}

/// Checks that edges that are to change each for itself are at right angles.
fn right_angles(
    section: &Section<'_>,
    raw: &raw::DynamicsTable,
    coupling: Coupling,
    cell: &Cell,
) -> Result<()> {
    let Some(wanted) = coupling.lacks(cell) else {
        return Ok(());
    };
    let why = format!("is for a cell with {wanted}; use \"triclinic\" or \"isotropic\"");
    Err(section.misfit(&COUPLING, &raw.coupling, why))
}
