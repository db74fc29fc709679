//! Run files of many systems, and what each of them is: what its run alone would be.

use std::fs;
use std::path::{Path, PathBuf};

use mdrun::assemble;
use mdrun::config::plan::{BatchPlan, Plan, VelocityPlan};
use mdrun::config::{self, Asked, RecordedConfig};
use mdrun::core::Vec3;
use mdrun::report::Identity;
use mdrun::units::KELVIN;

use crate::support::root;

/// A product and a power in f64, of what nine digits keep of it.
const NINE_DIGITS: f64 = 5e-9;

/// The tables after `[system]` of a run at constant temperature.
const LANGEVIN: &str = "[potential]\nmodel = \"painn_hcno_gfn2\"\n[dynamics]\nensemble = \"langevin\"\n\
     friction = \"1 1/ps\"\nseed = 7\ntimestep = \"0.5 fs\"\nsteps = 40\n";

/// A run file in a folder of its own.
struct RunFile {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl RunFile {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("many.toml");
        fs::write(&path, text).unwrap();
        Self { folder, path }
    }

    fn batch(&self, overrides: &[&str]) -> BatchPlan {
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        several(config::load_any(&self.path, &overrides, None).unwrap())
    }

    fn member(&self, member: usize) -> Plan {
        config::load_member(&self.path, &[], None, member).unwrap()
    }

    /// Another run file beside it, of one system.
    fn beside(&self, name: &str, text: &str) -> Plan {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        config::load(&path, &[], None).unwrap()
    }

    fn fault(&self, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        let error = config::load_any(&self.path, &overrides, None).unwrap_err();
        error.to_string()
    }
}

fn several(asked: Asked) -> BatchPlan {
    match asked {
        Asked::Several(batch) => *batch,
        Asked::One(plan) => panic!("one system: {:?}", plan.resolved),
        Asked::Staged(staged) => panic!("stages: {:?}", staged.resolved),
    }
}

fn structure(name: &str) -> PathBuf {
    root().join("configs/structures").join(name)
}

fn two_frames() -> PathBuf {
    root().join("tests/all/config/good/files/two_frames.xyz")
}

/// Replicas of ethanol whose bath has temperatures.
fn replicas(count: usize, temperature: &str) -> RunFile {
    RunFile::new(&format!(
        "[system]\nstructure = {:?}\nreplicas = {count}\nvelocities = {{ temperature = \"300 K\", seed = 3 }}\n\
         {LANGEVIN}temperature = {temperature}\n",
        structure("ethanol.xyz")
    ))
}

/// Tables, frames and replicas of three molecules, six members in all.
fn mixed() -> RunFile {
    RunFile::new(&format!(
        "[[system]]\nstructure = {:?}\nvelocities = {{ temperature = [\"200 K\", \"250 K\"], seed = 3 }}\nreplicas = 2\n\
         masses = {{ H = \"2.014 u\" }}\n\
         [[system]]\nstructure = {:?}\nframe = \"all\"\nvelocities = \"from the file\"\n\
         [[system]]\nstructure = {:?}\nvelocities = \"zero\"\n\
         [[system]]\nstructure = {:?}\nframe = -1\nperiodic = false\nvelocities = {{ temperature = \"0 K\", seed = 3 }}\n\
         {LANGEVIN}temperature = [\"300 K\", \"600 K\"]\n[output]\nmembers = \"together\"\n\
         [[output.trajectory]]\nformat = \"xyz\"\nevery = 4\n[device]\nkind = \"cpu\"\nin_flight = 3\n",
        structure("ethanol.xyz"),
        two_frames(),
        structure("aspirin.xyz"),
        two_frames()
    ))
}

/// Temperature of the bath (K).
fn bath(plan: &Plan) -> f64 {
    plan.dynamics.ensemble.bath().unwrap().kt / KELVIN
}

/// A plan without what tells of its run file alone.
fn bare(plan: &Plan) -> Plan {
    Plan {
        source: PathBuf::new(),
        notes: Vec::new(),
        places: Default::default(),
        ..plan.clone()
    }
}

/// The same with a name for its directory, whatever it is.
fn anywhere(plan: &Plan) -> Plan {
    let mut plan = bare(plan);
    plan.output.directory = PathBuf::new();
    plan.resolved["output"]
        .as_table_mut()
        .unwrap()
        .remove("directory");
    plan
}

/// Compares all of two plans; a message that showed them would show the model's bytes.
#[track_caller]
fn assert_same(a: &Plan, b: &Plan, what: &str) {
    assert_eq!(a.resolved, b.resolved, "{what}");
    assert_eq!(a.start, b.start, "{what}");
    assert!(a == b, "{what}");
}

/// Members come by tables, then by frames, then by replicas; each is the replica of its place.
#[test]
fn members_are_in_order() {
    let batch = mixed().batch(&[]);
    let names: Vec<&str> = batch.members.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "ethanol.xyz",
            "ethanol.xyz",
            "two_frames.xyz:0",
            "two_frames.xyz:1",
            "aspirin.xyz",
            "two_frames.xyz:1"
        ]
    );
    let plans: Vec<&Plan> = batch.members.iter().map(|m| &m.plan).collect();
    let numbers: Vec<_> = plans.iter().map(|p| p.start.replica.unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    let atoms: Vec<usize> = plans.iter().map(|p| p.start.system.len()).collect();
    assert_eq!(atoms, [9, 9, 3, 3, 21, 3]);
    // What is of one table alone.
    assert_eq!(plans[1].start.system.masses[8], 2.014);
    assert_eq!(plans[4].start.system.masses[20], 1.008);
    assert_eq!(plans[2].start.positions[0], Vec3::zeros());
    assert_eq!(plans[3].start.positions[0], Vec3::new(0.0, 0.0, 0.1));
    assert_eq!(plans[3].start.cell.periodic(), [true, false, true]);
    assert_eq!(plans[5].start.cell.periodic(), [false; 3]);
    let VelocityPlan::Given(velocities) = &plans[3].start.velocities else {
        panic!("velocities of the file");
    };
    assert!(velocities[1].y > 0.0);
    let drawn = |plan: &Plan| match plan.start.velocities {
        VelocityPlan::Thermal { kt, seed } => Some((kt / KELVIN, seed)),
        VelocityPlan::Given(_) => None,
    };
    let drawn: Vec<_> = plans.iter().map(|plan| drawn(plan)).collect();
    assert!((drawn[0].unwrap().0 - 200.0).abs() < 1e-9, "{drawn:?}");
    assert!((drawn[1].unwrap().0 - 250.0).abs() < 1e-9, "{drawn:?}");
    assert_eq!(drawn[2..], [None; 4]);
    assert_eq!((batch.in_flight, batch.together), (Some(3), true));
    let directory = &plans[0].output.directory;
    assert!(directory.ends_with("trajectories/many"), "{directory:?}");
    assert!(plans.iter().all(|p| p.output == plans[0].output));
}

/// A ladder has one factor from each temperature to the next, and the ends that were given to the bit; a list has one for each.
#[test]
fn temperatures_are_one_for_all_one_each_or_a_ladder() {
    let ladder = replicas(5, "[\"300 K\", \"600 K\"]").batch(&[]);
    let kelvin: Vec<f64> = ladder.members.iter().map(|m| bath(&m.plan)).collect();
    let wanted = [300.0, 356.762_135, 424.264_069, 504.537_85, 600.0];
    for (found, wanted) in kelvin.iter().zip(wanted) {
        assert!((found - wanted).abs() < NINE_DIGITS * wanted, "{kelvin:?}");
    }
    let ends = replicas(5, "\"300 K\"").batch(&[]);
    assert_eq!(bath(&ends.members[0].plan), kelvin[0]);
    assert!(ends.members.iter().all(|m| bath(&m.plan) == kelvin[0]));

    // Downwards, in other units, and with as many temperatures as members.
    let down = replicas(3, "[\"400000 mK\", \"100 K\"]").batch(&[]);
    let kelvin: Vec<f64> = down.members.iter().map(|m| bath(&m.plan)).collect();
    for (found, wanted) in kelvin.iter().zip([400.0, 200.0, 100.0]) {
        assert!((found - wanted).abs() < NINE_DIGITS * wanted, "{kelvin:?}");
    }
    let each = replicas(3, "[\"400 K\", \"0 K\", \"100 K\"]").batch(&[]);
    let kelvin: Vec<f64> = each.members.iter().map(|m| bath(&m.plan)).collect();
    for (found, wanted) in kelvin.iter().zip([400.0, 0.0, 100.0]) {
        assert!((found - wanted).abs() <= 1e-12 * wanted, "{kelvin:?}");
    }
    // A pair for two members is one each, and a list of one is for one member.
    let pair = replicas(2, "[\"0 K\", \"100 K\"]").batch(&[]);
    assert_eq!(bath(&pair.members[0].plan), 0.0);
    let one = replicas(1, "[\"100 K\"]").batch(&[]);
    assert_eq!(bath(&one.members[0].plan), bath(&pair.members[1].plan));
}

/// Member by member: the plan is the one of a run file of one system that says the same, with its replica.
#[test]
fn a_member_is_its_run_alone() {
    let file = mixed();
    let batch = file.batch(&[]);
    let (ethanol, aspirin) = (structure("ethanol.xyz"), structure("aspirin.xyz"));
    let frames = two_frames();
    let systems = [
        format!(
            "structure = {ethanol:?}\nvelocities = {{ temperature = \"200 K\", seed = 3 }}\nmasses = {{ H = \"2.014 u\" }}"
        ),
        format!(
            "structure = {ethanol:?}\nvelocities = {{ temperature = \"250 K\", seed = 3 }}\nmasses = {{ H = \"2.014 u\" }}"
        ),
        format!("structure = {frames:?}\nframe = 0"),
        format!("structure = {frames:?}\nframe = 1"),
        format!("structure = {aspirin:?}\nvelocities = \"zero\""),
        format!(
            "structure = {frames:?}\nframe = -1\nperiodic = false\nvelocities = {{ temperature = \"0 K\", seed = 3 }}"
        ),
    ];
    for (k, system) in systems.iter().enumerate() {
        let member = &batch.members[k].plan;
        let temperature = member.resolved["dynamics"]["temperature"].as_str().unwrap();
        let lone = file.beside(
            "lone.toml",
            &format!(
                "[system]\nreplica = {k}\n{system}\n{LANGEVIN}temperature = {temperature:?}\n\
                 [[output.trajectory]]\nformat = \"xyz\"\nevery = 4\n[device]\nkind = \"cpu\"\n"
            ),
        );
        assert_same(&anywhere(member), &anywhere(&lone), &format!("member {k}"));
        assert_eq!(member.notes, lone.notes, "member {k}");
        let alone = file.member(k);
        assert_same(
            &anywhere(&alone),
            &anywhere(&lone),
            &format!("--member {k}"),
        );
        assert_eq!(
            assemble::start(&alone),
            assemble::start(&lone),
            "--member {k}"
        );
    }
}

/// A member has a directory of its own beside that of all, or the one that is asked for; its run file resolves again to its plan.
#[test]
fn a_member_resolves_again() {
    let file = mixed();
    for k in 0..6 {
        let alone = file.member(k);
        let name = format!("trajectories/many-member-{k:04}");
        assert_eq!(alone.output.directory, file.folder.path().join(name));
        let text = toml::to_string(&alone.resolved).unwrap();
        assert_same(
            &bare(&file.beside("again.toml", &text)),
            &bare(&alone),
            &text,
        );
        let there = Some(Path::new("there"));
        let elsewhere = config::load_member(&file.path, &[], there, k).unwrap();
        assert_eq!(elsewhere.output.directory, Path::new("there"));
        assert_same(&anywhere(&elsewhere), &anywhere(&alone), "elsewhere");
    }
}

/// What a batch resolves to, written down anywhere, is the same batch.
#[test]
fn a_batch_resolves_again() {
    let [many, shipped] = [
        "tests/all/config/many/mixed.toml",
        "configs/conformers.toml",
    ];
    for path in [many, shipped].map(|name| root().join(name)) {
        let first = several(config::load_any(&path, &[], None).unwrap());
        resolves_again(&first);
    }
    let files = [
        mixed(),
        replicas(5, "[\"300 K\", \"600 K\"]"),
        replicas(1, "\"300 K\""),
    ];
    for file in files {
        resolves_again(&file.batch(&[]));
    }
}

fn resolves_again(first: &BatchPlan) {
    let text = toml::to_string(&first.resolved).unwrap();
    let second = RunFile::new(&text).batch(&[]);
    assert_eq!(first.resolved, second.resolved);
    assert_eq!(first.members.len(), second.members.len());
    for (a, b) in first.members.iter().zip(&second.members) {
        assert_eq!(a.name, b.name);
        assert_same(&bare(&a.plan), &bare(&b.plan), &a.name);
    }
    assert_eq!(first.in_flight, second.in_flight);
    assert_eq!(first.together, second.together);
}

/// Each replica has velocities of its own, whatever the number of the others; a single system of that replica has them too.
#[test]
fn velocities_are_of_the_replica_alone() {
    let velocities = |plan: &Plan| assemble::start(plan).velocities;
    let few: Vec<_> = (replicas(3, "\"300 K\"").batch(&[]).members.iter())
        .map(|m| velocities(&m.plan))
        .collect();
    let file = replicas(7, "[\"300 K\", \"600 K\"]");
    let many: Vec<_> = (file.batch(&[]).members.iter())
        .map(|m| velocities(&m.plan))
        .collect();
    assert_eq!(few, many[..3]);
    for k in 0..7 {
        assert!((0..k).all(|other| many[k] != many[other]), "{k}");
    }
    let alone = |replica: &str| {
        let overrides = [
            format!("system.replica={replica}"),
            "dynamics.temperature=300 K".to_owned(),
        ];
        config::load(&file.path, &overrides, None).unwrap()
    };
    // An override of the one key drops the other of the file.
    assert_eq!(alone("5").start.replica, Some(5));
    assert_eq!(velocities(&alone("5")), many[5]);
    let most = alone("4294967295");
    assert_eq!(most.start.replica, Some(u32::MAX));
    let again = ["system.replicas=2".to_owned()];
    let path = file.folder.path().join("alone.toml");
    fs::write(&path, toml::to_string(&most.resolved).unwrap()).unwrap();
    let again = several(config::load_any(&path, &again, None).unwrap());
    assert_eq!(again.members.len(), 2);
}

/// A run goes on as the replica that it was: another one is another run, and so is none.
#[test]
fn the_replica_is_of_the_identity() {
    let file = replicas(3, "\"300 K\"");
    let identity = |plan: &Plan| Identity::of(plan, &[]);
    let [zero, one] = [0, 1].map(|k| file.member(k));
    let differences = identity(&zero).run_differences(&identity(&one));
    assert_eq!(differences, ["system.replica was 0 and is 1 now"]);
    let mut none = zero.clone();
    none.start.replica = None;
    let differences = identity(&none).run_differences(&identity(&zero));
    assert_eq!(differences, ["system.replica was not there and is 0 now"]);
}

/// A run that goes on from its state alone is of the replica that its record tells.
#[test]
fn a_record_tells_the_replica() {
    let file = replicas(3, "\"300 K\"");
    for (plan, replica) in [
        (file.member(2), Some(2)),
        (
            config::load(&root().join("configs/ethanol_nve.toml"), &[], None).unwrap(),
            None,
        ),
    ] {
        let mut start = plan.start.clone();
        start.replica = None;
        let recorded = RecordedConfig {
            config: &plan.resolved,
            path: Path::new("run.json"),
            overrides: &[],
            directory: None,
        };
        assert!(!recorded.is_of_many());
        assert_same(
            &bare(&recorded.from_state(start).unwrap()),
            &bare(&plan),
            "from its state",
        );
        let started = recorded.from_structure().unwrap();
        assert_eq!(started.start.replica, replica);
    }
    for file in [file, mixed()] {
        let recorded = RecordedConfig {
            config: &file.batch(&[]).resolved,
            path: Path::new("run.json"),
            overrides: &[],
            directory: None,
        };
        assert!(recorded.is_of_many());
        assert!(recorded.from_structure().is_err());
    }
}

/// However many there are in the end, what asks for many is a batch; what does not, is none.
#[test]
fn what_asks_for_many_is_a_batch() {
    let one = |text: &str| RunFile::new(&format!("{text}\n{LANGEVIN}temperature = \"300 K\"\n"));
    let (ethanol, frames) = (structure("ethanol.xyz"), two_frames());
    let velocities = "velocities = { temperature = \"300 K\", seed = 3 }";
    for (text, count) in [
        (
            format!("[system]\nreplicas = 1\nstructure = {ethanol:?}\n{velocities}"),
            1,
        ),
        (
            format!("[system]\nframe = \"all\"\nstructure = {ethanol:?}\n{velocities}"),
            1,
        ),
        (
            format!("[[system]]\nstructure = {ethanol:?}\n{velocities}"),
            1,
        ),
        (
            format!("[system]\nframe = \"all\"\nreplicas = 3\nstructure = {frames:?}"),
            6,
        ),
    ] {
        let file = one(&text);
        assert_eq!(file.batch(&[]).members.len(), count, "{text}");
        let error = config::load(&file.path, &[], None).unwrap_err().to_string();
        let numbers = match count {
            1 => "there is one, number 0".to_owned(),
            _ => format!("there are {count}, numbered from 0 to {}", count - 1),
        };
        assert!(error.contains(&numbers), "{error}");
        assert!(error.ends_with("name one with --member K"), "{error}");
        let error = config::load_member(&file.path, &[], None, count).unwrap_err();
        let says = format!("there is no member {count}: {numbers}");
        assert!(error.to_string().contains(&says), "{error}");
    }
    let plain = one(&format!("[system]\nstructure = {ethanol:?}\n{velocities}"));
    let asked = config::load_any(&plain.path, &[], None).unwrap();
    assert!(matches!(asked, Asked::One(_)));
    let error = config::load_member(&plain.path, &[], None, 4)
        .unwrap_err()
        .to_string();
    assert!(error.contains("--set system.replica=4"), "{error}");
}

/// An override of a key of several tables names the table.
#[test]
fn overrides_of_several_tables_name_one() {
    let file = mixed();
    let error = file.fault(&["system.replicas=3"]);
    assert_eq!(
        error,
        "--set system.replicas=3: system has 4 entries, counted from 0: say which is meant, as in system.0.replicas"
    );
    let error = file.fault(&["system.4.replicas=3"]);
    assert!(
        error.contains("system has 4 entries, counted from 0; 4 is none of them"),
        "{error}"
    );
    let error = file.fault(&["system.-1.replicas=3"]);
    assert!(error.contains("-1 is none of them"), "{error}");
    let more = file.batch(&[
        "system.2.replicas=3",
        "system.0.velocities.temperature=[\"200 K\", \"300 K\"]",
    ]);
    assert_eq!(more.members.len(), 8);
    let error = file.fault(&["system.1.structure=nowhere.xyz"]);
    assert!(
        error.starts_with("--set system.1.structure=nowhere.xyz: system.1.structure: "),
        "{error}"
    );
    // So does one of several trajectories.
    let error = file.fault(&["output.trajectory.every=3"]);
    assert!(
        error.ends_with("as in output.trajectory.0.every"),
        "{error}"
    );
}

/// Notes on all members are told once, those on some with their numbers; replicas that cannot differ are noted.
#[test]
fn notes_are_told_once() {
    let file = replicas(20, "\"300 K\"");
    let batch = file.batch(&["system.masses.N=\"15 u\"", "dynamics.timestep=6 fs"]);
    let count = |part: &str| {
        batch
            .notes
            .iter()
            .filter(|note| note.contains(part))
            .count()
    };
    assert_eq!(count("there is no such atom"), 1, "{:?}", batch.notes);
    assert_eq!(count("6 fs is long"), 1, "{:?}", batch.notes);
    assert!(batch.notes.iter().all(|note| !note.contains("member")));
    let some = mixed().batch(&["system.0.masses.N=\"15 u\""]);
    let note = some.notes.iter().find(|note| note.contains("no such atom"));
    assert!(note.unwrap().ends_with("(members 0, 1)"), "{note:?}");
    let same = "the replicas of a system all go the same way";
    let still = [
        "system.velocities=\"zero\"",
        "dynamics={ensemble=\"nve\", timestep=\"0.5 fs\", steps=4}",
    ];
    assert!(
        file.batch(&still)
            .notes
            .iter()
            .any(|note| note.contains(same))
    );
    assert!(
        !file
            .batch(&still[..1])
            .notes
            .iter()
            .any(|note| note.contains(same))
    );
}

/// The shipped file is the one promised, and nothing about it is odd.
#[test]
fn the_shipped_conformers_are_on_a_ladder() {
    let path = root().join("configs/conformers.toml");
    let batch = several(config::load_any(&path, &[], None).unwrap());
    assert_eq!(batch.members.len(), 16);
    assert!(batch.notes.is_empty(), "{:?}", batch.notes);
    let kelvin: Vec<f64> = batch.members.iter().map(|m| bath(&m.plan)).collect();
    let factor = 2_f64.powf(1.0 / 15.0);
    for pair in kelvin.windows(2) {
        assert!(
            (pair[1] / pair[0] - factor).abs() < 2.0 * NINE_DIGITS,
            "{kelvin:?}"
        );
    }
    let directory = &batch.members[0].plan.output.directory;
    assert_eq!(*directory, root().join("trajectories/conformers"));
}
