//! Plan to simulation: the only room that names concrete engines, potentials and reporters together.

mod batch;
#[cfg(feature = "cuda")]
mod card;
#[cfg(not(feature = "cuda"))]
#[path = "assemble/no_card.rs"]
mod card;
mod constrained;
mod field;
mod groups;
mod int8;
mod loaded;
mod many;
mod model;
mod numbers;
mod plumed;
mod workshop;

use std::error::Error as _;
use std::path::Path;

use crate::config::plan::{
    Action, Audit, DeviceKind, DevicePlan, Plan, PotentialPlan, VelocityPlan,
};
use crate::core::observe::{self, Thermometer, WholeBody, WholeMotion};
use crate::core::rng::Noise;
use crate::core::velocities::{self, Temperature};
use crate::core::{Kept, Vec3};
use crate::diagnose::{Built, Variant};
use crate::dynamics::Program;
use crate::engine::{Engine, HostEngine, Limits, Start};
use crate::forcefield::ForceField;
use crate::formats::write::topology;
use crate::potential::Precision;
use crate::report::checkpoint::StageMark;
use crate::report::names::{
    FINAL, INT8, REPORT, THERMO, TOPOLOGY, UNCERTAIN, VIEW_PYMOL, VIEW_VMD,
};
use crate::report::{
    Checkpoint, Console, DriftMonitor, Energies, EnergyRecord, Identity, Progress, SettleMonitor,
    SpreadLimit, SpreadMonitor, Thermo, Trajectory, Verified, drift, replace, thermo, trajectory,
    view,
};
use crate::simulation::{FileMark, Guard, Reporter, Ring};
use crate::{Error, Result, memory};

pub use batch::{SharedPotential, batch_engine, batch_member, in_flight};
#[cfg(feature = "cuda")]
pub use card::{cuda_batch, cuda_batch_skin, cuda_engine, cuda_skin};
pub use constrained::bring_onto_constraints;
pub use field::{check_numbers, field, field_of};
pub use groups::{rules, taken_over};
pub use int8::{Int8Scene, Int8Slot, find_int8, find_int8_anew};
pub use loaded::{Model, load, load_networks, load_staged, settle};
pub use many::many;
pub use model::{ModelKind, Place, Residence, check_place, origin, place};
pub use numbers::{FinerEngine, in_present_numbers, numbers_monitor};
pub use plumed::{plumed_bias, plumed_kernel};
pub use workshop::{PlanWorkshop, heated};

/// Steps between audits of the pairs, of 4 atoms each: on a GPU reading their rows back
/// costs as much as several steps of a small molecule.
const AUDIT_HOST: u64 = 200;
const AUDIT_GPU: u64 = 4000;
/// A cell that a barostat has made so many times as large or small as it was at the start of the run has exploded or collapsed.
const MOST_CHANGE: f64 = 10.0;

/// The operators of one step.
pub fn program(plan: &Plan) -> Program {
    let dynamics = &plan.dynamics;
    let thermometer = thermometer(plan);
    let program = (dynamics.ensemble).program(dynamics.timestep, &thermometer);
    let program = match plan.minimizer() {
        // No step is taken, and no time goes by.
        Some(_) => Program::velocity_verlet(0.0),
        None => program.with_ramps(dynamics.ramps.clone()),
    };
    let program = program.from_time(plan.began());
    match dynamics.remove_drift {
        0 => program,
        every => program.remove_drift(every),
    }
}

/// Numbers of the network; f64 where there is none.
pub fn precision(plan: &PotentialPlan) -> Precision {
    match plan {
        PotentialPlan::Network { precision, .. } => *precision,
        PotentialPlan::LennardJones { .. } | PotentialPlan::Socket { .. } => Precision::F64,
    }
}

/// Degrees of freedom that share the kinetic energy.
pub fn degrees_of_freedom(plan: &Plan) -> usize {
    let start = &plan.start;
    if let Some(known) = start.degrees_of_freedom {
        return known;
    }
    let (system, cell, positions) = (&start.system, &start.cell, &start.positions);
    let groups = groups::rules(plan);
    let taken = plan.constraints.count();
    if groups.is_anchored() {
        return (3 * groups.moving(system.len())).saturating_sub(taken);
    }
    let lasts = plan.dynamics.ensemble.conserves_momentum();
    let whole = match (lasts, &start.velocities) {
        (true, VelocityPlan::Given(velocities)) => {
            WholeMotion::of_constant_energy(system, cell, positions, velocities)
        }
        (true, VelocityPlan::Thermal { .. }) => WholeMotion::Conserved,
        (false, _) => WholeMotion::Thermal,
    };
    let whole = match whole {
        WholeMotion::Thermal if flight_is_left_out(plan) => WholeMotion::Held,
        _ => whole,
    };
    observe::degrees_of_freedom(system, cell, positions, whole).saturating_sub(taken)
}

/// Whether the flight of the centre of mass has no part in the temperature: where it is taken out, or lasts beside a
/// thermostat.
fn flight_is_left_out(plan: &Plan) -> bool {
    let ensemble = &plan.dynamics.ensemble;
    let apart = ensemble.conserves_momentum() && ensemble.bath().is_some();
    (apart && !groups::rules(plan).is_anchored()) || plan.dynamics.remove_drift > 0
}

/// Whether the momentum of a plan's system stays what it is: neither the ensemble nor a group changes it.
pub fn conserves_momentum(plan: &Plan) -> bool {
    plan.dynamics.ensemble.conserves_momentum() && !groups::rules(plan).is_anchored()
}

/// What a plan's temperature is told by. What `remove_drift` takes out does not count.
pub fn thermometer(plan: &Plan) -> Thermometer {
    thermometer_of(plan, degrees_of_freedom(plan))
}

/// The thermometer of a plan whose degrees of freedom are known.
pub fn thermometer_of(plan: &Plan, degrees_of_freedom: usize) -> Thermometer {
    let mass = plan.start.system.total_mass();
    let held = flight_is_left_out(plan);
    let flying = held || conserves_momentum(plan);
    Thermometer {
        degrees_of_freedom,
        held_mass: held.then_some(mass),
        flying_mass: flying.then_some(mass),
    }
}

/// Temperature kT (eV) of a plan's thermostat.
pub fn bath(plan: &Plan) -> Option<f64> {
    plan.dynamics.ensemble.bath().map(|bath| bath.kt)
}

/// Pressure (eV / cubic angstrom) of a plan's barostat.
pub fn press(plan: &Plan) -> Option<f64> {
    plan.dynamics.ensemble.pressure()
}

/// Volume (cubic angstrom) of the cell that a run began with, where it is periodic in all directions.
pub fn first_volume(plan: &Plan) -> Option<f64> {
    plan.start.volume.or_else(|| plan.start.cell.volume())
}

/// Motion of the whole that a plan's start has, if its velocities are given.
pub fn whole_motion(plan: &Plan) -> Option<WholeBody> {
    let start = &plan.start;
    match &start.velocities {
        VelocityPlan::Given(given) => Some(WholeBody::of(
            &start.system,
            &start.cell,
            &start.positions,
            given,
        )),
        VelocityPlan::Thermal { .. } => None,
    }
}

/// Motion of the whole that a plan's start has for good: at constant energy, where nothing takes it out.
pub fn lasting_motion(plan: &Plan) -> Option<WholeBody> {
    let lasts = conserves_momentum(plan) && plan.dynamics.remove_drift == 0;
    whole_motion(plan).filter(|_| lasts)
}

/// The starting velocities (angstrom / time).
fn starting_velocities(plan: &Plan) -> Vec<Vec3> {
    let start = &plan.start;
    let (kt, seed) = match &start.velocities {
        VelocityPlan::Given(velocities) => return velocities.clone(),
        VelocityPlan::Thermal { kt, seed } => (*kt, *seed),
    };
    let temperature = Temperature {
        kt,
        degrees_of_freedom: degrees_of_freedom(plan),
    };
    let noise = Noise::new(seed).of_replica(replica(plan));
    let groups = groups::rules(plan);
    let (system, positions) = (&start.system, &start.positions);
    let mut velocities = match groups.is_anchored() {
        true => velocities::thermal_among(system, |i| groups.moves(i), temperature, noise),
        false => velocities::thermal(system, &start.cell, positions, temperature, noise),
    };
    constrained::hold(plan, temperature, &mut velocities);
    velocities
}

/// The engine of a plan, ready to run.
///
/// # Errors
/// The model does not know an element, or the device is not there or has no room.
pub fn engine(plan: &Plan, model: &Model) -> Result<Box<dyn Engine>> {
    engine_at(plan, model, start(plan))
}

/// Where a plan starts.
pub fn start(plan: &Plan) -> Start {
    Start::new(
        plan.start.system.clone(),
        plan.start.cell.clone(),
        plan.start.positions.clone(),
        starting_velocities(plan),
    )
    .with_groups(groups::rules(plan))
    .with_constraints(plan.constraints.clone())
}

/// The engine of a plan at another point of its run.
///
/// # Errors
/// As for [`engine`].
pub fn engine_at(plan: &Plan, model: &Model, start: Start) -> Result<Box<dyn Engine>> {
    let noise = thermostat_noise(plan);
    let start = groups::bound(plan, start.of_replica(replica(plan)));
    let precision = precision(&plan.potential);
    if let Some(at) = reachable(plan, model, precision)? {
        return card::engine(plan, model, at, start);
    }
    check_room(plan, model, precision)?;
    let skin = Some(plan.dynamics.skin);
    let field = model.in_host_memory(&plan.start.system, precision, &plan.device, skin)?;
    Ok(Box::new(HostEngine::of(start, noise, field)?))
}

/// Checks that there is room in host memory for the atoms, their pairs and the arrays of a potential of this precision.
///
/// # Errors
/// There is none.
pub fn check_room(plan: &Plan, model: &Model, precision: Precision) -> Result<()> {
    let key = match model.members[0] {
        ModelKind::LennardJones { .. } => "potential.lennard_jones.cutoff",
        _ => "system.structure",
    };
    let (start, reach) = (&plan.start, (model.cutoff(), plan.dynamics.skin));
    let appetite = model.appetite(precision, &plan.device);
    memory::check(&start.cell, &start.positions, reach, appetite)
        .map_err(|e| e.within(plan.places.of(key)))
}

/// The place on a card that a plan's phase space lives at, if it does, once a network is seen to have its device.
fn reachable(plan: &Plan, model: &Model, precision: Precision) -> Result<Option<Residence>> {
    let resident = resident(plan, model, precision)?;
    if resident.is_some() {
        groups::check_card(plan)?;
        plumed::check_card(plan)?;
    }
    if model.is_network() {
        check_place(&plan.device, precision).map_err(|e| {
            let place = plan.places.of("device.kind");
            e.within(place)
                .advise("set [device] kind = \"cpu\" to run without a GPU")
        })?;
    }
    Ok(resident)
}

/// Checks that a plan's network, where it is to be, computes in the plan's numbers.
///
/// # Errors
/// It does not, or its device is not there.
pub fn check_plan_numbers(plan: &Plan, model: &Model) -> Result<()> {
    reachable(plan, model, precision(&plan.potential)).map(drop)
}

/// The place on a card that a plan's phase space lives at, if it does.
fn resident(plan: &Plan, model: &Model, precision: Precision) -> Result<Option<Residence>> {
    field::resident(model, precision, &plan.device).map_err(|e| {
        let place = plan.places.of("potential.precision");
        e.within(place)
    })
}

/// What is checked after every step.
pub fn limits(plan: &Plan) -> Limits {
    limits_of(plan, &thermometer(plan))
}

/// What is checked after every step where the temperature is told by `thermometer`.
pub fn limits_of(plan: &Plan, thermometer: &Thermometer) -> Limits {
    let monitor = &plan.monitor;
    let freedom = thermometer.degrees_of_freedom as f64;
    Limits {
        force: monitor.force,
        contact: monitor.contact,
        kinetic: monitor.temperature.map(|kt| 0.5 * kt * freedom),
        held_mass: thermometer.held_mass,
        volume: plan.dynamics.ensemble.pressure().and_then(|_| {
            let volume = first_volume(plan)?;
            Some([volume / MOST_CHANGE, volume * MOST_CHANGE])
        }),
        stop: monitor.action == Action::Stop,
    }
}

/// Flight recorder and audits of a plan.
pub fn guard(plan: &Plan) -> Guard {
    let monitor = &plan.monitor;
    let ring = monitor.record.then(|| Ring::new(plan.start.system.len()));
    let on_gpu = place(&plan.device, precision(&plan.potential)) != Place::Cpu;
    let audit = match monitor.audit {
        Audit::Off => 0,
        Audit::Every(steps) => steps,
        Audit::Auto if on_gpu => AUDIT_GPU,
        Audit::Auto => AUDIT_HOST,
    };
    Guard::new(ring, audit)
}

/// The engine and the program of a plan at a start, with something changed: what a diagnosis replays with. In
/// f64, or with pairs by brute force, it is an engine on the CPU.
///
/// # Errors
/// As for [`engine`].
pub fn variant(plan: &Plan, model: &Model, start: Start, variant: Variant) -> Result<Built> {
    let mut changed = plan.clone();
    let dynamics = &mut changed.dynamics;
    dynamics.timestep /= variant.divisor as f64;
    dynamics.remove_drift *= variant.divisor;
    dynamics.ramps = dynamics.ramps.map(|ramp| ramp.divided(variant.divisor));
    let program = program(&changed);
    let rules = groups::refined(plan, start.step, variant.divisor);
    let noise = thermostat_noise(plan);
    let start = (start.of_replica(replica(plan)).with_groups(rules))
        .with_constraints(plan.constraints.clone());
    let precision = match variant.double {
        true => Precision::F64,
        false => precision(&plan.potential),
    };
    let mut device = plan.device;
    let skin = plan.dynamics.skin;
    if let Some(at) = resident(plan, model, self::precision(&plan.potential))? {
        if !variant.double && !variant.exhaustive {
            let engine = card::engine(plan, model, at, start)?;
            return Ok(Built { engine, program });
        }
        device.kind = DeviceKind::Cpu;
    }
    let skin = (!variant.exhaustive).then_some(skin);
    let field = model.in_host_memory(&start.system, precision, &device, skin)?;
    Ok(Built {
        engine: Box::new(HostEngine::of(start, noise, field)?),
        program,
    })
}

/// What a diagnosis looks at the potential with: in f64 on the CPU where the network runs on a GPU, pairs by brute force.
///
/// # Errors
/// The model does not know an element.
pub fn judge(plan: &Plan, model: &Model) -> Result<Box<dyn ForceField>> {
    let mut device = plan.device;
    if resident(plan, model, precision(&plan.potential))?.is_some() {
        device.kind = DeviceKind::Cpu;
    }
    let field = model.in_host_memory(&plan.start.system, Precision::F64, &device, None)?;
    Ok(Box::new(field))
}

/// The number of a plan's system among those that share its seeds.
fn replica(plan: &Plan) -> u32 {
    plan.start.replica.unwrap_or(0)
}

/// The thermostat's noise, from where the run before left off.
fn thermostat_noise(plan: &Plan) -> Noise {
    let seed = plan.dynamics.ensemble.bath().and_then(|bath| bath.seed);
    Noise::new(seed.unwrap_or(0)).after(plan.dynamics.noise_start)
}

/// The record of energies that drift, thermo table and summary share.
pub fn energies(plan: &Plan) -> Energies {
    let system = &plan.start.system;
    let record = EnergyRecord::measured_by(system.len(), &thermometer(plan));
    Energies::new(record.of_mass(system.total_mass()))
}

/// Names of the files that a run writes into its directory, beside its record.
pub fn files(plan: &Plan) -> Vec<String> {
    let mut names = vec![THERMO.to_owned(), TOPOLOGY.to_owned()];
    if plan.output.view {
        names.extend([VIEW_VMD, VIEW_PYMOL].map(str::to_owned));
    }
    names.extend(trajectory::names(&plan.output.trajectories));
    names.extend(plan.monitor.spread.map(|_| UNCERTAIN.to_owned()));
    if precision(&plan.potential) == Precision::Int8 {
        names.push(INT8.to_owned());
    }
    names.push(FINAL.to_owned());
    names.extend(plan.output.report.then(|| REPORT.to_owned()));
    names
}

/// How far the output files of a plan had come at a checkpoint, in their order; `None` of those that a stage begins with.
///
/// # Errors
/// The checkpoint does not know one of them.
pub fn marks<'c>(plan: &Plan, from: &'c Checkpoint) -> Result<Vec<Option<&'c FileMark>>> {
    let begins = begins_stage(plan, from);
    let mark = |name: &String| match from.file(name) {
        // A file that a stage begins with.
        None if begins => Ok(None),
        found => found
            .map(Some)
            .ok_or_else(|| Error::input(format!("the checkpoint does not know the file {name}"))),
    };
    grown(plan).iter().map(mark).collect()
}

/// Whether a checkpoint is one from which a plan's stage begins.
fn begins_stage(plan: &Plan, from: &Checkpoint) -> bool {
    plan.stage.is_some() && from.step == plan.began().0
}

/// Names of the files that grow in a run, in their order.
fn grown(plan: &Plan) -> Vec<String> {
    let mut names = vec![THERMO.to_owned()];
    names.extend(trajectory::names(&plan.output.trajectories));
    names.extend(plan.monitor.spread.map(|_| UNCERTAIN.to_owned()));
    names
}

/// How far files had come at a checkpoint that are none of a plan's: those of other stages.
pub fn other_marks(plan: &Plan, from: &Checkpoint) -> Vec<FileMark> {
    let own = grown(plan);
    let others = from.files.iter().filter(|mark| !own.contains(&mark.name));
    others.cloned().collect()
}

/// Which stage a plan is, for its checkpoints.
pub fn stage_mark(plan: &Plan) -> Option<StageMark> {
    let stage = plan.stage.as_ref()?;
    let began = &stage.began;
    Some(StageMark {
        name: stage.name.clone(),
        step: began.step,
        time: began.time,
        moved: began.moved.clone(),
    })
}

/// The state of a run that has taken no step, for its checkpoints; `identity` says whose.
pub fn state(plan: &Plan, energies: &Energies, identity: Identity) -> Checkpoint {
    let dynamics = &plan.dynamics;
    Checkpoint {
        step: 0,
        kept: Kept::default(),
        system: plan.start.system.clone(),
        cell: plan.start.cell.clone(),
        positions: Vec::new(),
        velocities: Vec::new(),
        energies: energies.read(Clone::clone),
        stretch: drift::stretch(dynamics.timestep, dynamics.steps),
        files: Vec::new(),
        foreign: Vec::new(),
        identity,
        elapsed: 0.0,
        stage: stage_mark(plan),
    }
}

/// What watches a run, in the order in which it looks. Creates the files in `directory`; with a
/// checkpoint it cuts those that are there back to it instead.
///
/// # Errors
/// A file cannot be created, or is not what it was at the checkpoint.
pub fn reporters(
    plan: &Plan,
    directory: &Path,
    energies: &Energies,
    console: &Console,
    from: Option<&Checkpoint>,
) -> Result<Vec<Box<dyn Reporter>>> {
    let (start, dynamics) = (&plan.start, &plan.dynamics);
    let stretch = from.map_or_else(
        || drift::stretch(dynamics.timestep, dynamics.steps),
        |checkpoint| checkpoint.stretch,
    );
    // All of them are looked at before the first is cut back.
    let marks = from.map(|checkpoint| marks(plan, checkpoint)).transpose()?;
    let verified = |mark: &FileMark| Verified::read(&directory.join(&mark.name), mark);
    let files: Result<Vec<Option<Verified>>> = (marks.into_iter().flatten())
        .map(|mark| mark.map(verified).transpose())
        .collect();
    let mut files = files?.into_iter();
    let topology = directory.join(TOPOLOGY);
    // A run that goes on keeps the one that it began with.
    if from.is_none() || !topology.is_file() {
        let scene = topology::Scene {
            system: &start.system,
            names: start.names.as_deref(),
            cell: &start.cell,
            positions: &start.positions,
        };
        replace(&topology, topology::pdb(&scene)?.as_bytes())?;
    }
    view::write(directory, plan, from.is_some(), console);
    let path = directory.join(THERMO);
    let scope = thermo::Scope {
        cell: &start.cell,
        pressed: match &plan.stage {
            Some(stage) => stage.pressed,
            None => dynamics.ensemble.pressure().is_some(),
        },
        committee: plan.potential.is_committee(),
        every: plan.output.thermo_every,
        end: dynamics.steps,
        external: plan.has_external(),
        audited: match &plan.stage {
            Some(stage) => stage.audited,
            None => plan.monitor.numbers.is_some(),
        },
        stage: plan.stage_name(),
    };
    let thermo = match files.next().flatten() {
        None => Thermo::create(&path, &scope, energies, console)?,
        Some(file) => Thermo::resume(file, &scope, energies, console)?,
    };
    let mut reporters: Vec<Box<dyn Reporter>> = vec![
        Box::new(DriftMonitor::new(energies.clone(), stretch, &plan.monitor)),
        Box::new(thermo),
    ];
    let names = trajectory::names(&plan.output.trajectories);
    for (name, plan) in names.iter().zip(&plan.output.trajectories) {
        let (path, system) = (directory.join(name), &start.system);
        let trajectory = match files.next().flatten() {
            None => Trajectory::create(&path, plan, system, dynamics.timestep)?,
            Some(file) => Trajectory::resume(file, plan, system, dynamics.timestep)?,
        };
        reporters.push(Box::new(trajectory));
    }
    if let (Some(force), Some(every)) = (plan.monitor.spread, plan.spread_every()) {
        let action = plan.monitor.action;
        let limit = SpreadLimit {
            force,
            every,
            action,
        };
        let path = directory.join(UNCERTAIN);
        reporters.push(Box::new(match files.next().flatten() {
            None => SpreadMonitor::create(&path, limit, &start.system)?,
            Some(file) => SpreadMonitor::resume(file, limit, &start.system)?,
        }));
    }
    if let Some(until) = plan.stage.as_ref().and_then(|stage| stage.until) {
        reporters.push(Box::new(SettleMonitor::new(until, energies, console)));
    }
    let progress = Progress::new(console, energies, dynamics.timestep);
    reporters.push(Box::new(progress.of_stage(plan.stage_name())));
    Ok(reporters)
}

/// CPU threads of a plan: those asked for, or one for each core.
pub fn thread_count(plan: &DevicePlan) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
    plan.threads.unwrap_or_else(cores)
}

/// Sets the number of CPU threads, once, before anything uses them.
///
/// # Errors
/// The threads cannot be started.
pub fn threads(plan: &DevicePlan) -> Result<()> {
    let threads = thread_count(plan);
    let built = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global();
    match (built, plan.threads) {
        (Ok(()), _) => Ok(()),
        (Err(e), Some(_)) => Err(Error::input(format!("[device] threads = {threads}: {e}"))),
        (Err(e), None) if e.source().is_some() => Err(Error::run(format!(
            "cannot start {threads} threads: {e}; [device] threads asks for fewer"
        ))),
        // They are there already.
        (Err(_), None) => Ok(()),
    }
}
