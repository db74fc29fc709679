//! A client as a force field, and runs whose forces come over a socket: with clients of our own, good and bad.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::forcefield::ForceField as _;
use mdrun::ipi::{Address, Remote};
use mdrun::potential::Evaluation;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::wire::{Answers, BOHR, HARTREE, Square, header};
use crate::support::allocator::largest_allocation;
use crate::support::root;

/// Two divisions and two products by the constants.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// What a client here answers, in hartree and bohr.
const ENERGY: f64 = -3.25;
const FORCES: [[f64; 3]; 2] = [[0.5, -1.0, 2.0], [-0.5, 4.0, 0.125]];
const VIRIAL: Square = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]];

fn reply(atoms: i32, text: i32) -> Vec<u8> {
    let mut bytes = header("FORCEREADY");
    bytes.extend(ENERGY.to_le_bytes());
    bytes.extend(atoms.to_le_bytes());
    for number in FORCES.as_flattened().iter().chain(VIRIAL.as_flattened()) {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(text.to_le_bytes());
    bytes
}

fn good(text: &[u8]) -> Vec<u8> {
    [reply(2, text.len() as i32), text.to_vec()].concat()
}

/// A socket in a folder of its own.
fn socket() -> (TempDir, Address, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    (folder, Address::Unix(path.clone()), path)
}

fn connect(path: &Path) -> UnixStream {
    for _ in 0..200 {
        if let Ok(stream) = UnixStream::connect(path) {
            return stream;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("nobody listens at {}", path.display());
}

/// Answers what it hears, word for word, and returns all that it heard.
fn client(
    path: PathBuf,
    answers: Vec<(&'static str, usize, Vec<u8>)>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut stream = connect(&path);
        let mut heard = Vec::new();
        for (word, more, answer) in answers {
            let mut bytes = vec![0; 12 + more];
            stream.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes[..12], header(word)[..]);
            heard.extend(bytes);
            // The other side may have hung up on the answer before.
            let _ = stream.write_all(&answer);
        }
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        heard.extend(rest);
        heard
    })
}

/// Bytes after the header: of INIT without parameters, and of two atoms.
const INIT: usize = 4 + 4 + 1;
const POSDATA: usize = 2 * 72 + 4 + 2 * 24;

fn atoms() -> (Cell, Vec<Vec3>) {
    let vectors = Mat3::new(9.0, 0.0, 0.0, 3.0, 8.0, 0.0, -2.0, 1.0, 7.0);
    let positions = vec![Vec3::new(0.5, 1.5, -0.25), Vec3::new(2.0, 0.125, 4.0)];
    (Cell::new(vectors, [true; 3]).unwrap(), positions)
}

#[test]
fn a_client_is_a_force_field() {
    let (_folder, address, path) = socket();
    let word = |word: &str| header(word);
    // The first time it wants to be told what to do, the second time it is ready; it has something to say beside its forces.
    let talk = vec![
        ("STATUS", 0, word("NEEDINIT")),
        ("INIT", INIT, Vec::new()),
        ("STATUS", 0, word("READY")),
        ("POSDATA", POSDATA, Vec::new()),
        ("STATUS", 0, word("HAVEDATA")),
        ("GETFORCE", 0, good(b"")),
        ("STATUS", 0, word("READY")),
        ("POSDATA", POSDATA, Vec::new()),
        ("STATUS", 0, word("HAVEDATA")),
        ("GETFORCE", 0, good(&[b'x'; 100_000])),
    ];
    let client = client(path.clone(), talk);
    let mut remote = Remote::new(address, true);
    let (cell, positions) = atoms();
    for _ in 0..2 {
        let found = remote.at(&cell, &positions).unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() <= ROUNDING * b.abs(), "{a} {b}");
        close(found.energy, ENERGY * HARTREE);
        for (force, wanted) in found.forces.iter().zip(FORCES) {
            (0..3).for_each(|a| close(force[a], wanted[a] * HARTREE / BOHR));
        }
        for a in 0..3 {
            for b in 0..3 {
                // The virial is the force along a times the place along b; the derivative by strain has r_a dE/dr_b.
                close(found.strain_derivative[(a, b)], -VIRIAL[b][a] * HARTREE);
            }
        }
    }
    drop(remote);
    assert!(!path.exists(), "the socket is taken away");
    let heard = client.join().unwrap();
    assert_eq!(heard[heard.len() - 12..], header("EXIT")[..]);
    // The first POSDATA, after STATUS, INIT and STATUS.
    let sent = &heard[12 + 12 + INIT + 12..][12..][..POSDATA];
    let number = |n: usize| f64::from_le_bytes(sent[8 * n..8 * n + 8].try_into().unwrap());
    let columns = Mat3::from_fn(|a, k| number(3 * a + k) * BOHR);
    assert!((columns.transpose() - cell.vectors()).amax() < ROUNDING * 10.0);
    let inverse = Mat3::from_fn(|a, k| number(9 + 3 * a + k) / BOHR);
    assert!((columns * inverse - Mat3::identity()).amax() < 1e-14);
    assert_eq!(sent[144..148], 2_i32.to_le_bytes());
    let place = |n: usize| f64::from_le_bytes(sent[148 + 8 * n..156 + 8 * n].try_into().unwrap());
    for (k, r) in positions.iter().enumerate() {
        (0..3).for_each(|a| assert!((place(3 * k + a) * BOHR - r[a]).abs() < 1e-14));
    }
}

/// What a client says that does not speak the protocol ends in an error that tells it, and in no memory for what it only announces.
#[test]
fn bad_clients_are_told() {
    /// A buffer of 64 KiB, and words.
    const MOST_BYTES: usize = 1 << 18;
    let (cell, positions) = atoms();
    let before = || {
        vec![
            ("STATUS", 0, header("READY")),
            ("POSDATA", POSDATA, Vec::new()),
        ]
    };
    let after = |answer: Vec<u8>| {
        let mut talk = before();
        talk.push(("STATUS", 0, header("HAVEDATA")));
        talk.push(("GETFORCE", 0, answer));
        talk
    };
    let mut zeros = reply(2, 0);
    zeros[12 + 8 + 4 + 48..][..72].fill(0);
    for (talk, says) in [
        (
            vec![("STATUS", 0, b"SSH-2.0-Open".to_vec())],
            "sent \"SSH-2.0-Open\"",
        ),
        (
            vec![("STATUS", 0, header("HAVEDATA"))],
            "answered HAVEDATA before positions",
        ),
        (
            vec![("STATUS", 0, header("STATUS"))],
            "answered STATUS before positions",
        ),
        (
            vec![
                ("STATUS", 0, header("NEEDINIT")),
                ("INIT", INIT, Vec::new()),
                ("STATUS", 0, header("NEEDINIT")),
            ],
            "answered NEEDINIT to parameters",
        ),
        (
            [before(), vec![("STATUS", 0, header("READY"))]].concat(),
            "answered READY to positions",
        ),
        (
            after(header("READY")),
            "answered READY when its forces were asked for",
        ),
        (
            after(reply(3, 0)),
            "sent forces on 3 atoms where there are 2",
        ),
        (after(reply(-1, 0)), "sent forces on -1 atoms"),
        (after(reply(i32::MAX, 0)), "sent forces on 2147483647 atoms"),
        (after(reply(2, -1)), "announced -1 bytes of text"),
        (
            after(reply(2, i32::MAX)),
            "announced 2147483647 bytes of text",
        ),
        (after(zeros), "sends no virial"),
    ] {
        let (_folder, address, path) = socket();
        let client = client(path, talk);
        let mut remote = Remote::new(address, true);
        let mut out = Evaluation::zeros(2);
        let (done, largest) = largest_allocation(|| remote.evaluate(&cell, &positions, &mut out));
        let fault = done.unwrap_err().to_string();
        assert!(fault.contains(says), "{says}: {fault}");
        assert!(largest < MOST_BYTES, "{largest}");
        drop(remote);
        client.join().unwrap();
    }
    // One that hangs up, anywhere.
    for length in [0, 7, 12, 15, 24, 30, 100] {
        let (_folder, address, path) = socket();
        let listening = thread::spawn(move || {
            let mut stream = connect(&path);
            let all = [header("READY"), header("HAVEDATA"), good(b"")].concat();
            stream.write_all(&all[..length]).unwrap();
        });
        let fault = Remote::new(address, false)
            .at(&cell, &positions)
            .unwrap_err();
        listening.join().unwrap();
        assert!(fault.to_string().contains("has gone away"), "{fault}");
    }
}

#[test]
fn an_address_has_one_listener() {
    let (folder, address, path) = socket();
    let (cell, positions) = atoms();
    let file = folder.path().join("file");
    fs::write(&file, "precious").unwrap();
    let fault = Remote::new(Address::Unix(file.clone()), false)
        .at(&cell, &positions)
        .unwrap_err();
    assert!(
        fault
            .to_string()
            .contains("something other than a socket is there"),
        "{fault}"
    );
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    // A socket that a program has left behind gives way, one that is listened at does not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let talk = vec![
        ("STATUS", 0, header("READY")),
        ("POSDATA", POSDATA, Vec::new()),
        ("STATUS", 0, header("HAVEDATA")),
        ("GETFORCE", 0, good(b"")),
    ];
    let path_there = path.clone();
    // After the left-over socket is replaced.
    let client = thread::spawn(move || client(path_there, talk).join().unwrap());
    let mut first = Remote::new(address.clone(), false);
    first.at(&cell, &positions).unwrap();
    let fault = Remote::new(address, false)
        .at(&cell, &positions)
        .unwrap_err();
    assert!(
        fault.to_string().contains("another program has it"),
        "{fault}"
    );
    assert_eq!(fault.exit_code(), 2);
    drop(first);
    client.join().unwrap();
}

/// A run file for a structure with these lines in `[potential]`, and what a run wants beside it.
struct Bench {
    folder: TempDir,
    structure: &'static str,
}

const NVE: &str = "ensemble = \"nve\"\ntimestep = \"0.5 fs\"";
const NPT: &str = "ensemble = \"npt\"\ntemperature = \"300 K\"\nrelaxation = \"0.1 ps\"\nseed = 3\n\
                   pressure = \"500 bar\"\nbarostat_relaxation = \"0.5 ps\"\nbarostat_every = 2\n\
                   compressibility = \"4.5e-5 1/bar\"\ncoupling = \"triclinic\"\ntimestep = \"0.5 fs\"";

impl Bench {
    fn new(structure: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, structure }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn address(&self) -> String {
        format!("unix:{}", self.at("socket").display())
    }

    /// A run file for a run into a folder of this name; `potential` is what stands in its table.
    fn file(&self, name: &str, potential: &str, dynamics: &str) -> String {
        let file = self.at(&format!("{name}.toml"));
        let structure = root().join(self.structure);
        let text = format!(
            "[system]\nstructure = {structure:?}\nvelocities = {{ temperature = \"300 K\", seed = 1 }}\n\
             [potential]\n{potential}\n[dynamics]\n{dynamics}\nsteps = 60\n\
             [output]\ndirectory = {:?}\nthermo_every = 1\n[[output.trajectory]]\nformat = \"xyz\"\nevery = \"1 fs\"\n\
             [device]\nkind = \"cpu\"\n",
            self.at(name)
        );
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn start(&self, name: &str, potential: &str, dynamics: &str) -> Child {
        self.mdrun(&[&self.file(name, potential, dynamics), "-q"])
    }

    fn socket(&self) -> String {
        format!("socket = {:?}", self.address())
    }

    fn over_the_socket(&self, name: &str, dynamics: &str) -> Child {
        self.start(name, &self.socket(), dynamics)
    }

    fn mdrun(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_mdrun"))
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Starts `mdrun serve` for it.
    fn serve(&self) -> Child {
        let structure = root().join(self.structure);
        let fixed = [
            "serve",
            "--model",
            "painn_hcno_gfn2",
            "--precision",
            "f64",
            "--structure",
        ];
        self.mdrun(
            &[
                &fixed[..],
                &[structure.to_str().unwrap(), "--address", &self.address()],
            ]
            .concat(),
        )
    }

    fn positions(&self, name: &str) -> Vec<f64> {
        let text = fs::read_to_string(self.at(name).join("final.xyz")).unwrap();
        let rows = text.lines().skip(2);
        rows.flat_map(|row| {
            row.split_whitespace()
                .skip(1)
                .take(3)
                .map(|x| x.parse().unwrap())
                .collect::<Vec<f64>>()
        })
        .collect()
    }

    /// The hash of everything that a run leaves that has no times in it.
    fn hashes(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let names = ["thermo.csv", "traj.xyz", "final.xyz"];
        let hash =
            |file: &str| Sha256::digest(fs::read(self.at(name).join(file)).unwrap()).to_vec();
        names.map(|file| (file.to_owned(), hash(file))).into()
    }
}

fn done(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A run whose forces come over a socket is the run that has the potential itself: at constant energy, and, where the virial moves the
/// cell, at constant pressure.
#[test]
fn a_run_over_a_socket_is_the_run_without() {
    /// What is rounded on the way through hartree and bohr, 1e-16 of 10 A, after 60 steps of little chaos (angstrom).
    const TOLERANCE: f64 = 1e-9;
    for (structure, dynamics) in [
        ("configs/structures/ethanol.xyz", NVE),
        ("configs/structures/water64.xyz", NPT),
    ] {
        let bench = Bench::new(structure);
        let run = bench.over_the_socket("socket_run", dynamics);
        let client = bench.serve();
        done(run);
        assert!(said(&done(client)).contains("the server has ended the session; 61 evaluations"));
        let own = "model = \"painn_hcno_gfn2\"\nprecision = \"f64\"";
        done(bench.start("own_run", own, dynamics));
        let (theirs, ours) = (bench.positions("socket_run"), bench.positions("own_run"));
        let off = theirs
            .iter()
            .zip(&ours)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        println!("{structure}: positions differ by {off:.1e} A after 60 steps");
        assert!(ours.len() > 26 && off < TOLERANCE, "{off}");
        let volume = |name: &str| {
            let thermo = fs::read_to_string(bench.at(name).join("thermo.csv")).unwrap();
            let column = thermo
                .lines()
                .next()
                .unwrap()
                .split(',')
                .position(|c| c == "volume_a3");
            column.map(|k| {
                let values = thermo
                    .lines()
                    .skip(1)
                    .map(|row| row.split(',').nth(k).unwrap().parse::<f64>().unwrap());
                values.collect::<Vec<f64>>()
            })
        };
        if let (NPT, Some(volumes)) = (dynamics, volume("socket_run")) {
            let change = (volumes[60] - volumes[0]).abs();
            assert!(change > 1.0, "the cell has moved by {change} A^3 only");
        }
    }
}

/// Whether the newest checkpoint of a run is there: its steps, by resuming to them.
fn wait_for_lines(path: &Path, least: usize) {
    for _ in 0..1000 {
        let lines = fs::read_to_string(path).map_or(0, |text| text.lines().count());
        if lines >= least {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{} does not grow", path.display());
}

/// A client that is gone ends the run with a checkpoint of the step before, and a word; with another client it goes on to the bytes
/// of a run that nobody disturbed.
#[test]
fn a_client_that_goes_away_costs_nothing() {
    let bench = Bench::new("configs/structures/water64.xyz");
    let whole = bench.over_the_socket("whole", NVE);
    let client = bench.serve();
    done(whole);
    done(client);
    let run = bench.over_the_socket("run", NVE);
    let mut client = bench.serve();
    wait_for_lines(&bench.at("run/thermo.csv"), 12);
    client.kill().unwrap();
    client.wait().unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("has gone away; the checkpoint of step"),
        "{text}"
    );
    assert!(text.contains("go on with mdrun resume"), "{text}");
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.at("run/run.json")).unwrap()).unwrap();
    assert_eq!(record["status"], "failed");
    let (_, step) = text.split_once("the checkpoint of step ").unwrap();
    let step: u64 = step.split_whitespace().next().unwrap().parse().unwrap();
    // A checkpoint of its own: the first is of step 0, and no other was due.
    assert!(step >= 10, "{step}");
    let resumed = bench.mdrun(&["resume", bench.at("run").to_str().unwrap(), "-q"]);
    let client = bench.serve();
    done(resumed);
    done(client);
    assert_eq!(bench.hashes("run"), bench.hashes("whole"));
}

/// `mdrun check` puts a client to its tests: forces and energies of `mdrun serve` are as sound as those of its model.
#[test]
fn a_check_asks_the_client() {
    let bench = Bench::new("configs/structures/ethanol.xyz");
    let file = bench.file("checked", &bench.socket(), NVE);
    let check = bench.mdrun(&["check", &file]);
    let client = bench.serve();
    let output = done(check);
    done(client);
    let text = String::from_utf8_lossy(&output.stdout);
    for finding in [
        "forces of a client at",
        "forces are slopes",
        "not looked at: a client",
    ] {
        assert!(text.contains(finding), "{finding}: {text}");
    }
}

/// A client may take hours for a step: what asks the run to end is heard meanwhile, and where a client is still waited for.
#[test]
fn a_signal_is_heard_while_a_client_computes() {
    let bench = Bench::new("configs/structures/ethanol.xyz");
    let run = bench.over_the_socket("waiting", NVE);
    let path = bench.at("socket");
    while !path.exists() {
        thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let output = run.wait_with_output().unwrap();
    let code = Some(128 + Signal::INT.as_raw());
    assert_eq!(output.status.code(), code, "{}", said(&output));
    assert!(said(&output).contains("SIGINT came before the first step"));
    assert!(
        !bench.at("waiting").exists() && !path.exists(),
        "nothing is left behind"
    );
    let run = bench.over_the_socket("run", NVE);
    let mut line = connect(&path);
    // Four evaluations, and silence.
    let forces = vec![0_u8; 9 * 24];
    for _ in 0..4 {
        for (word, more, answer) in [
            ("STATUS", 0, header("READY")),
            ("POSDATA", 2 * 72 + 4 + 9 * 24, Vec::new()),
            ("STATUS", 0, header("HAVEDATA")),
            (
                "GETFORCE",
                0,
                [
                    header("FORCEREADY"),
                    vec![0; 8],
                    9_i32.to_le_bytes().to_vec(),
                    forces.clone(),
                    vec![0; 76],
                ]
                .concat(),
            ),
        ] {
            assert_eq!(Answers(&mut line).word(), word);
            line.read_exact(&mut vec![0; more]).unwrap();
            line.write_all(&answer).unwrap();
        }
    }
    assert_eq!(Answers(&mut line).word(), "STATUS");
    kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(128 + Signal::TERM.as_raw()),
        "{}",
        said(&output)
    );
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.at("run/run.json")).unwrap()).unwrap();
    assert_eq!(record["status"], "interrupted");
    assert!(bench.at("run/final.xyz").exists());
    // It was told.
    let mut rest = Vec::new();
    line.read_to_end(&mut rest).unwrap();
    assert_eq!(rest[rest.len() - 12..], header("EXIT")[..]);
}
