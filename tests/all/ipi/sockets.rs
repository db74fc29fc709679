//! `mdrun serve` with servers of our own: unix sockets and ports, waiting, reconnecting, signals.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::wire::{self, Peer, Square, header};
use crate::support::atoms::Atoms;
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
