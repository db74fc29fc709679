//! What a call over a unix socket takes beyond its evaluation: figures beside those of an echo of the same bytes, and how often
//! the system is asked.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mdrun::core::{Cell, Vec3};
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::ipi::{Connection, Farewell, Session};
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::{About, Evaluation, Precision};

use super::wire::{self, Peer, Square, header};
use crate::support::atoms::Atoms;
use crate::support::calculators::{SHIPPED, lennard_jones};

/// Measured calls of each kind.
const CALLS: usize = 2000;
/// Calls that take turns with as many of another kind.
const TURN: usize = 50;
const NONE: Square = [[0.0; 3]; 3];

/// The middle one of so many times (us).
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// A force field that says zeros, in no time.
struct Nothing;

impl ForceField for Nothing {
    fn cutoff(&self) -> f64 {
        1.0
    }

    fn evaluate(&mut self, _: &Cell, _: &[Vec3], _: &mut Evaluation) -> mdrun::Result<()> {
        Ok(())
    }

    fn pairs(&self) -> u64 {
        0
    }

    fn about(&self) -> About {
        HostForceField::new(Box::new(lennard_jones()), 0.0).about()
    }
}

/// A force field that tells how long each evaluation took.
struct Timed {
    inner: Box<dyn ForceField>,
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

/// The messages of a call, and the bytes of the answer that the server waits for after each.
type Script = Vec<(Vec<u8>, usize)>;

fn reply(atoms: usize) -> usize {
    12 + 8 + 4 + 24 * atoms + 72 + 4
}

/// Word by word, as the oldest servers ask.
fn by_word(cell: Square, places: &[[f64; 3]]) -> Script {
    vec![
        (header("STATUS"), 12),
        (wire::posdata(cell, places), 0),
        (header("STATUS"), 12),
        (header("GETFORCE"), reply(places.len())),
    ]
}

/// As i-PI 3.3 asks: all of it at once, and how the client is when it has the forces.
fn at_once(cell: Square, places: &[[f64; 3]]) -> Script {
    let whole = [wire::posdata(cell, places), header("GETFORCE")].concat();
    vec![(whole, reply(places.len())), (header("STATUS"), 12)]
}

/// Says a script, and returns how long it took.
fn say(script: &Script, peer: &mut UnixStream, room: &mut [u8]) -> Duration {
    let began = Instant::now();
    for (message, answer) in script {
        peer.write_all(message).unwrap();
        peer.read_exact(&mut room[..*answer]).unwrap();
    }
    began.elapsed()
}

/// Gives back as many bytes as a client would.
fn echo(mut peer: UnixStream, script: &Script) {
    let mut room = vec![0; script.iter().map(|(m, a)| m.len().max(*a)).max().unwrap()];
    for (message, answer) in script.iter().cycle() {
        if peer.read_exact(&mut room[..message.len()]).is_err() {
            return;
        }
        peer.write_all(&room[..*answer]).unwrap();
    }
}

/// Medians (us) of calls: what they take beyond the evaluation, the evaluation, and an echo of the same bytes.
fn measure(
    field: &(dyn Fn() -> Box<dyn ForceField> + Sync),
    atoms: &Atoms,
    script: &Script,
) -> [f64; 3] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let address = format!("unix:{}", path.display()).parse().unwrap();
    let (times, evaluations) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let connection = Connection::open(&address, Duration::from_secs(5), &stop).unwrap();
            let room = Box::new(|_: &_, _: &[_]| Ok(()));
            let field = Box::new(Timed {
                inner: field(),
                times,
            });
            let count = atoms.positions.len();
            let mut session = Session::new(field, count, atoms.cell.periodic(), room);
            let farewell = session.serve(&connection, &connection).unwrap();
            assert_eq!(farewell, Farewell::Exit);
        });
        let mut peer = listener.accept().unwrap().0;
        let (mut bare, other) = UnixStream::pair().unwrap();
        scope.spawn(|| echo(other, script));
        let mut room = vec![0; 1 << 16];
        say(script, &mut peer, &mut room);
        evaluations.recv().unwrap();
        let (mut beyond, mut within, mut echoes) = (Vec::new(), Vec::new(), Vec::new());
        while beyond.len() < CALLS {
            for _ in 0..TURN {
                let took = say(script, &mut peer, &mut room);
                let evaluation = evaluations.recv().unwrap();
                within.push(evaluation);
                beyond.push(took.saturating_sub(evaluation));
            }
            echoes.extend((0..TURN).map(|_| say(script, &mut bare, &mut room)));
        }
        Peer(peer).send(&header("EXIT"));
        drop(bare);
        [beyond, within, echoes].map(median)
    })
}

fn square(atoms: &Atoms) -> Square {
    let vectors = atoms.cell.vectors();
    [0, 1, 2].map(|k| [0, 1, 2].map(|a| vectors[(k, a)]))
}

fn tell(name: &str, field: &(dyn Fn() -> Box<dyn ForceField> + Sync), atoms: &Atoms) {
    let places: Vec<[f64; 3]> = atoms.positions.iter().map(|&r| r.into()).collect();
    let cell = square(atoms);
    for (how, script) in [
        ("at once", at_once(cell, &places)),
        ("word by word", by_word(cell, &places)),
    ] {
        let [beyond, within, echoes] = measure(field, atoms, &script);
        println!(
            "{name}, {:4} atoms, {how}: {beyond:.1} us beyond {within:.1} us of evaluation, {echoes:.1} us an echo of its bytes",
            atoms.positions.len(),
        );
    }
}

/// Atoms in a row, in the open.
fn row(count: usize) -> Atoms {
    Atoms {
        species: vec![1; count],
        cell: Cell::open(),
        positions: (0..count).map(|k| Vec3::new(k as f64, 0.1, -0.2)).collect(),
    }
}

/// Figures, not asserted (medians of calls that take turns with the echo's): what a call takes beyond the evaluation.
#[test]
fn what_a_call_costs() {
    for count in [9, 21, 102, 256, 1000] {
        tell("zeros", &|| Box::new(Nothing), &row(count));
    }
    let network = || -> Box<dyn ForceField> {
        let (spec, weights) = &*SHIPPED;
        let species = &Atoms::shipped("aspirin.xyz").species;
        let fused = FusedPainn::new(spec, weights, species, Precision::F32, 2).unwrap();
        Box::new(HostForceField::new(Box::new(fused), 1.0))
    };
    tell("PaiNN", &network, &Atoms::shipped("aspirin.xyz"));
    let cheap =
        || -> Box<dyn ForceField> { Box::new(HostForceField::new(Box::new(lennard_jones()), 1.0)) };
    tell("Lennard-Jones", &cheap, &Atoms::shipped("argon256.xyz"));
}

/// A side of a connection that counts how often it is asked.
struct Counted<S> {
    inner: S,
    asked: Arc<AtomicU64>,
}

impl<S: Read> Read for Counted<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.read(into)
    }
}

impl<S: Write> Write for Counted<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What comes in one piece is read at once, and what is answered is written at once.
#[test]
fn a_message_is_read_at_once_and_answered_at_once() {
    const MESSAGES: u64 = 7;
    let (near, far) = UnixStream::pair().unwrap();
    let [reads, writes] = [0; 2].map(|_| Arc::new(AtomicU64::new(0)));
    let counted = |asked: &Arc<AtomicU64>| Counted {
        inner: far.try_clone().unwrap(),
        asked: Arc::clone(asked),
    };
    let (from, to) = (counted(&reads), counted(&writes));
    let atoms = row(1000);
    let places: Vec<[f64; 3]> = atoms.positions.iter().map(|&r| r.into()).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let room = Box::new(|_: &_, _: &[_]| Ok(()));
            let mut session = Session::new(Box::new(Nothing), 1000, [false; 3], room);
            session.serve(from, to).unwrap();
        });
        let mut peer = near;
        let mut room = vec![0; 1 << 16];
        for _ in 0..MESSAGES {
            let [whole, _] = &at_once(NONE, &places)[..] else {
                unreachable!("two messages")
            };
            say(&vec![whole.clone()], &mut peer, &mut room);
        }
        Peer(peer).send(&header("EXIT"));
    });
    assert_eq!(writes.load(Ordering::Relaxed), MESSAGES);
    // A message of 24 KB is one piece to the system, and EXIT is another one.
    assert_eq!(reads.load(Ordering::Relaxed), MESSAGES + 1);
}
