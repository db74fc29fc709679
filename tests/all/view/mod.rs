//! `view.vmd` and `view.pml`: what they show, run by Tcl with VMD's commands as recorders, and by PyMOL itself; and when they
//! are written.

mod files;
mod pymol;
mod vmd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mdrun::core::elements::covalent_radius;
use mdrun::core::{Cell, Mat3, Vec3, elements};
use mdrun::formats;
use tempfile::TempDir;

use crate::support::root;

/// Says why a test is skipped.
///
/// # Panics
/// It may not be: the variable is set.
fn skip(why: &str, variable: &str) {
    let required = std::env::var_os(variable).is_some();
    assert!(!required, "{why}, and {variable} is set");
    eprintln!("skipped: {why}");
}

/// What is run: a structure, and what it is to the eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// Ethanol without a cell.
    Molecule,
    /// 64 waters in a cube.
    Liquid,
    /// 256 argons in a cube.
    Atoms,
    /// Diamond in a triclinic cell that is not in the orientation of viewers.
    Crystal,
    /// The waters in a cube that is turned about no axis in particular.
    TurnedLiquid,
}

const SUBJECTS: [Subject; 5] = [
    Subject::Molecule,
    Subject::Liquid,
    Subject::Atoms,
    Subject::Crystal,
    Subject::TurnedLiquid,
];

/// Length of a bond in diamond (angstrom).
const DIAMOND_BOND: f64 = 1.545;

impl Subject {
    fn has_cell(self) -> bool {
        self != Self::Molecule
    }

    /// The structure as extended XYZ.
    fn structure(self) -> String {
        let shipped = |name: &str| {
            let path = root().join("configs/structures").join(name);
            fs::read_to_string(path).unwrap()
        };
        match self {
            Self::Molecule => shipped("ethanol.xyz"),
            Self::Liquid => shipped("water64.xyz"),
            Self::Atoms => shipped("argon256.xyz"),
            Self::Crystal => diamond(),
            Self::TurnedLiquid => turned(&shipped("water64.xyz")),
        }
    }
}

fn xyz(vectors: &Mat3, atoms: &[(&str, Vec3)]) -> String {
    let lattice: Vec<String> = (vectors.transpose().iter()).map(f64::to_string).collect();
    let mut text = format!(
        "{}\nLattice=\"{}\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"\n",
        atoms.len(),
        lattice.join(" ")
    );
    for (symbol, r) in atoms {
        text += &format!("{symbol} {} {} {}\n", r.x, r.y, r.z);
    }
    text
}

/// Three primitive cells of diamond along each vector, whose cells are rhombohedral with angles of 60 degrees.
fn diamond() -> String {
    let edge = 4.0 * DIAMOND_BOND / 3.0_f64.sqrt();
    let half = 0.5 * edge;
    let primitive = Mat3::new(0.0, half, half, half, 0.0, half, half, half, 0.0);
    let mut atoms = Vec::new();
    for (a, b, c) in (0..27).map(|k| (k / 9, k / 3 % 3, k % 3)) {
        let corner = primitive.transpose() * Vec3::new(f64::from(a), f64::from(b), f64::from(c));
        atoms.push(("C", corner));
        atoms.push(("C", corner + Vec3::repeat(0.25 * edge)));
    }
    xyz(&(primitive * 3.0), &atoms)
}

/// A structure turned as a whole.
fn turned(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.xyz");
    fs::write(&path, text).unwrap();
    let read = formats::read(&path).unwrap();
    let angles = nalgebra::Rotation3::from_euler_angles(0.3, -0.7, 1.9);
    let rotation = angles.matrix();
    let symbols = read.species.iter().map(|&z| elements::symbol(z));
    let placed = read.positions.iter().map(|r| rotation * r);
    let atoms: Vec<(&str, Vec3)> = symbols.zip(placed).collect();
    xyz(&(read.vectors.unwrap() * rotation.transpose()), &atoms)
}

/// Steps of a run, and steps between frames.
const STEPS: u64 = 6;
const EVERY: u64 = 2;

/// A finished run in a directory of a name of its own.
struct Scene {
    folder: TempDir,
    directory: PathBuf,
    subject: Subject,
}

/// A run that does nothing to speak of, into `run` beside the run file.
fn run_file(subject: Subject, trajectories: &[&str], more: &str) -> String {
    let wrap = format!("wrap = {}\n", more.contains("wrapped"));
    let mut text = "[system]\nstructure = \"in.xyz\"\nvelocities = \"zero\"\n\
        [potential.lennard_jones]\nepsilon = \"1e-9 eV\"\nsigma = \"0.3 A\"\ncutoff = \"1 A\"\n\
        [dynamics]\nensemble = \"nve\"\ntimestep = \"0.01 fs\"\nsteps = @steps@\n\
        [device]\nkind = \"cpu\"\nthreads = 1\n\
        [monitor]\ncontact = \"off\"\n[output]\ndirectory = \"run\"\nthermo_every = 1\n"
        .replace("@steps@", &STEPS.to_string());
    text += more.trim_start_matches("wrapped");
    for format in trajectories {
        text += &format!("[[output.trajectory]]\nformat = {format:?}\nevery = {EVERY}\n");
        if subject.has_cell() {
            text += &wrap;
        }
    }
    text
}

impl Scene {
    /// A run with trajectories of these formats in a directory of this name; `more` are lines of `[output]`, after the word
    /// `wrapped` where molecules are to be moved into the cell.
    fn of(subject: Subject, trajectories: &[&str], name: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("in.xyz"), subject.structure()).unwrap();
        let text = run_file(subject, trajectories, more);
        fs::write(folder.path().join("run.toml"), text).unwrap();
        let directory = folder.path().join(name);
        let output = Command::new(env!("CARGO_BIN_EXE_mdrun"))
            .args(["run.toml", "-q", "--out"])
            .arg(&directory)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        Self {
            folder,
            directory,
            subject,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Atoms of the topology, as it has them: elements, positions, cell.
    fn topology(&self) -> (Vec<u8>, Vec<Vec3>, Cell) {
        let read = formats::read(&self.path("topology.pdb")).unwrap();
        let cell = read.cell().unwrap();
        (read.species, read.positions, cell)
    }

    /// Pairs of atoms that are as near as bonded ones, as they are placed: their radii and 0.4 A, by brute force.
    fn bonds(&self) -> Vec<[usize; 2]> {
        let (species, positions, _) = self.topology();
        let radius = |i: usize| covalent_radius(species[i]).unwrap();
        let mut found = Vec::new();
        for j in 0..species.len() {
            for i in 0..j {
                let apart = (positions[j] - positions[i]).norm();
                if apart < radius(i) + radius(j) + 0.4 {
                    found.push([i, j]);
                }
            }
        }
        found.sort_unstable();
        found
    }
}

/// The right numbers of bonds are known besides: ethanol has 8, each water 2; argon has none; in diamond every atom has
/// four, and of the 108 those that cross no face are there.
#[test]
fn the_subjects_have_the_bonds_that_they_should() {
    for (subject, right) in [
        (Subject::Molecule, 8),
        (Subject::Liquid, 128),
        (Subject::Atoms, 0),
        (Subject::Crystal, 81),
        (Subject::TurnedLiquid, 128),
    ] {
        let scene = Scene::of(subject, &[], "run", "");
        assert_eq!(scene.bonds().len(), right, "{subject:?}");
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
