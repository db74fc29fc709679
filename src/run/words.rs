//! A plan and a fault in words.

use crate::assemble;
use crate::config::plan::{Plan, VelocityPlan};
use crate::core::{Cell, Vec3, elements, observe};
use crate::dynamics::cell_rescaling::MOST_STRAIN;
use crate::dynamics::{Bath, Parameter, Ramp, Value};
use crate::engine::{Breach, Watched};
use crate::report::Earlier;
use crate::simulation::Cause;
use crate::{text, units};

/// A cell in a line.
pub fn cell(cell: &Cell) -> String {
    if !cell.is_periodic() {
        return "open boundaries".to_owned();
    }
    let edges = [0, 1, 2].map(|k| cell.vector(k).norm());
    format!(
        "cell {:.4} x {:.4} x {:.4} A, {}",
        edges[0],
        edges[1],
        edges[2],
        periodic(cell.periodic())
    )
}

/// Which directions are periodic, in words.
pub fn periodic(directions: [bool; 3]) -> String {
    let axes: String = ["a", "b", "c"]
        .into_iter()
        .zip(directions)
        .filter_map(|(name, periodic)| periodic.then_some(name))
        .collect();
    match axes.as_str() {
        "" => "open boundaries".to_owned(),
        axes => format!("periodic along {axes}"),
    }
}

/// The dynamics in a line.
pub fn dynamics(plan: &Plan) -> String {
    if let Some(settings) = plan.minimizer() {
        let cell = settings.cell.map_or("", |_| ", and of the cell");
        return format!(
            "minimisation ({}) of the energy{cell} to {} eV/A, in {} at the most",
            settings.method.name(),
            rounded(settings.force),
            text::counted(settings.most_steps, "step")
        );
    }
    let dynamics = &plan.dynamics;
    let mut ensemble = dynamics.ensemble.describe().to_owned();
    let course = |ramp: &Ramp, unit: f64| {
        let values = ramp.points().iter().map(|point| point[1]);
        let values: Vec<String> = values
            .map(|value| rounded(value / unit).to_string())
            .collect();
        values.join(" to ")
    };
    let ramps = &dynamics.ramps;
    for Parameter { key, value } in dynamics.ensemble.parameters() {
        ensemble += &match (value, &ramps.temperature, &ramps.pressure) {
            (Value::Temperature(_), Some(ramp), _) => {
                format!(" from {} K", course(ramp, units::KELVIN))
            }
            (Value::Pressure(_), _, Some(ramp)) => {
                format!(" and from {} bar", course(ramp, units::BAR))
            }
            (value, ..) => match value {
                Value::Temperature(kt) => format!(" at {:.2} K", kt / units::KELVIN),
                Value::Rate(rate) => format!(", {key} {:.4} 1/ps", rate * units::PICOSECOND),
                Value::Time(time) => format!(", {key} {} ps", rounded(time / units::PICOSECOND)),
                Value::Pressure(pressure) => format!(" and {} bar", rounded(pressure / units::BAR)),
                Value::Word(word) if key == "coupling" => format!(", {word}"),
                Value::Count(count) if key == "chain" => {
                    format!(", {}", text::counted(count, "thermostat"))
                }
                Value::Compressibility(_)
                | Value::Steps(_)
                | Value::Count(_)
                | Value::Word(_)
                | Value::Seed(_) => continue,
            },
        };
    }
    let steps = dynamics.steps.saturating_sub(plan.began().0);
    format!(
        "{ensemble}, {} of {} fs: {} ps; {} degrees of freedom",
        text::counted(steps, "step"),
        rounded(dynamics.timestep / units::FEMTOSECOND),
        rounded(steps as f64 * dynamics.timestep / units::PICOSECOND),
        assemble::degrees_of_freedom(plan)
    )
}

/// A word on a start whose atoms move as a whole more than they move among themselves.
pub fn whole_motion(plan: &Plan) -> Option<String> {
    let VelocityPlan::Given(velocities) = &plan.start.velocities else {
        return None;
    };
    let (system, whole) = (&plan.start.system, assemble::whole_motion(plan)?);
    let kinetic = observe::kinetic_energy(system, velocities);
    let degrees = 3 * system.len();
    if !whole.is_remarkable(kinetic, degrees) {
        return None;
    }
    let lasts = assemble::conserves_momentum(plan);
    let becomes = match (lasts, plan.dynamics.remove_drift) {
        (true, 0) if plan.dynamics.ensemble.bath().is_some() => {
            "it lasts, and is no part of the temperature; [dynamics] remove_drift = 1 takes the flight out"
        }
        (true, 0) => {
            "it lasts, and counts as temperature; [dynamics] remove_drift = 1 takes the flight out"
        }
        (true, _) => "remove_drift takes the flight out",
        (false, _) if plan.dynamics.ensemble.bath().is_none() => "atoms that are held take it up",
        (false, _) => "the thermostat brings it to rest",
    };
    Some(format!(
        "{} % of the kinetic energy is motion of the system as a whole ({} m/s): {} K without it, {} K with it; \
         {becomes}",
        text::significant(100.0 * whole.kinetic() / kinetic, 3),
        text::significant(whole.speed / units::ANGSTROM_PER_FS * 1e5, 3),
        text::significant(whole.kt_without(kinetic, degrees) / units::KELVIN, 3),
        text::significant(observe::kt(kinetic, degrees) / units::KELVIN, 3),
    ))
}

/// To nine decimals, without the rounding noise of a conversion.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// A warning where a thermostat may draw noise that another run has drawn already: velocities of a file that does
/// not say how far the noise of the run that wrote it had come.
pub fn repeated_noise(plan: &Plan) -> Option<String> {
    let seed = (plan.dynamics.ensemble.bath()).and_then(|Bath { seed, .. }| seed);
    let (Some(seed), VelocityPlan::Given(velocities)) = (seed, &plan.start.velocities) else {
        return None;
    };
    let moving = velocities.iter().any(|v| *v != Vec3::zeros());
    let told = plan.start.noise.is_some() || plan.places.0.contains_key("dynamics.noise_start");
    if !moving || told {
        return None;
    }
    let structure = plan.start.structure.display();
    let key = plan.places.of("dynamics.seed");
    let folder = plan.start.structure.parent();
    let before = folder.and_then(|folder| Earlier::read(folder).config);
    match before.map(|config| config["dynamics"]["seed"].as_u64()) {
        Some(other) if other != Some(u64::from(seed)) => None,
        Some(_) => Some(format!(
            "{key}: {structure} is of a run with the seed {seed} too, and does not say how far its noise had come: \
             this run would draw the same noise again. Give it another seed"
        )),
        None => Some(format!(
            "{key}: {structure} has velocities, and does not say how far the noise of a thermostat had come: if it \
             was written by a run with the seed {seed} too, this run draws the same noise again. Give it another \
             seed, or noise_start"
        )),
    }
}

/// A fault: step, atoms, what is wrong.
pub fn cause(cause: &Cause, plan: &Plan) -> String {
    match cause {
        Cause::Breach(found) => breach(found, plan),
        Cause::Alarm { reason, .. } => reason.clone(),
        Cause::Pairs { step, mismatch: m } => {
            let atom = |i: usize| {
                let symbol = elements::symbol(plan.start.system.species[i]);
                format!("{i} ({symbol})")
            };
            let (is, so) = if m.missing {
                ("is missing from", "its forces are left out")
            } else {
                ("should not be in", "its forces are too much")
            };
            format!(
                "step {step}: the pair of atoms {} and {}, {:.6} A apart, {is} the list of pairs within the cutoff of {} A: \
                 {so}; this is a fault of the program: please report it, with the run's directory",
                atom(m.atom),
                atom(m.neighbor),
                m.distance,
                m.cutoff
            )
        }
    }
}

/// A broken limit: step, atoms, values, key.
pub fn breach(breach: &Breach, plan: &Plan) -> String {
    let named: Vec<String> = (breach.atoms.iter())
        .map(|&i| format!("{i} ({})", elements::symbol(plan.start.system.species[i])))
        .collect();
    let atoms = named.join(", ");
    let step = breach.step;
    let limit = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let monitor = &plan.monitor;
    match breach.what {
        Watched::Finite if atoms.is_empty() => {
            format!("step {step}: the energy is not a finite number")
        }
        Watched::Finite => format!(
            "step {step}: position, velocity or force of atoms {atoms} is not a finite number"
        ),
        Watched::Force => format!(
            "step {step}: the force on atom {atoms} is {:.4} eV/A, over the limit of {:.4} eV/A \
             ([monitor] force)",
            breach.value,
            limit(monitor.force)
        ),
        Watched::Contact => format!(
            "step {step}: atoms {atoms} are {:.4} A apart, under the limit of {:.4} A \
             ([monitor] contact)",
            breach.value,
            limit(monitor.contact)
        ),
        Watched::Cell => format!(
            "step {step}: the barostat strains the cell by {:.3} at once, and no more than {MOST_STRAIN} can be right: it is \
             pressed too fast, or is far from any equilibrium; make [dynamics] barostat_relaxation longer, compressibility \
             smaller, or begin from a cell that was relaxed",
            breach.value
        ),
        Watched::Volume => {
            let first = assemble::first_volume(plan).unwrap_or(f64::NAN);
            let becomes = if first > breach.value {
                "collapses"
            } else {
                "explodes"
            };
            format!(
                "step {step}: the cell {becomes}: from {first:.1} to {:.1} A^3; check pressure, temperature and whether the \
                 potential holds this system together",
                breach.value
            )
        }
        Watched::Constraint => format!(
            "step {step}: atoms {atoms} cannot be kept at their distance: it is off by {:.1e} of itself, or changes so fast; \
             make [dynamics] timestep shorter, or [constraints] tolerance larger where it is below what numbers resolve",
            breach.value
        ),
        Watched::Kinetic => format!(
            "step {step}: the temperature is {:.1} K, over the limit of {:.1} K \
             ([monitor] temperature)",
            observe::kt(breach.value, assemble::degrees_of_freedom(plan)) / units::KELVIN,
            limit(monitor.temperature) / units::KELVIN
        ),
    }
}
