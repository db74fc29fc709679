//! Batches for the tests of this room: small molecules, and argon under pressure, each with a run alone to compare with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use mdrun::config;
use mdrun::config::plan::{BatchPlan, MemberPlan, Plan};
use mdrun::report::Console;
use mdrun::run::{BatchEnding, BatchRun, Entry, Run};
use mdrun::{Error, Result};

use crate::restart::runs::{Bench, Dynamics, Subject};

/// On the CPU.
pub const CPU: &str = "[device]\nkind = \"cpu\"\n";

/// Molecules of one to nine atoms: (name, structure as XYZ).
pub const MOLECULES: [(&str, &str); 4] = [
    ("hydrogen", "2\n\nH 0 0 0\nH 0 0 0.76\n"),
    ("water", "3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"),
    (
        "methane",
        "5\n\nC 0 0 0\nH 0.63 0.63 0.63\nH -0.63 -0.63 0.63\nH -0.63 0.63 -0.63\nH 0.63 -0.63 -0.63\n",
    ),
    ("ethanol", ""),
];

/// A run file, the folder of its runs, and its members.
pub struct Members {
    pub bench: Bench,
    /// What each member has otherwise than the run file.
    overrides: Vec<Vec<String>>,
    names: Vec<String>,
}

impl Members {
    /// So many molecules of different sizes, at temperatures of their own.
    pub fn molecules(count: usize, dynamics: Dynamics, steps: u64, more: &str) -> Self {
        let bench = Bench::new(Subject::Ethanol, dynamics, steps, &format!("{CPU}{more}"));
        let mut overrides = Vec::new();
        let mut names = Vec::new();
        for k in 0..count {
            let (name, text) = MOLECULES[MOLECULES.len() - 1 - k % MOLECULES.len()];
            let mut own = Vec::new();
            if !text.is_empty() {
                let path = bench.at(&format!("{name}.xyz"));
                fs::write(&path, text).unwrap();
                own.push(format!("system.structure={:?}", path.display().to_string()));
            }
            if dynamics != Dynamics::Nve {
                own.push(format!("dynamics.temperature=\"{} K\"", 150 + 25 * k));
            }
            overrides.push(own);
            names.push(format!("{name}.xyz"));
        }
        Self {
            bench,
            overrides,
            names,
        }
    }

    /// So many replicas of a run file.
    pub fn replicas(bench: Bench, count: usize) -> Self {
        Self {
            bench,
            overrides: vec![Vec::new(); count],
            names: vec!["replica".to_owned(); count],
        }
    }

    /// Has one member something otherwise.
    pub fn set(&mut self, member: usize, key: &str) {
        self.overrides[member].push(key.to_owned());
    }

    pub fn count(&self) -> usize {
        self.names.len()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.bench.at(name)
    }

    /// The plan of a member's lone run into a directory, with something otherwise.
    pub fn alone(&self, member: usize, directory: &Path, more: &[String]) -> Plan {
        let overrides = [&self.overrides[member][..], more].concat();
        let mut plan = config::load(&self.bench.config, &overrides, Some(directory)).unwrap();
        plan.start.replica = Some(member as u32);
        plan
    }

    /// The plan of all members, with something otherwise.
    pub fn plan(&self, directory: &Path, in_flight: Option<usize>, more: &[String]) -> BatchPlan {
        let members: Vec<MemberPlan> = (0..self.count())
            .map(|member| MemberPlan {
                name: self.names[member].clone(),
                plan: self.alone(member, directory, more),
            })
            .collect();
        BatchPlan {
            source: self.bench.config.clone(),
            resolved: members[0].plan.resolved.clone(),
            members,
            in_flight,
            together: false,
            notes: Vec::new(),
        }
    }

    /// Runs all members to their ends.
    pub fn run(&self, directory: &Path, in_flight: Option<usize>) -> BatchEnding {
        run(self.plan(directory, in_flight, &[]), Entry::Begin).unwrap()
    }

    /// Runs a member alone.
    pub fn run_alone(&self, member: usize, directory: &Path) {
        let plan = self.alone(member, directory, &[]);
        let run = Run::open(plan, Entry::Begin, &Console::silent()).unwrap();
        run.to_the_end(&AtomicBool::new(false)).unwrap();
    }
}

/// Runs a batch to its end.
pub fn run(plan: BatchPlan, entry: Entry) -> Result<BatchEnding> {
    run_until(plan, entry, &AtomicBool::new(false))
}

/// Runs a batch to its end, or until the flag is raised.
pub fn run_until(plan: BatchPlan, entry: Entry, flag: &AtomicBool) -> Result<BatchEnding> {
    BatchRun::open(plan, entry, &Console::silent())?.to_the_end(flag)
}

/// Free argon atoms, one each, in a run of so many steps; a member of one atom moves on a line.
pub fn atoms(count: usize, steps: u64, output: &str) -> Members {
    let folder = tempfile::tempdir().unwrap();
    let structure = folder.path().join("atom.xyz");
    fs::write(&structure, "1\n\nAr 0 0 0\n").unwrap();
    let config = folder.path().join("run.toml");
    let text = format!(
        "[system]\nstructure = {:?}\nvelocities = {{ temperature = \"84 K\", seed = 1 }}\n\
         [potential.lennard_jones]\nepsilon = \"0.0103408 eV\"\nsigma = \"3.405 A\"\ncutoff = \"8 A\"\n\
         [dynamics]\nensemble = \"nve\"\ntimestep = \"4 fs\"\nsteps = {steps}\n{output}\n{CPU}",
        structure.display().to_string()
    );
    fs::write(&config, text).unwrap();
    Members::replicas(bench(folder, config), count)
}

fn bench(folder: TempDir, config: PathBuf) -> Bench {
    Bench { folder, config }
}

/// The rows of a batch's thermo table that are a member's, without the column that says so.
pub fn rows_of(text: &str, member: usize) -> Vec<String> {
    let prefix = format!("{member},");
    let rows = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    rows.map(str::to_owned).collect()
}

/// The frame of a member in a file of all, without what says so.
pub fn frame_of(text: &str, member: usize) -> String {
    let tag = format!(" member={member} ");
    let mut lines = text.lines();
    let mut found = String::new();
    while let Some(count) = lines.next() {
        let atoms: usize = count.parse().unwrap();
        let comment = format!("{} ", lines.next().unwrap());
        let rows: Vec<&str> = lines.by_ref().take(atoms).collect();
        let Some((before, _)) = comment.split_once(&tag) else {
            continue;
        };
        found += &format!("{count}\n{before}\n{}\n", rows.join("\n"));
    }
    found
}

/// The cells of a member's row in `members.csv`.
pub fn row_of(directory: &Path, member: usize) -> Vec<String> {
    let text = read(&directory.join("members.csv"));
    let row = text.lines().nth(member + 1).unwrap();
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for c in row.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What an error of the input says.
pub fn refusal(result: Result<BatchEnding>) -> String {
    match result {
        Err(Error::Input(message)) => message,
        other => panic!("{other:?}"),
    }
}
