//! `mdrun serve` with servers of our own: unix sockets and ports, waiting, reconnecting, signals, and what a call costs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mdrun::core::{Cell, Vec3};
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::ipi::{Connection, Farewell, Session};
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::{About, Evaluation, Precision};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::wire::{self, Peer, Square, header};
use crate::support::atoms::Atoms;
use crate::support::calculators::{SHIPPED, lennard_jones};
use crate::support::{mdrun, root};

const ETHANOL: &str = "configs/structures/ethanol.xyz";

/// Bohr and back, hartree and back.
const ROUNDING: f64 = 1e-12;

/// Starts `mdrun serve` for a structure.
fn serve(structure: &str, address: &str, more: &[&str]) -> Child {
    let fixed = [
        "serve",
        "--model",
        "painn_hcno_gfn2",
        "--structure",
        structure,
        "--device",
        "cpu",
    ];
    Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .args(fixed)
        .args(["--address", address])
        .args(more)
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The exit code of a client, and what it said.
fn ended(client: Child) -> (Option<i32>, String) {
    let Output {
        status,
        stderr,
        stdout,
    } = client.wait_with_output().unwrap();
    assert!(stdout.is_empty());
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A folder with a socket in it, the server behind it, and the client's word for it.
fn listen() -> (TempDir, PathBuf, UnixListener, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let address = format!("unix:{}", path.display());
    (folder, path, listener, address)
}

fn square(atoms: &Atoms) -> Square {
    let vectors = atoms.cell.vectors();
    [0, 1, 2].map(|k| [0, 1, 2].map(|a| vectors[(k, a)]))
}

fn places(atoms: &Atoms) -> Vec<[f64; 3]> {
    atoms.positions.iter().map(|&r| r.into()).collect()
}

/// Energy, forces and stress over the socket are those of `mdrun energy`; for the stress, of a cell that is no cube.
#[test]
fn a_client_computes_what_energy_prints() {
    let folder = tempfile::tempdir().unwrap();
    let strain = mdrun::core::Mat3::new(0.01, 0.02, 0.0, 0.02, -0.03, 0.01, 0.0, 0.01, 0.0);
    let water = Atoms::shipped("water64.xyz").strained(&strain);
    let path = folder.path().join("strained.xyz");
    std::fs::write(&path, xyz(&water)).unwrap();
    let path = path.to_str().unwrap();
    let none = [[0.0; 3]; 3];
    let ethanol = Atoms::shipped("ethanol.xyz");
    for (structure, atoms, cell) in [(ETHANOL, &ethanol, none), (path, &water, square(&water))] {
        let (_folder, _, listener, address) = listen();
        let client = serve(structure, &address, &[]);
        let mut peer = Peer(listener.accept().unwrap().0);
        let reply = peer.evaluate(cell, &places(atoms));
        peer.send(&header("EXIT"));
        let (code, said) = ended(client);
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("the server has ended the session; 1 evaluation of"),
            "{said}"
        );
        let model = "painn_hcno_gfn2";
        let output = mdrun(&[
            "energy",
            "--model",
            model,
            "--structure",
            structure,
            "--device",
            "cpu",
            "--json",
        ]);
        let wanted: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let number = |value: &serde_json::Value| value.as_f64().unwrap();
        let off = |found: f64, wanted: f64, scale: f64| {
            assert!(
                (found - wanted).abs() < ROUNDING * scale,
                "{found} {wanted}"
            );
        };
        let energy = number(&wanted["energy_ev"]);
        off(reply.energy, energy, energy.abs());
        for (k, force) in reply.forces.iter().enumerate() {
            for a in 0..3 {
                let force_there = number(&wanted["forces_ev_per_angstrom"][k][a]);
                off(force[a], force_there, 10.0);
            }
        }
        let Some(volume) = atoms.cell.volume() else {
            continue;
        };
        for a in 0..3 {
            for b in 0..3 {
                // Stress is positive where the cell would contract, the virial where it would expand.
                let stress = number(&wanted["stress_ev_per_angstrom3"][b][a]);
                off(reply.virial[a][b], -stress * volume, 100.0);
            }
        }
    }
}

fn xyz(atoms: &Atoms) -> String {
    let vectors = atoms.cell.vectors().transpose();
    let lattice: Vec<String> = vectors.iter().map(f64::to_string).collect();
    let mut text = format!(
        "{}\nLattice=\"{}\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"\n",
        atoms.positions.len(),
        lattice.join(" ")
    );
    for (z, r) in atoms.species.iter().zip(&atoms.positions) {
        let symbol = mdrun::core::elements::symbol(*z);
        text += &format!("{symbol} {} {} {}\n", r.x, r.y, r.z);
    }
    text
}

/// A client waits for a server that comes later, under its short name as well as on a port.
#[test]
fn a_server_may_come_later() {
    let ethanol = places(&Atoms::shipped("ethanol.xyz"));
    let none = [[0.0; 3]; 3];
    let name = format!("mdrun_test_{}", std::process::id());
    let client = serve(ETHANOL, &format!("unix:{name}"), &["--precision", "f32"]);
    thread::sleep(Duration::from_millis(700));
    let path = format!("/tmp/ipi_{name}");
    let listener = UnixListener::bind(&path).unwrap();
    let mut peer = Peer(listener.accept().unwrap().0);
    std::fs::remove_file(path).unwrap();
    let single = peer.evaluate(none, &ethanol);
    // Without a word: it ends, and it was no fault of its own.
    drop(peer);
    let (code, said) = ended(client);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("the server has closed the connection; 1 evaluation"),
        "{said}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = serve(ETHANOL, &format!("tcp:localhost:{port}"), &[]);
    let mut peer = Peer(listener.accept().unwrap().0);
    let double = peer.evaluate(none, &ethanol);
    peer.send(&header("EXIT"));
    assert_eq!(ended(client).0, Some(0));
    let off = (single.energy - double.energy).abs();
    // Single precision is off by 1e-5 eV or so for a molecule, and it is not double.
    assert!(off > 0.0 && off < 1e-4, "{off}");
}

#[test]
fn where_there_is_no_server_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:{}/nobody", folder.path().display());
    let began = Instant::now();
    let (code, said) = ended(serve(ETHANOL, &address, &["--wait", "0.3"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("error: no server can be reached at") && said.contains("nobody"),
        "{said}"
    );
    assert!(began.elapsed() >= Duration::from_millis(300));
    for (address, says) in [
        ("nobody", "is no address of a socket; write unix:NAME"),
        ("unix:", "unix: has no name"),
    ] {
        let (code, said) = ended(serve(ETHANOL, address, &[]));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

/// With `--reconnect` the next server is waited for, whether the last one left between two messages or inside of one; without it the
/// latter is an error.
#[test]
fn a_client_goes_on_with_the_next_server() {
    let ethanol = places(&Atoms::shipped("ethanol.xyz"));
    let none = [[0.0; 3]; 3];
    let (_folder, _, listener, address) = listen();
    let client = serve(ETHANOL, &address, &["--reconnect"]);
    let mut replies = Vec::new();
    for leave in [&b""[..], &header("POSDATA")[..7], &header("EXIT")[..]] {
        let mut peer = Peer(listener.accept().unwrap().0);
        assert_eq!(peer.status(), "NEEDINIT");
        replies.push(peer.evaluate(none, &ethanol));
        peer.send(leave);
    }
    let (code, said) = ended(client);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("connected with").count(), 3, "{said}");
    assert!(replies.iter().all(|reply| *reply == replies[0]));
    let (_folder, _, listener, address) = listen();
    let client = serve(ETHANOL, &address, &[]);
    let mut peer = Peer(listener.accept().unwrap().0);
    peer.send(&wire::posdata(none, &ethanol)[..100]);
    drop(peer);
    let (code, said) = ended(client);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("closed in the middle of a message"), "{said}");
    assert!(said.contains("--reconnect would wait"), "{said}");
}

#[test]
fn a_server_that_speaks_otherwise_ends_it() {
    let (_folder, _, listener, address) = listen();
    let client = serve(ETHANOL, &address, &["--reconnect"]);
    let mut peer = Peer(listener.accept().unwrap().0);
    peer.send(b"GET / HTTP/1.1\r\n\r\n");
    let (code, said) = ended(client);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("error: the server sent \"GET / HTTP/1\""),
        "{said}"
    );
    // The line is closed.
    let mut rest = Vec::new();
    assert!(matches!(peer.0.read_to_end(&mut rest), Ok(0) | Err(_)));
}

/// A client that waits, for a server or for its words, hears what asks it to end.
#[test]
fn a_signal_ends_a_client() {
    let (folder, _, listener, address) = listen();
    let nobody = format!("unix:{}/nobody", folder.path().display());
    for (address, connects) in [(&address, true), (&nobody, false)] {
        let mut client = serve(ETHANOL, address, &[]);
        let peer = connects.then(|| Peer(listener.accept().unwrap().0));
        // From its first line on it listens for signals.
        let mut said = String::new();
        let mut lines = BufReader::new(client.stderr.take().unwrap());
        lines.read_line(&mut said).unwrap();
        kill_process(Pid::from_child(&client), Signal::TERM).unwrap();
        lines.read_to_string(&mut said).unwrap();
        let code = client.wait().unwrap().code();
        assert_eq!(code, Some(128 + Signal::TERM.as_raw()), "{said}");
        assert!(said.contains("interrupted by SIGTERM"), "{said}");
        drop(peer);
    }
}

type Build = fn() -> HostForceField;

/// The middle one of so many times (us).
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// A force field that tells how long each evaluation took.
struct Timed {
    inner: HostForceField,
    times: mpsc::Sender<Duration>,
}

impl ForceField for Timed {
    fn cutoff(&self) -> f64 {
        self.inner.cutoff()
    }

    fn evaluate(
        &mut self,
        cell: &Cell,
        positions: &[Vec3],
        out: &mut Evaluation,
    ) -> mdrun::Result<()> {
        let began = Instant::now();
        let done = self.inner.evaluate(cell, positions, out);
        let _ = self.times.send(began.elapsed());
        done
    }

    fn pairs(&self) -> u64 {
        self.inner.pairs()
    }

    fn about(&self) -> About {
        self.inner.about()
    }
}

/// Prints what calls take: the evaluation, back to back and between two calls, and what the socket adds to the latter.
fn tell_costs(name: &str, field: Build, atoms: &Atoms) {
    const CALLS: usize = 400;
    let (_folder, path, listener, _) = listen();
    let stop = Arc::new(AtomicBool::new(false));
    let address = format!("unix:{}", path.display()).parse().unwrap();
    let (cell, places, count) = (square(atoms), places(atoms), atoms.positions.len());
    let (times, evaluations) = mpsc::channel();
    let calls = thread::scope(|scope| {
        scope.spawn(|| {
            let connection = Connection::open(&address, Duration::from_secs(5), &stop).unwrap();
            let room = Box::new(|_: &_, _: &[_]| Ok(()));
            let inner = field();
            let field = Box::new(Timed { inner, times });
            let mut session = Session::new(field, count, atoms.cell.periodic(), room);
            let farewell = session.serve(&connection, &connection).unwrap();
            assert_eq!(farewell, Farewell::Exit);
        });
        let mut peer: Peer<UnixStream> = Peer(listener.accept().unwrap().0);
        peer.evaluate(cell, &places);
        evaluations.recv().unwrap();
        // Made before and looked at by nobody: a server's own time is not counted.
        let posdata = wire::posdata(cell, &places);
        let whole = [posdata.clone(), header("GETFORCE")].concat();
        let mut reply = vec![0; 12 + 8 + 4 + 24 * count + 72 + 4];
        // What a call takes beyond its own evaluation.
        let beyond = |call: &mut dyn FnMut()| {
            let began = Instant::now();
            call();
            let took = began.elapsed();
            took.saturating_sub(evaluations.recv().unwrap())
        };
        let by_word = (0..CALLS).map(|_| {
            beyond(&mut || {
                peer.status();
                peer.send(&posdata);
                peer.status();
                peer.send(&header("GETFORCE"));
                peer.0.read_exact(&mut reply).unwrap();
            })
        });
        let by_word = median(by_word.collect());
        // i-PI 3.3 says all of it at once, and asks how the client is when it has the forces.
        let at_once = (0..CALLS).map(|_| {
            beyond(&mut || {
                peer.send(&whole);
                peer.0.read_exact(&mut reply).unwrap();
                peer.status();
            })
        });
        let at_once = median(at_once.collect());
        peer.send(&header("EXIT"));
        [by_word, at_once]
    });
    let mut field = field();
    let mut out = field.at(&atoms.cell, &atoms.positions).unwrap();
    let direct = (0..CALLS).map(|_| {
        let began = Instant::now();
        field
            .evaluate(&atoms.cell, &atoms.positions, &mut out)
            .unwrap();
        began.elapsed()
    });
    println!(
        "{name}, {count} atoms: {:.1} us an evaluation; beyond it, over the socket, {:.1} us word by word, {:.1} us at once (medians)",
        median(direct.collect()),
        calls[0],
        calls[1]
    );
}

/// Figures, not asserted: what a call over a unix socket takes beyond the evaluation.
#[test]
fn what_a_call_costs() {
    let aspirin = Atoms::shipped("aspirin.xyz");
    let network = || {
        let (spec, weights) = &*SHIPPED;
        let species = &Atoms::shipped("aspirin.xyz").species;
        let fused = FusedPainn::new(spec, weights, species, Precision::F32, 2).unwrap();
        HostForceField::new(Box::new(fused), 1.0)
    };
    tell_costs("PaiNN", network, &aspirin);
    let cheap = || HostForceField::new(Box::new(lennard_jones()), 1.0);
    tell_costs("Lennard-Jones", cheap, &Atoms::shipped("argon256.xyz"));
}
