//! `[constraints]` in run files: what is meant, and what is refused by name.

use std::fs;
use std::path::PathBuf;

use mdrun::config::{self, plan::Plan};
use mdrun::core::observe;
use mdrun::dynamics::ConstraintSolver;
use mdrun::{assemble, units};
use tempfile::TempDir;

use crate::support::{mdrun, root};

/// A run file of a structure of the house, with these keys of dynamics and more tables.
pub struct RunFile {
    _folder: TempDir,
    pub path: PathBuf,
}

impl RunFile {
    pub fn new(structure: &str, dynamics: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        let structure = root().join("configs/structures").join(structure);
        let text = format!(
            "[system]\nstructure = {structure:?}\nvelocities = {{ temperature = \"300 K\", seed = 1 }}\n\
             [potential]\nmodel = \"painn_hcno_gfn2\"\nprecision = \"f64\"\n\
             [dynamics]\n{dynamics}\ntimestep = \"1 fs\"\nsteps = 10\n\
             [output]\nthermo_every = 1\n{more}"
        );
        fs::write(&path, text).unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    pub fn plan(&self) -> mdrun::Result<Plan> {
        config::load(&self.path, &[], None)
    }
}

const NVE: &str = "ensemble = \"nve\"";
const CSVR: &str =
    "ensemble = \"csvr\"\ntemperature = \"300 K\"\nrelaxation = \"0.1 ps\"\nseed = 1";
const LANGEVIN: &str =
    "ensemble = \"langevin\"\ntemperature = \"300 K\"\nfriction = \"1 1/ps\"\nseed = 1";

fn plan(structure: &str, dynamics: &str, constraints: &str) -> Plan {
    let more = format!("[constraints]\n{constraints}\n");
    RunFile::new(structure, dynamics, &more).plan().unwrap()
}

/// 3N less one for each constraint, less what is conserved.
#[test]
fn degrees_of_freedom_are_what_is_left() {
    for (structure, dynamics, keys, left) in [
        ("ethanol.xyz", NVE, "bonds = \"hydrogen\"", 27 - 6 - 6),
        ("ethanol.xyz", LANGEVIN, "bonds = \"hydrogen\"", 27 - 6),
        ("ethanol.xyz", LANGEVIN, "bonds = \"all\"", 27 - 8),
        ("ethanol.xyz", CSVR, "bonds = [[0, 1]]", 27 - 1 - 6),
        ("water64.xyz", NVE, "water = \"rigid\"", 6 * 64 - 3),
        ("water64.xyz", LANGEVIN, "water = \"rigid\"", 6 * 64),
        ("water64.xyz", CSVR, "bonds = \"hydrogen\"", 7 * 64 - 3),
        (
            "water64.xyz",
            CSVR,
            "water = [[0, 1, 2]]\nbonds = [[3, 4]]",
            9 * 64 - 4 - 3,
        ),
        ("ethanol.xyz", NVE, "", 27 - 6),
    ] {
        let plan = plan(structure, dynamics, keys);
        assert_eq!(
            assemble::degrees_of_freedom(&plan),
            left,
            "{structure} {dynamics} {keys}"
        );
        let start = assemble::start(&plan);
        let kinetic = observe::kinetic_energy(&start.system, &start.velocities);
        let kelvin = observe::kt(kinetic, left) / units::KELVIN;
        assert!((kelvin - 300.0).abs() < 1e-9, "{kelvin}");
        if keys.is_empty() {
            continue;
        }
        let constraints = &plan.constraints;
        assert!(constraints.worst(&start.positions).unwrap().deviation < 1e-9);
        assert!(constraints.fastest(&start.positions, &start.velocities) < 1e-9);
    }
}

/// What is resolved says the same again, to the bit, whatever the structure is then.
#[test]
fn constraints_are_resolved_to_numbers() {
    let bare = RunFile::new("ethanol.xyz", LANGEVIN, "").plan().unwrap();
    for keys in [
        "bonds = \"hydrogen\"",
        "bonds = [[0, 1], [2, 1]]\nlengths = [\"1.5 A\", \"1.4 A\"]",
    ] {
        let plan = plan("ethanol.xyz", LANGEVIN, keys);
        let table = plan.resolved["constraints"].clone();
        let text = toml::to_string(table.as_table().unwrap()).unwrap();
        let again = self::plan("ethanol.xyz", LANGEVIN, &text);
        assert_eq!(again.constraints, plan.constraints);
        assert_eq!(again.resolved["constraints"], table);
        // Hydrogens of ethanol, in the order of their numbers.
        assert!(
            plan.constraints
                .bonds
                .windows(2)
                .all(|two| two[0].atoms != two[1].atoms)
        );
        assert_ne!(bare.resolved, plan.resolved);
    }
}

/// A structure that is off by little is brought onto the constraints, and that is said.
#[test]
fn a_structure_is_brought_onto_the_constraints() {
    let plan = plan(
        "water64.xyz",
        NVE,
        "water = \"rigid\"\noh = \"0.9572 A\"\nhh = \"1.5139 A\"",
    );
    let off = plan.constraints.worst(&plan.start.positions).unwrap();
    assert!(
        off.deviation <= plan.constraints.tolerance * 1.01,
        "{off:?}"
    );
    assert!(
        plan.notes
            .iter()
            .any(|n| n.contains("was brought onto the constraints")),
        "{:?}",
        plan.notes
    );
    // In one step, and the same as RATTLE for three distances.
    let solver = ConstraintSolver::new(&plan.constraints, &plan.start.system.masses);
    let mut positions = plan.start.positions.clone();
    solver.bring(&mut positions).unwrap();
    assert_eq!(positions, plan.start.positions);
    // That of the structure itself is not moved by a bond's own length.
    let own = self::plan("ethanol.xyz", NVE, "bonds = \"all\"");
    let bare = RunFile::new("ethanol.xyz", NVE, "").plan().unwrap();
    assert_eq!(own.start.positions, bare.start.positions);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let npt = "ensemble = \"npt\"\ntemperature = \"300 K\"\npressure = \"1 bar\"\nrelaxation = \"0.1 ps\"\nseed = 1\n\
               barostat_relaxation = \"1 ps\"\ncompressibility = \"4.5e-5 1/bar\"";
    let chain = "ensemble = \"nose_hoover\"\ntemperature = \"300 K\"\nrelaxation = \"0.1 ps\"";
    let frozen =
        "water = \"rigid\"\n[[group]]\nname = \"slab\"\natoms = \"index 0:2\"\nfrozen = true";
    let bath = "water = \"rigid\"\n[[group]]\nname = \"hot\"\natoms = \"index 0:2\"\n\
                thermostat = { temperature = \"400 K\", friction = \"2 1/ps\" }";
    for (structure, dynamics, keys, says) in [
        (
            "water64.xyz",
            npt,
            "water = \"rigid\"",
            "run.toml:19:1: constraints: goes with the ensembles",
        ),
        (
            "water64.xyz",
            chain,
            "water = \"rigid\"",
            "and not with \"nose_hoover\"",
        ),
        ("water64.xyz", NVE, frozen, "as those of the group \"slab\""),
        (
            "water64.xyz",
            LANGEVIN,
            bath,
            "as those of the group \"hot\"",
        ),
        (
            "ethanol.xyz",
            NVE,
            "water = \"rigid\"",
            "constraints.water: there is no molecule of water",
        ),
        (
            "ethanol.xyz",
            NVE,
            "water = \"stiff\"",
            "constraints.water: \"stiff\": `\"flexible\"`",
        ),
        (
            "ethanol.xyz",
            NVE,
            "water = [[0, 1, 2]]",
            "oxygen and its two hydrogens are wanted",
        ),
        (
            "ethanol.xyz",
            NVE,
            "water = [[0, 1]]",
            "is not a list of 3 numbers of atoms",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = \"heavy\"",
            "constraints.bonds: \"heavy\"",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = [[0, 9]]",
            "there is no atom 9: the system has 9 atoms",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = [[0, -1]]",
            "is not a list of 2 numbers of atoms",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = []",
            "constraints.bonds: is an empty list",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = [[0, 1], [1, 0]]",
            "atoms 1 and 0 are named twice",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = [[0, 0]]",
            "atom 0 is constrained to itself",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = [[0, 1]]\nlengths = [\"9 A\"]",
            "constraints of more than 5 A are refused",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = [[0, 1]]\nlengths = [\"1.1 A\"]",
            "too far from the 1.1000 A",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = [[0, 1]]\nlengths = [\"1 A\", \"2 A\"]",
            "there are 2 lengths for 1 pair",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = [[0, 1]]\nlengths = [\"1 eV\"]",
            "constraints.lengths",
        ),
        (
            "ethanol.xyz",
            NVE,
            "bonds = \"all\"\nlengths = [\"1 A\"]",
            "is of a list of pairs in bonds",
        ),
        (
            "ethanol.xyz",
            NVE,
            "oh = \"1 A\"",
            "constraints.oh: is of rigid water",
        ),
        (
            "ethanol.xyz",
            NVE,
            "tolerance = 1e-3",
            "constraints.tolerance: a number from 1e-12 to 1e-6",
        ),
        (
            "water64.xyz",
            NVE,
            "water = \"rigid\"\noh = \"1 A\"",
            "constraints.hh: is missing",
        ),
        (
            "water64.xyz",
            NVE,
            "water = \"rigid\"\noh = \"1 A\"\nhh = \"2.1 A\"",
            "are no triangle",
        ),
        (
            "water64.xyz",
            NVE,
            "water = \"rigid\"\nbonds = [[0, 1]]",
            "are named twice",
        ),
        (
            "water64.xyz",
            NVE,
            "water = \"rigid\"\nbonds = \"all\"",
            "there are no such bonds",
        ),
        (
            "water64.xyz",
            NVE,
            "bonds = [[0, 150]]",
            "they are not of one molecule, or lie at two faces",
        ),
    ] {
        let more = format!("[constraints]\n{keys}\n");
        let found = RunFile::new(structure, dynamics, &more).plan();
        let error = found.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains(says), "{keys}: {error:?}");
        assert!(error.contains("constraints"), "{error}");
    }
}

/// Rigid as a whole, and at rest as a whole.
#[test]
fn what_leaves_nothing_to_move_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pair = folder.path().join("pair.xyz");
    fs::write(&pair, "2\n\nH 0 0 0\nH 0 0 0.75\n").unwrap();
    let settings = [format!("system.structure={:?}", pair.display().to_string())];
    let held = "[constraints]\nbonds = \"hydrogen\"\n";
    let file = RunFile::new("ethanol.xyz", NVE, held);
    let error = config::load(&file.path, &settings, None).unwrap_err();
    assert!(
        error.to_string().contains("leaves nothing to move"),
        "{error}"
    );
    let file = RunFile::new("ethanol.xyz", LANGEVIN, held);
    let plan = config::load(&file.path, &settings, None).unwrap();
    assert_eq!(assemble::degrees_of_freedom(&plan), 5);
}

#[test]
fn constraints_are_of_all_stages() {
    let within = "[[stage]]\nname = \"a\"\n[stage.constraints]\nwater = \"rigid\"\n";
    let file = RunFile::new("water64.xyz", LANGEVIN, within);
    let error = config::load_any(&file.path, &[], None).unwrap_err();
    let says = "stage.constraints: [constraints] is of the whole run";
    assert!(error.to_string().contains(says), "{error}");
}

/// Members have the constraints of their own structures, and the run file keeps what is written in it.
#[test]
fn members_have_constraints_of_their_own() {
    let file = RunFile::new("ethanol.xyz", NVE, "[constraints]\nbonds = \"hydrogen\"\n");
    let settings = ["system.replicas=3".to_owned()];
    let config::Asked::Several(batch) = config::load_any(&file.path, &settings, None).unwrap()
    else {
        panic!("it is of many systems");
    };
    let alone = config::load(&file.path, &[], None).unwrap();
    for member in &batch.members {
        assert_eq!(member.plan.constraints, alone.constraints);
    }
    let kept = &batch.resolved["constraints"];
    assert_eq!(kept["bonds"].as_str(), Some("hydrogen"));
    assert_eq!(kept.get("lengths"), None);
    // What does not go with a member is refused of the run.
    let settings = [&settings[..], &["constraints.water=\"rigid\"".to_owned()]].concat();
    let error = config::load_any(&file.path, &settings, None).unwrap_err();
    assert!(
        error.to_string().contains("there is no molecule of water"),
        "{error}"
    );
}

/// Commands that look at a run file tell the degrees of freedom that are left.
#[test]
fn a_check_tells_what_is_left() {
    let file = RunFile::new("ethanol.xyz", NVE, "[constraints]\nbonds = \"hydrogen\"\n");
    let output = mdrun(&["check", file.path.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("15 degrees of freedom"), "{text}");
    assert!(output.status.success(), "{text}");
}
