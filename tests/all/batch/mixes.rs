//! Plans of members of different size, and what comes of them alone.

use mdrun::assemble::{self, Model};
use mdrun::config;
use mdrun::config::plan::{Plan, VelocityPlan};
use mdrun::core::{Cell, Fields, FormalElectrons, Mat3, System, Vec3, elements};

use crate::physics::doubles::bits;
use crate::physics::subjects::{KB, SIGMA, face_centred};
use crate::support::atoms::{Atoms, Random};
use crate::support::root;

/// Steps of a member.
pub const STEPS: u64 = 200;

/// A run file that is shipped, and what is set in it.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    pub config: &'static str,
    /// Besides the temperature, where there is one.
    pub overrides: &'static [&'static str],
    pub heated: bool,
    /// Whether its members are argon's.
    pub argon: bool,
    /// Whether all of its members have cells.
    pub periodic: bool,
}

impl Family {
    const fn of(config: &'static str, overrides: &'static [&'static str]) -> Self {
        Self {
            config,
            overrides,
            heated: true,
            argon: false,
            periodic: false,
        }
    }
}

/// Families in the other numbers of a card.
pub const CARD_FAMILIES: [Family; 2] = [
    Family::of("ethanol_langevin.toml", &["potential.precision=\"f16\""]),
    Family {
        periodic: true,
        ..Family::of(
            "water_npt.toml",
            &[
                "dynamics.coupling=\"triclinic\"",
                "potential.precision=\"bf16\"",
            ],
        )
    },
];

/// Every ensemble with a network, and two with Lennard-Jones.
pub const FAMILIES: [Family; 8] = [
    Family {
        heated: false,
        ..Family::of("ethanol_nve.toml", &[])
    },
    Family::of("ethanol_langevin.toml", &[]),
    Family::of(
        "ethanol_nve.toml",
        &[
            "dynamics.ensemble=\"csvr\"",
            "dynamics.relaxation=\"0.1 ps\"",
            "dynamics.seed=5",
        ],
    ),
    Family {
        periodic: true,
        ..Family::of(
            "water_npt.toml",
            &["dynamics.coupling=\"triclinic\"", "dynamics.remove_drift=7"],
        )
    },
    Family {
        heated: false,
        argon: true,
        ..Family::of("argon_nve.toml", &[])
    },
    Family {
        argon: true,
        periodic: true,
        ..Family::of(
            "argon_nve.toml",
            &[
                "dynamics.ensemble=\"npt\"",
                "dynamics.pressure=\"20 bar\"",
                "dynamics.thermostat=\"langevin\"",
                "dynamics.friction=\"2 1/ps\"",
                "dynamics.barostat_relaxation=\"1 ps\"",
                "dynamics.compressibility=\"1e-4 1/bar\"",
                "dynamics.seed=9",
            ],
        )
    },
    Family::of(
        "ethanol_nve.toml",
        &[
            "dynamics.ensemble=\"nose_hoover\"",
            "dynamics.relaxation=\"50 fs\"",
            "dynamics.chain=4",
        ],
    ),
    Family {
        argon: true,
        periodic: true,
        ..Family::of(
            "argon_nve.toml",
            &[
                "dynamics.ensemble=\"mtk\"",
                "dynamics.pressure=\"20 bar\"",
                "dynamics.relaxation=\"100 fs\"",
                "dynamics.barostat_relaxation=\"500 fs\"",
            ],
        )
    },
];

impl Family {
    /// Its plan at a temperature (K), on so many threads, or on a device.
    pub fn plan(&self, kelvin: f64, (device, threads): (&str, usize)) -> Plan {
        let mut overrides: Vec<String> = self.overrides.iter().map(|s| s.to_string()).collect();
        overrides.push(format!("device.kind={device:?}"));
        overrides.push(format!("device.threads={threads}"));
        if self.heated {
            overrides.push(format!("dynamics.temperature=\"{kelvin} K\""));
        }
        let file = root().join("configs").join(self.config);
        let mut plan = config::load(&file, &overrides, None).unwrap();
        // Two hot atoms are beyond what the shipped files allow.
        (plan.monitor.temperature, plan.monitor.force) = (None, None);
        plan
    }

    /// Arrangements of one atom and more.
    pub fn arrangements(&self) -> Vec<Atoms> {
        match (self.argon, self.periodic) {
            (false, false) => vec![
                of_species(&[8], &[Vec3::zeros()]),
                of_species(&[6, 8], &[Vec3::zeros(), Vec3::new(1.15, 0.0, 0.0)]),
                Atoms::shipped("ethanol.xyz"),
                Atoms::shipped("aspirin.xyz"),
                waters(7),
            ],
            (false, true) => vec![waters(1), waters(7), waters(8)],
            (true, false) => vec![
                argon(1, None),
                argon(2, None),
                argon(21, None),
                argon(32, Some(2)),
            ],
            (true, true) => vec![argon(32, Some(2)), argon(4, Some(1))],
        }
    }
}

fn of_species(species: &[u8], positions: &[Vec3]) -> Atoms {
    Atoms {
        species: species.to_vec(),
        cell: Cell::open(),
        positions: positions.to_vec(),
    }
}

/// So many molecules of water, up to eight, on a grid in a cell for eight.
pub fn waters(count: usize) -> Atoms {
    const APART: f64 = 3.1;
    let cell = Cell::new(Mat3::identity() * (2.0 * APART), [true; 3]).unwrap();
    let mut atoms = Atoms {
        species: Vec::new(),
        cell,
        positions: Vec::new(),
    };
    for k in 0..count {
        let place = Vec3::new((k % 2) as f64, (k / 2 % 2) as f64, (k / 4) as f64) * APART;
        // Neighbours are turned against each other.
        let turn = if k.count_ones() % 2 == 0 { 1.0 } else { -1.0 };
        let hydrogens = [Vec3::new(0.76, 0.0, 0.59), Vec3::new(-0.76, 0.0, 0.59)];
        atoms.species.extend([8, 1, 1]);
        atoms.positions.push(place);
        (atoms.positions).extend(hydrogens.map(|h| place + turn * h));
    }
    atoms
}

/// Argon on a lattice: so many atoms of a crystal of 108, or one of `cells`^3 cubes in its cell.
fn argon(count: usize, cells: Option<u32>) -> Atoms {
    let edge = 1.6 * SIGMA;
    let cell = match cells {
        None => Cell::open(),
        Some(n) => Cell::new(Mat3::identity() * (f64::from(n) * edge), [true; 3]).unwrap(),
    };
    let positions = face_centred(cells.unwrap_or(3), edge)[..count].to_vec();
    Atoms {
        species: vec![18; count],
        cell,
        positions,
    }
}

/// One member, and what it is after [`STEPS`] steps alone.
pub struct Case {
    pub plan: Plan,
    pub alone: Vec<u64>,
}

/// All members of a family on the CPU, each at two temperatures, and what each is alone, on another number of threads each.
pub fn cases(family: &Family, random: &mut Random) -> (Model, Vec<Case>) {
    cases_on("cpu", family, random)
}

/// The same on a device.
pub fn cases_on(device: &str, family: &Family, random: &mut Random) -> (Model, Vec<Case>) {
    let mut model = None;
    let mut cases = Vec::new();
    for atoms in family.arrangements() {
        for kelvin in [120.0, 340.0] {
            let threads = 1 + cases.len() % 3;
            let mut plan = family.plan(kelvin, (device, threads));
            place(&mut plan, &atoms, kelvin, cases.len() as u32, random);
            let model = model.get_or_insert_with(|| assemble::load(&mut plan).unwrap());
            let alone = alone(&plan, model);
            cases.push(Case { plan, alone });
        }
    }
    (model.unwrap(), cases)
}

/// Puts atoms into a plan, somewhat shaken, as one replica.
fn place(plan: &mut Plan, atoms: &Atoms, kelvin: f64, replica: u32, random: &mut Random) {
    let start = &mut plan.start;
    start.system = System {
        species: atoms.species.clone(),
        masses: atoms
            .species
            .iter()
            .map(|z| elements::mass(*z).unwrap())
            .collect(),
    };
    start.names = None;
    start.cell = atoms.cell.clone();
    let shaken = |r: &Vec3| r + 0.03 * random.vector();
    start.positions = atoms.positions.iter().map(shaken).collect();
    start.electrons = FormalElectrons::default();
    start.velocities = VelocityPlan::Thermal {
        kt: kelvin * KB,
        seed: 3,
    };
    start.replica = Some(replica);
}

/// Every bit of a member after its lone run.
fn alone(plan: &Plan, model: &Model) -> Vec<u64> {
    let mut engine = assemble::engine(plan, model).unwrap();
    engine.watch(assemble::limits(plan));
    let outcome = engine.run(&assemble::program(plan), 0..STEPS).unwrap();
    assert_eq!(outcome.step, STEPS, "{outcome:?}");
    bits(&engine.snapshot(Fields::ALL).unwrap())
}
