//! Run files that are right, and what they mean.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mdrun::config::{self, Asked, plan::*};
use mdrun::core::rng::{NoiseCourse, NoiseMark};
use mdrun::core::{Mat3, Vec3};
use mdrun::dynamics::{Dynamics, Langevin, Nve, Ramp};
use mdrun::ipi::Address;
use mdrun::models::{EMBEDDED, ModelFile};
use mdrun::potential::Precision;
use mdrun::potential::pair::RepulsionEnd;
use mdrun::units::*;

use crate::support::root;

/// Products and quotients of a few constants.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

fn good(name: &str) -> PathBuf {
    root().join("tests/all/config/good").join(name)
}

fn plan(path: &Path) -> Plan {
    config::load(path, &[], None).unwrap()
}

fn overridden(path: &Path, overrides: &[&str]) -> Result<Plan, String> {
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    config::load(path, &overrides, None).map_err(|e| e.to_string())
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= ROUNDING * b.abs(), "{a} is not {b}");
}

/// The run files of one system in a folder.
fn lone_files(folder: &str) -> Vec<PathBuf> {
    let mut files = toml_files(folder);
    files.retain(|file| matches!(config::load_any(file, &[], None).unwrap(), Asked::One(_)));
    files
}

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files
}

/// The resolved file, written down anywhere, means the same run.
#[test]
fn what_is_resolved_loads_to_the_same_plan() {
    let folder = tempfile::tempdir().unwrap();
    let files = [lone_files("configs"), lone_files("tests/all/config/good")].concat();
    assert!(files.len() >= 11, "{files:?}");
    for file in files {
        let first = plan(&file);
        let copy = folder.path().join("resolved.toml");
        std::fs::write(&copy, toml::to_string(&first.resolved).unwrap()).unwrap();
        let second = plan(&copy);
        assert_eq!(first.resolved, second.resolved, "{}", file.display());
        let same = Plan {
            source: first.source.clone(),
            notes: first.notes.clone(),
            places: first.places.clone(),
            ..second
        };
        assert_eq!(first, same, "{}", file.display());
    }
}

/// The shipped files say what their names promise, and nothing about them is odd.
#[test]
fn shipped_files_load_without_remarks() {
    for file in lone_files("configs") {
        let plan = plan(&file);
        let stem = file.file_stem().unwrap().to_str().unwrap();
        assert_eq!(
            plan.output.directory,
            root().join("trajectories").join(stem)
        );
        let langevin = matches!(plan.dynamics.ensemble, Dynamics::Langevin(_));
        assert_eq!(langevin, stem.ends_with("langevin"), "{stem}");
        assert!(plan.notes.is_empty(), "{stem}: {:?}", plan.notes);
        let periodic = stem.starts_with("water") || stem.starts_with("argon");
        assert_eq!(plan.start.cell.periodic(), [periodic; 3], "{stem}");
    }
}

#[test]
fn the_ethanol_run_is_the_one_promised() {
    let plan = plan(&root().join("configs/ethanol_nve.toml"));
    assert_eq!(plan.start.system.species, [6, 6, 8, 1, 1, 1, 1, 1, 1]);
    assert!(!plan.start.cell.is_given());
    let VelocityPlan::Thermal { kt, seed } = plan.start.velocities else {
        panic!("velocities are drawn");
    };
    close(kt, 300.0 * 8.617_333_262_145_179e-5);
    assert_eq!(seed, 1);
    assert_eq!(plan.dynamics.ensemble, Dynamics::Nve(Nve));
    close(plan.dynamics.timestep, 0.5 * FEMTOSECOND);
    assert_eq!(plan.dynamics.steps, 20_000);
    let PotentialPlan::Network { models, precision } = &plan.potential else {
        panic!("a network");
    };
    assert_eq!(*precision, Precision::F32);
    assert_eq!(*models, [ModelFile::Embedded(&EMBEDDED[0])]);
}

/// 256 atoms of argon at the density of the literature.
#[test]
fn the_argon_box_has_the_density_of_liquid_argon() {
    let plan = plan(&root().join("configs/argon_nve.toml"));
    let volume = plan.start.cell.volume().unwrap();
    let density = plan.start.system.total_mass() / volume * 1.660_539_068_92;
    assert!((density - 1.374).abs() < 1e-6, "{density} g/cm^3");
    assert_eq!(plan.start.system.len(), 256);
    assert!(plan.start.system.masses.iter().all(|m| *m == 39.948));
}

/// A limit alone is looked at now and then and warns; an interval alone has no limit.
#[test]
fn audits_of_the_precision_are_what_is_asked_for() {
    use mdrun::config::plan::{NumbersAction, NumbersAudit};
    let file = root().join("configs/ethanol_nve.toml");
    for (sets, meant) in [
        (&[][..], None),
        (&["monitor.precision=\"off\""], None),
        (
            &["monitor.precision=\"5 meV/A\""],
            Some((Some(0.005), 5_000, NumbersAction::Warn)),
        ),
        (
            &["monitor.precision_every=\"100 fs\""],
            Some((None, 200, NumbersAction::Warn)),
        ),
        (
            &[
                "monitor.precision=\"0.1 eV/A\"",
                "monitor.precision_every=300",
                "monitor.precision_action=\"raise\"",
            ],
            Some((Some(0.1), 300, NumbersAction::Raise)),
        ),
    ] {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let plan = mdrun::config::load(&file, &sets, None).unwrap();
        let meant = meant.map(|(limit, every, action)| NumbersAudit {
            limit,
            every,
            action,
        });
        assert_eq!(plan.monitor.numbers, meant, "{sets:?}");
    }
}

#[test]
fn every_key_means_what_it_says() {
    let plan = plan(&good("everything.toml"));
    let vectors = Mat3::new(12.5, 0.0, 0.0, 1.0, 12.5, 0.0, 0.0, -1.0, 45.0);
    assert!((plan.start.cell.vectors() - vectors).amax() < 1e-14);
    assert_eq!(plan.start.cell.periodic(), [true, true, false]);
    let masses: Vec<f64> = plan.start.system.masses[..3].to_vec();
    assert_eq!(masses, [18.0, 2.014, 2.014]);
    let VelocityPlan::Thermal { kt, seed } = plan.start.velocities else {
        panic!("velocities are drawn");
    };
    close(kt, 350.0 * KELVIN);
    assert_eq!(seed, u32::MAX);
    let Dynamics::Langevin(Langevin { kt, friction, seed }) = plan.dynamics.ensemble else {
        panic!("Langevin");
    };
    close(kt, 320.0 * KELVIN);
    close(friction, 2.0 / PICOSECOND);
    assert_eq!(seed, 0);
    assert_eq!(plan.dynamics.steps, 4000);
    assert_eq!(plan.dynamics.remove_drift, 200);
    close(plan.dynamics.skin, 1.0);
    assert_eq!(plan.output.directory, good("somewhere"));
    assert_eq!(plan.output.thermo_every, 20);
    let hours = Duration::from_secs(90 * 60);
    assert_eq!(plan.output.checkpoint, CheckpointPlan::Clock(hours));
    assert!(!plan.output.report);
    assert!(!plan.output.view);
    let noise = NoiseCourse {
        start: NoiseMark { seed: 0, step: 0 },
        draws: true,
    };
    let of = |format, every, wrap, fields: bool| TrajectoryPlan {
        format,
        every,
        wrap,
        velocities: fields,
        forces: fields,
        noise: (format == TrajectoryFormat::Xyz).then_some(noise),
        stage: None,
    };
    let trajectories = [
        of(TrajectoryFormat::Xyz, 7, true, true),
        of(TrajectoryFormat::Dcd, 9, false, false),
        of(TrajectoryFormat::Xtc, 5000, false, false),
    ];
    assert_eq!(plan.output.trajectories, trajectories);
    close(plan.monitor.drift.unwrap(), 2e-3 / PICOSECOND);
    close(plan.monitor.temperature.unwrap(), 1000.0 * KELVIN);
    close(plan.monitor.force.unwrap(), 1000.0 * KCAL_PER_MOL);
    assert_eq!(plan.monitor.contact, Some(0.5));
    assert_eq!(plan.monitor.action, Action::Warn);
    assert_eq!(plan.monitor.audit, Audit::Every(4000));
    assert!(!plan.monitor.record);
    let device = DevicePlan {
        kind: DeviceKind::Cuda(3),
        threads: Some(2),
        engine: EngineChoice::Burn,
    };
    assert_eq!(plan.device, device);
    // 2.1 fs is 8.4 steps; the third trajectory outlasts the run; threads do little for a GPU.
    let says = |part: &str| plan.notes.iter().any(|n| n.contains(part));
    assert!(says(
        "output.trajectory.1.every: \"2.1 fs\" is 8.400000 timesteps, rounded up to 9"
    ));
    assert!(says(
        "output.trajectory.2.every: is more than the run's steps"
    ));
    assert!(says("device.threads: has little to do"));
    assert!(says(
        "system.structure: has 2 molecules that the cell's faces cut; made whole"
    ));
    assert_eq!(plan.notes.len(), 4, "{:?}", plan.notes);
}

#[test]
fn what_is_left_out_has_its_default() {
    let plan = plan(&good("minimal.toml"));
    let zeros = vec![Vec3::zeros(); 9];
    assert_eq!(plan.start.velocities, VelocityPlan::Given(zeros));
    assert_eq!(plan.output.directory, good("trajectories/minimal"));
    assert_eq!(plan.output.thermo_every, 1);
    assert!(plan.output.trajectories.is_empty() && plan.output.view);
    let minutes = Duration::from_secs(10 * 60);
    assert_eq!(plan.output.checkpoint, CheckpointPlan::Clock(minutes));
    assert!(plan.output.report);
    assert_eq!((plan.dynamics.remove_drift, plan.dynamics.skin), (0, 0.5));
    assert_eq!(plan.monitor.drift, None);
    assert_eq!(plan.monitor.force, Some(200.0));
    assert_eq!(plan.monitor.action, Action::Stop);
    assert_eq!(
        (plan.monitor.audit, plan.monitor.record),
        (Audit::Auto, true)
    );
    let device = DevicePlan {
        kind: DeviceKind::Auto,
        threads: None,
        engine: EngineChoice::Auto,
    };
    assert_eq!(plan.device, device);
}

/// The forces of another program: a name is a socket where i-PI and ASE look for it, and the plan keeps what was written.
#[test]
fn forces_may_come_over_a_socket() {
    let plan = plan(&good("socket.toml"));
    let address = Address::Unix("/tmp/ipi_water".into());
    assert_eq!(plan.potential, PotentialPlan::Socket { address });
    assert_eq!(
        plan.resolved["potential"]["socket"].as_str(),
        Some("unix:water")
    );
    // A path is relative to the run file, as all of them are; one that is given instead is the shell's.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.toml");
    let text = fs::read_to_string(good("socket.toml")).unwrap();
    let ethanol = root().join("configs/structures/ethanol.xyz");
    let text = text.replace(
        "../../../../configs/structures/ethanol.xyz",
        ethanol.to_str().unwrap(),
    );
    fs::write(&file, text.replace("unix:water", "unix:./water")).unwrap();
    let beside = |plan: Plan| match plan.potential {
        PotentialPlan::Socket {
            address: Address::Unix(path),
        } => path,
        other => panic!("{other:?}"),
    };
    let path = beside(super::good::plan(&file));
    assert_eq!(path, folder.path().join("water"));
    let path = beside(overridden(&file, &["potential.socket=unix:/a/water"]).unwrap());
    assert_eq!(path, Path::new("/a/water"));
}

/// Lennard-Jones in other units: 0.99774 kJ/mol is 120 K, 16 bohr is 8.4668 A.
#[test]
fn units_of_the_literature_are_understood() {
    let plan = plan(&good("lennard_jones.toml"));
    let PotentialPlan::LennardJones {
        epsilon,
        sigma,
        cutoff,
    } = plan.potential
    else {
        panic!("Lennard-Jones");
    };
    assert!((epsilon / KELVIN - 120.0).abs() < 1e-3);
    close(sigma, 3.405);
    close(cutoff, 16.0 * 0.529_177_210_544);
    assert_eq!(plan.dynamics.steps, 1000);
    assert_eq!(plan.monitor.force, None);
    assert_eq!(plan.monitor.audit, Audit::Off);
    assert!(
        plan.notes
            .iter()
            .any(|n| n.contains("dynamics.timestep: 10 fs is long"))
    );
}

/// A repulsion beside Lennard-Jones: 10 kcal/mol is 0.43364 eV. Without anything else it is ZBL's, up to covalent radii.
#[test]
fn a_repulsion_stands_beside_any_potential() {
    let file = good("repulsion.toml");
    let plan = plan(&file);
    let Some(RepulsionPlan { law, end }) = plan.repulsion else {
        panic!("a repulsion");
    };
    let RepulsionLaw::Power(law) = law else {
        panic!("a power");
    };
    close(law.energy(), 10.0 * 0.043_364_104_241_800_934);
    assert_eq!(law.shape(), (1.5, 12));
    assert_eq!(end, RepulsionEnd::Distance(1.2));
    let kept = &plan.resolved["potential"]["repulsion"];
    assert_eq!(kept["power"].as_integer(), Some(12));
    let plain = overridden(&file, &["potential.repulsion={kind=\"zbl\"}"]).unwrap();
    let zbl = RepulsionPlan {
        law: RepulsionLaw::Zbl,
        end: RepulsionEnd::Covalent,
    };
    assert_eq!(plain.repulsion, Some(zbl));
}

#[test]
fn zero_kelvin_is_at_rest() {
    let plan = plan(&good("slab.toml"));
    assert_eq!(
        plan.start.velocities,
        VelocityPlan::Given(vec![Vec3::zeros(); 12])
    );
    assert_eq!(plan.start.cell.periodic(), [true, true, false]);
}

#[test]
fn a_run_goes_on_from_the_last_frame() {
    let plan = plan(&good("restart.toml"));
    assert_eq!(plan.start.positions[0], Vec3::new(0.0, 0.0, 0.1));
    let VelocityPlan::Given(velocities) = plan.start.velocities else {
        panic!("velocities of the file");
    };
    close(velocities[2].z, -0.012_345_678_901_234_567 / FEMTOSECOND);
    assert_eq!(plan.start.cell.periodic(), [true, false, true]);
    assert_eq!(plan.dynamics.steps, 5, "2.25 fs is 4.5 steps, rounded up");
}

#[test]
fn overrides_replace_add_and_name_themselves() {
    let file = root().join("configs/ethanol_nve.toml");
    let plan = overridden(
        &file,
        &[
            "dynamics.steps=100",
            "output.trajectory.1.every=10",
            "device={kind=\"cpu\", threads=1}",
            "system.velocities.temperature = \"500 K\"",
            "system.masses.H=\"2.014 u\"",
        ],
    )
    .unwrap();
    assert_eq!(plan.dynamics.steps, 100);
    assert_eq!(plan.output.trajectories[1].every, 10);
    assert_eq!(plan.device.kind, DeviceKind::Cpu);
    assert_eq!(plan.start.system.masses[8], 2.014);
    let VelocityPlan::Thermal { kt, seed } = plan.start.velocities else {
        panic!("velocities are drawn");
    };
    close(kt, 500.0 * KELVIN);
    assert_eq!(seed, 1);
    assert!(
        plan.places
            .of("dynamics.steps")
            .starts_with("--set dynamics.steps=100: ")
    );
    let model = plan.places.of("potential.model");
    assert!(
        model.contains("ethanol_nve.toml:22:9: potential.model"),
        "{model}"
    );
    let argon = overridden(
        &file,
        &["potential.lennard_jones={epsilon=\"1 eV\",sigma=\"1 A\",cutoff=\"3 A\"}"],
    );
    assert!(matches!(
        argon.unwrap().potential,
        PotentialPlan::LennardJones { .. }
    ));
}

#[test]
fn bad_overrides_are_named() {
    let file = root().join("configs/ethanol_nve.toml");
    for (overrides, says) in [
        (
            &["dynamics.steps"][..],
            "--set dynamics.steps: KEY=VALUE is wanted",
        ),
        (&["=5"], "--set =5: KEY=VALUE is wanted"),
        (
            &["dynamics.steps="],
            "--set dynamics.steps=: \"\" is not a TOML value",
        ),
        (
            &["dynamics.steps=-1"],
            "--set dynamics.steps=-1: dynamics.steps: -1 is negative",
        ),
        (
            &["dynamics.stepz=1"],
            "--set dynamics.stepz=1: dynamics.stepz: unknown key; did you mean \"steps\"?",
        ),
        (
            &["dynamics.ensemble=langevn"],
            "--set dynamics.ensemble=langevn: dynamics.ensemble: \"langevn\" is not one of \"nve\", \"langevin\"",
        ),
        (
            &["system.cell=[\"12 A\""],
            "\"[\\\"12 A\\\"\" is not a TOML value",
        ),
        (
            &["dynamics.timestep=\"1 K\""],
            "--set dynamics.timestep=\"1 K\": dynamics.timestep: \"K\" is a temperature",
        ),
        (
            &["output.trajectory.2.every=1"],
            "trajectory has 2 entries, counted from 0; 2 is none of them",
        ),
        (
            &["dynamics.timestep.unit=1"],
            "--set dynamics.timestep.unit=1: timestep is a value, not a table",
        ),
        (
            &["dyn amics=1"],
            "--set dyn amics=1: \"dyn amics\" is not a dotted key",
        ),
        (
            &["dynamics.steps=5", "dynamics.duration=\"1 ps\""],
            "--set dynamics.duration=\"1 ps\": dynamics.duration: a run has steps or a duration",
        ),
        (
            &["dynamics.steps=1\ndynamics.seed=1"],
            "--set dynamics.steps=1 dynamics.seed=1: more than one line",
        ),
    ] {
        let error = overridden(&file, overrides).unwrap_err();
        assert!(error.contains(says), "{overrides:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn the_output_directory_can_be_moved() {
    let file = root().join("configs/ethanol_nve.toml");
    let plan = config::load(&file, &[], Some(Path::new("elsewhere"))).unwrap();
    assert_eq!(plan.output.directory, Path::new("elsewhere"));
}

#[test]
fn a_run_file_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"# caf\xe9\n").unwrap();
    for (path, says) in [
        (
            folder.path().join("nowhere.toml"),
            "nowhere.toml: no such run file",
        ),
        (
            folder.path().to_path_buf(),
            "is a directory; name a run file in it",
        ),
        (latin, "latin.toml: is not text (UTF-8)"),
    ] {
        let error = config::load(&path, &[], None).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// Steps, a simulated time in steps of 0.5 fs, or a time on the clock; and what `run.json` keeps means the same.
#[test]
fn checkpoints_come_by_steps_or_by_the_clock() {
    let steps = CheckpointPlan::Steps;
    let clock = |seconds| CheckpointPlan::Clock(Duration::from_secs_f64(seconds));
    for (written, means) in [
        ("5000", steps(5000)),
        ("\"5000 steps\"", steps(5000)),
        ("\"1 step\"", steps(1)),
        ("\"10 ps\"", steps(20_000)),
        ("\"0.9 fs\"", steps(2)),
        ("\"10 min\"", clock(600.0)),
        ("\"90s\"", clock(90.0)),
        ("\"1e-3 s\"", clock(0.001)),
        ("\"0.5 h\"", clock(1800.0)),
        ("\"off\"", CheckpointPlan::Off),
    ] {
        let set = |value: &str| vec![format!("output.checkpoint_every={value}")];
        let run_file = root().join("configs/ethanol_nve.toml");
        let plan = config::load(&run_file, &set(written), None).unwrap();
        assert_eq!(plan.output.checkpoint, means, "{written}");
        let kept = plan.resolved["output"]["checkpoint_every"].to_string();
        let again = config::load(&run_file, &set(&kept), None).unwrap();
        assert_eq!(again.output.checkpoint, means, "{written}, {kept}");
    }
}

/// Lists of a bath are ramps, by times or evenly over the run; the ensemble has what they end at.
#[test]
fn ramps_are_values_at_steps() {
    let plan = plan(&good("ramped.toml"));
    let dynamics = &plan.dynamics;
    let of = |ramp: &Option<Ramp>, unit: f64| -> Vec<[f64; 2]> {
        let points = ramp.as_ref().unwrap().points().iter();
        points.map(|[step, value]| [*step, value / unit]).collect()
    };
    let temperature = of(&dynamics.ramps.temperature, KELVIN);
    let pressure = of(&dynamics.ramps.pressure, BAR);
    for (found, wanted) in [
        (temperature, vec![[0.0, 0.0], [1000.0, 300.0]]),
        (pressure, vec![[0.0, 0.0], [1000.0, 1000.0], [2000.0, 1.0]]),
    ] {
        assert_eq!(found.len(), wanted.len());
        let numbers = found.iter().flatten().zip(wanted.iter().flatten());
        numbers.for_each(|(found, wanted)| close(*found, *wanted));
    }
    close(dynamics.ensemble.bath().unwrap().kt, 300.0 * KELVIN);
    close(dynamics.ensemble.barostat().unwrap().pressure, BAR);
}
