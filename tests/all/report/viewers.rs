//! From a structure file to what viewers read, by whole runs: names, cells of slabs and wires, molecules
//! that the cell's faces cut.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chemfiles::{Frame, Trajectory as Reader};
use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::formats;
use tempfile::TempDir;

/// How far a lattice vector of up to 13 A may be off (angstrom): PDB has angles to a hundredth of a degree.
const ANGLE: f64 = 13.0 * 0.005 * std::f64::consts::PI / 180.0 + 1e-3;
/// Coordinates of XTC are multiples of 0.01 A, those of PDB of 0.001 A, those of DCD are f32.
const RESOLUTION: f64 = 0.005 * 1.733;

/// A run of one step with a potential that does nothing to speak of.
fn run_file(more: &str) -> String {
    let mut text = "[system]\nstructure = \"in.xyz\"\nvelocities = \"zero\"\n".to_owned();
    text += more;
    text += "\n[potential.lennard_jones]\nepsilon = \"1e-9 eV\"\nsigma = \"0.3 A\"\ncutoff = \"1 A\"\n\
        [dynamics]\nensemble = \"nve\"\ntimestep = \"0.01 fs\"\nsteps = 2\n\
        [output]\ndirectory = \"out\"\nthermo_every = 1\n[monitor]\naudit = 1\ncontact = \"off\"\n\
        [device]\nkind = \"cpu\"\nthreads = 1\n";
    for format in ["xyz", "dcd", "xtc"] {
        text +=
            &format!("[[output.trajectory]]\nformat = \"{format}\"\nevery = 1\nwrap = @wrap@\n");
    }
    text
}

/// A finished run.
struct Run {
    folder: TempDir,
    /// What it said.
    said: String,
}

impl Run {
    /// Of a structure named `in.xyz`, or of another file with more text in `[system]`.
    fn of(name: &str, structure: &str, more: &str, wrap: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), structure).unwrap();
        let text = run_file(more)
            .replace("in.xyz", name)
            .replace("@wrap@", &wrap.to_string());
        fs::write(folder.path().join("run.toml"), text).unwrap();
        let mut run = Self {
            folder,
            said: String::new(),
        };
        run.go(&[]);
        run
    }

    fn go(&mut self, more: &[&str]) {
        let output = Command::new(env!("CARGO_BIN_EXE_mdrun"))
            .arg("run.toml")
            .args(more)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        self.said = String::from_utf8_lossy(&output.stderr).into_owned();
        self.said += &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", self.said);
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    /// First frames by their files: positions and lattice vectors (rows; zeros for none).
    fn frames(&self) -> Vec<(String, Vec<Vec3>, Mat3)> {
        let xyz = formats::read(&self.at("traj.xyz")).unwrap();
        let vectors = xyz.vectors.unwrap_or_else(Mat3::zeros);
        let mut all = vec![("traj.xyz".to_owned(), xyz.positions, vectors)];
        for name in ["traj.dcd", "traj.xtc", "topology.pdb"] {
            let (positions, vectors) = by_chemfiles(&self.at(name));
            all.push((name.to_owned(), positions, vectors));
        }
        all
    }
}

fn by_chemfiles(path: &Path) -> (Vec<Vec3>, Mat3) {
    let mut frame = Frame::new();
    Reader::open(path, 'r').unwrap().read(&mut frame).unwrap();
    let positions = frame.positions().iter().map(|r| Vec3::from(*r)).collect();
    // chemfiles keeps vectors as columns.
    let rows = frame.cell().matrix().map(|row| Vec3::from(row).transpose());
    (positions, Mat3::from_rows(&rows).transpose())
}

/// The distance of two atoms as programs see it that take every direction for periodic.
fn folded(vectors: &Mat3, a: &Vec3, b: &Vec3) -> f64 {
    let cell = Cell::new(*vectors, [true; 3]).unwrap();
    let mut fractional = cell.fractional(&(b - a));
    fractional.iter_mut().for_each(|f| *f -= f.round());
    cell.cartesian(&fractional).norm()
}

const WATER: [[f64; 3]; 3] = [[1.0, 2.0, 3.0], [1.96, 2.0, 3.0], [0.76, 2.0, 3.93]];

fn xyz(lattice: &str, pbc: &str, atoms: &[(&str, Vec3)]) -> String {
    let mut text = format!(
        "{}\nLattice=\"{lattice}\" Properties=species:S:1:pos:R:3 pbc=\"{pbc}\"\n",
        atoms.len()
    );
    for (symbol, r) in atoms {
        text += &format!("{symbol} {} {} {}\n", r.x, r.y, r.z);
    }
    text
}

fn water() -> Vec<(&'static str, Vec3)> {
    ["O", "H", "H"]
        .into_iter()
        .zip(WATER.map(Vec3::from))
        .collect()
}

/// Slabs and wires without vectors along their open directions, along every axis, and one with a vector that
/// is too short: an edge that holds the atoms and vacuum in every file, nothing turned, O-H 0.96 A.
#[test]
fn open_directions_have_an_edge_that_holds_the_atoms() {
    for (lattice, pbc, open) in [
        ("12 0 0 0 12 0 0 0 0", "T T F", &[2][..]),
        ("12 0 0 0 0 0 0 0 12", "T F T", &[1]),
        ("0 0 0 0 12 0 0 0 12", "F T T", &[0]),
        ("12 0 0 0 0 0 0 0 0", "T F F", &[1, 2]),
        ("0 0 0 0 12 0 0 0 0", "F T F", &[0, 2]),
        ("0 0 0 0 0 0 0 0 12", "F F T", &[0, 1]),
        ("12 0 0 0 12 0 0 0 1", "T T F", &[2]),
        ("12 0 0 -4 12 0 0 0 0", "T T F", &[2]),
    ] {
        for wrap in [false, true] {
            let run = Run::of("in.xyz", &xyz(lattice, pbc, &water()), "", wrap);
            let frames = run.frames();
            for (name, positions, vectors) in &frames {
                let what = format!("{name} of {lattice} {pbc} {wrap}");
                for (r, right) in positions.iter().zip(WATER.map(Vec3::from)) {
                    assert!((r - right).norm() <= RESOLUTION, "{what}: {r}");
                }
                for h in &positions[1..] {
                    let distance = folded(vectors, &positions[0], h);
                    assert!(
                        (distance - 0.96).abs() <= 2.0 * RESOLUTION,
                        "{what}: {distance}"
                    );
                }
                for &k in open {
                    let (edge, axis) = (vectors.row(k).norm(), vectors[(k, k)]);
                    assert!(
                        (20.0..40.0).contains(&edge) && (axis - edge).abs() < 1e-6,
                        "{what}: {vectors}"
                    );
                }
                assert!((vectors - frames[0].2).amax() < ANGLE, "{what}: {vectors}");
            }
            let read = formats::read(&run.at("traj.xyz")).unwrap();
            let periodic: Vec<&str> = pbc.split(' ').collect();
            assert_eq!(read.periodic, [0, 1, 2].map(|k| periodic[k] == "T"));
            // What was written means the same run, and so on.
            let cell = read.cell().unwrap();
            assert_eq!(cell.vectors(), &frames[0].2, "{lattice}");
        }
    }
}

/// The edge stays what it was when a run goes on, although atoms have moved: no byte of a file is another.
#[test]
fn a_run_that_goes_on_keeps_cell_and_topology() {
    let structure = xyz("12 0 0 0 12 0 0 0 0", "T T F", &water());
    let mut run = Run::of("in.xyz", &structure, "", true);
    let topology = fs::read(run.at("topology.pdb")).unwrap();
    run.go(&["--resume", "--set", "dynamics.steps=4"]);
    assert_eq!(fs::read(run.at("topology.pdb")).unwrap(), topology);
    let straight = tempfile::tempdir().unwrap();
    let out = straight.path().join("run");
    run.go(&["--set", "dynamics.steps=4", "--out", out.to_str().unwrap()]);
    for name in ["traj.xyz", "traj.dcd", "traj.xtc", "topology.pdb"] {
        assert_eq!(
            fs::read(run.at(name)).unwrap(),
            fs::read(out.join(name)).unwrap(),
            "{name}"
        );
    }
}

/// Molecules that the cell's faces cut are whole in the topology and in the frames, wrapped or not.
#[test]
fn cut_molecules_are_whole_everywhere() {
    let shift = Vec3::new(-0.8, 3.0, 2.0);
    let wrapped = |cell: &Cell| -> Vec<(&str, Vec3)> {
        (water().into_iter())
            .map(|(symbol, r)| (symbol, cell.wrap(&(r + shift))))
            .collect()
    };
    let mut cut = 0;
    for lattice in [
        [10.0, 0.0, 0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 10.0],
        // Triclinic, left-handed, and turned out of the standard orientation.
        [10.0, 0.0, 0.0, 3.0, 9.0, 0.0, -2.0, 1.0, 8.0],
        [0.0, 10.0, 0.0, 10.0, 0.0, 0.0, 0.0, 0.0, 10.0],
        [6.0, 8.0, 0.0, -8.0, 6.0, 1.0, 0.0, 0.0, 11.0],
    ] {
        let cell = Cell::new(Mat3::from_row_slice(&lattice), [true; 3]).unwrap();
        let words: Vec<String> = lattice.iter().map(f64::to_string).collect();
        let atoms = wrapped(&cell);
        let is_cut = atoms[1..]
            .iter()
            .any(|(_, r)| (r - atoms[0].1).norm() > 2.0);
        cut += usize::from(is_cut);
        let structure = xyz(&words.join(" "), "T T T", &atoms);
        for wrap in [false, true] {
            let run = Run::of("in.xyz", &structure, "", wrap);
            let told = run
                .said
                .contains("has 1 molecule that the cell's faces cut");
            assert_eq!(told, is_cut, "{}", run.said);
            for (name, positions, _) in run.frames() {
                let [o, a, b] = positions[..] else {
                    panic!("{name}: {positions:?}")
                };
                for (found, right) in [
                    ((a - o).norm(), 0.96),
                    ((b - o).norm(), 0.960_468_635_614_927_1),
                ] {
                    assert!(
                        (found - right).abs() <= 2.0 * RESOLUTION,
                        "{name} {lattice:?}: {found}"
                    );
                }
            }
        }
    }
    assert!(cut >= 3, "{cut} of the cells cut the molecule");
}

/// A cell that is very skewed is the same lattice as its reduced one: the same energies, and the frames say
/// which vectors were taken. One that lies in a plane is refused.
#[test]
fn a_very_skewed_cell_is_its_lattice() {
    let atoms = water();
    let energies = |lattice: &str| {
        let more = "masses = { O = \"16 u\" }";
        let run = Run::of("in.xyz", &xyz(lattice, "T T T", &atoms), more, false);
        let text = fs::read_to_string(run.at("traj.xyz")).unwrap();
        let start = text.find("energy=").unwrap() + 7;
        let energy: f64 = text[start..].split(' ').next().unwrap().parse().unwrap();
        (energy, run)
    };
    let (right, _) = energies("10 0 0 0 11 0 0 0 12");
    assert!(right.abs() > 1e-14, "the atoms feel each other");
    for lattice in [
        "10 0 0 70 11 0 0 0 12",
        "10 0 0 20000 11 0 0 0 12",
        "10 0 0 -500 11 0 3000 -220 12",
        "10 0 0 70 11 0 80 11 12",
    ] {
        let (found, run) = energies(lattice);
        assert!(
            (found - right).abs() <= 1e-9 * right.abs(),
            "{lattice}: {found} {right}"
        );
        let told = "the cell is very skewed; the reduced one of the same lattice takes its place: \
            cell = [[\"10 A\", \"0 A\", \"0 A\"], [\"0 A\", \"11 A\", \"0 A\"], [\"0 A\", \"0 A\", \"12 A\"]]";
        assert!(run.said.contains(told), "{}", run.said);
        for (name, positions, vectors) in run.frames() {
            let edges = Mat3::from_diagonal(&Vec3::new(10.0, 11.0, 12.0));
            assert!((vectors - edges).amax() < 1e-4, "{name}: {vectors}");
            assert!((positions[1] - atoms[1].1).norm() <= RESOLUTION, "{name}");
        }
    }
}

const PROTEIN: &str = "\
CRYST1   40.000   40.000   40.000  90.00  90.00  90.00 P 1           1
ATOM      1  N   ALA B   5A      1.000   1.000   1.000  1.00  0.00           N
ATOM      2  CA  ALA B   5A      2.450   1.000   1.000  1.00  0.00           C
ATOM      3  C   ALA B   5A      3.000   2.420   1.000  1.00  0.00           C
ATOM      4  O   ALA B   5A      2.300   3.430   1.000  1.00  0.00           O
ATOM      5  N   GLY B   6       4.330   2.500   1.000  1.00  0.00           N
ATOM      6  CA  GLY B   6       5.000   3.790   1.000  1.00  0.00           C
ATOM      7 HA21 GLY B   6       4.700   4.360   1.890  1.00  0.00           H
ATOM      8  C   GLY B   6       6.510   3.640   1.000  1.00  0.00           C
TER
HETATM   10 CA    CA C  -1      20.000  20.000  20.000  1.00  0.00          CA
HETATM   11  O   HOH C 200      10.000  10.000  10.000  1.00  0.00           O
HETATM   12  H1  HOH C 200      10.960  10.000  10.000  1.00  0.00           H
HETATM   13  H2  HOH C 200       9.760  10.930  10.000  1.00  0.00           H
END
";

/// Lines of atoms and ends of chains, without serial numbers, blanks at the ends, and charges.
fn lines(pdb: &str) -> Vec<String> {
    let wanted = ["ATOM", "HETATM", "TER"];
    let lines = pdb
        .lines()
        .filter(|l| wanted.iter().any(|w| l.starts_with(w)));
    lines
        .map(|l| match l.starts_with("TER") {
            true => "TER".to_owned(),
            false => format!("{}{}", &l[..6], l[11..].trim_end()),
        })
        .collect()
}

/// What a PDB calls its atoms comes out as it went in: names, residues, insertion codes, chains, records,
/// and where chains end.
#[test]
fn names_of_a_pdb_are_kept() {
    let run = Run::of("in.pdb", PROTEIN, "", false);
    let topology = fs::read_to_string(run.at("topology.pdb")).unwrap();
    assert_eq!(lines(&topology), lines(PROTEIN));
}
