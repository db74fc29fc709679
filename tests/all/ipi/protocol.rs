//! What a client answers, byte by byte: units, signs, transposed matrices, states, batches; and that pairs are used again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::ipi::{CheckRoom, Farewell, Session};
use mdrun::potential::{About, Evaluation};

use super::wire::{self, Answers, BOHR, HARTREE, Reply, Square, header};
use crate::support::atoms::Atoms;
use crate::support::calculators::lennard_jones;

/// Two divisions and two products by the constants.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// A field of forces that are the same everywhere: the force on atom k is `FORCES[k]`, whatever the arrangement. Its energy is
/// -sum F r, and the derivative of that by the strain that moves atoms along a in proportion to their place along b is
/// -sum F_a r_b: no symmetry hides a transposition.
#[derive(Clone, Default)]
pub struct Field {
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

/// Room for anything.
pub fn anything() -> CheckRoom<'static> {
    Box::new(|_, _| Ok(()))
}

/// A cell and positions that were asked for.
type Seen = (Cell, Vec<Vec3>);

const FORCES: [[f64; 3]; 2] = [[1.0, -2.0, 0.5], [0.25, 3.0, -7.0]];

impl ForceField for Field {
    fn cutoff(&self) -> f64 {
        1.0
    }

    fn evaluate(
        &mut self,
        cell: &Cell,
        positions: &[Vec3],
        out: &mut Evaluation,
    ) -> mdrun::Result<()> {
        (self.seen.lock().unwrap()).push((cell.clone(), positions.to_vec()));
        *out = Evaluation::zeros(2);
        for (k, force) in FORCES.map(Vec3::from).iter().enumerate() {
            out.energy -= force.dot(&positions[k]);
            out.forces[k] = *force;
            // By strain: row a, column b is sum over atoms of r_a dE/dr_b, as `Evaluation` says.
            out.strain_derivative -= positions[k] * force.transpose();
        }
        Ok(())
    }

    fn pairs(&self) -> u64 {
        0
    }

    fn about(&self) -> About {
        let field = HostForceField::new(Box::new(lennard_jones()), 0.0);
        field.about()
    }
}

/// What a client with this field answers to all that a server says, and how the server took its leave.
fn answers(field: &Field, periodic: [bool; 3], said: &[Vec<u8>]) -> (Vec<u8>, Farewell) {
    let mut sent = Vec::new();
    let mut session = Session::new(Box::new(field.clone()), 2, periodic, anything());
    let farewell = session.serve(&said.concat()[..], &mut sent).unwrap();
    (sent, farewell)
}

fn close(found: f64, wanted: f64) {
    let off = (found - wanted).abs();
    assert!(off <= ROUNDING * wanted.abs(), "{found} is not {wanted}");
}

/// Whether a reply is what [`Field`] gives for atoms at these places.
pub fn is_of(reply: &Reply, atoms: &[[f64; 3]]) {
    let sum = |f: &dyn Fn(usize) -> f64| f(0) + f(1);
    let energy = sum(&|k| (0..3).map(|a| -FORCES[k][a] * atoms[k][a]).sum());
    assert!((reply.energy - energy).abs() < 1e-13, "{}", reply.energy);
    for (found, wanted) in reply.forces.iter().flatten().zip(FORCES.as_flattened()) {
        close(*found, *wanted);
    }
    for a in 0..3 {
        for b in 0..3 {
            // The force along a times the place along b: what i-PI's own driver (drivers/f90/driver.f90) sends for a potential of
            // single atoms, virial(a,b) = sum forces(:,a) atoms(:,b), row by row.
            let wanted = sum(&|k| FORCES[k][a] * atoms[k][b]);
            let found = reply.virial[a][b];
            assert!((found - wanted).abs() < 1e-13, "{a} {b}: {found} {wanted}");
        }
    }
}

pub const ATOMS: [[f64; 3]; 2] = [[0.5, 1.5, -0.25], [2.0, 0.125, 4.0]];
pub const CELL: Square = [[9.0, 0.0, 0.0], [3.0, 8.0, 0.0], [-2.0, 1.0, 7.0]];

#[test]
fn units_signs_and_matrices_are_the_protocols() {
    let field = Field::default();
    let said = [
        header("STATUS"),
        wire::init(3, b"anything : 1 , "),
        header("STATUS"),
        wire::posdata(CELL, &ATOMS),
        header("STATUS"),
        header("GETFORCE"),
        header("STATUS"),
        header("EXIT"),
        b"this is nobody's any more".to_vec(),
    ];
    let (sent, farewell) = answers(&field, [true; 3], &said);
    assert_eq!(farewell, Farewell::Exit);
    let mut answers = Answers(&sent[..]);
    assert_eq!(answers.word(), "NEEDINIT");
    assert_eq!(answers.word(), "READY");
    assert_eq!(answers.word(), "HAVEDATA");
    let reply = answers.replies(1).remove(0);
    assert_eq!(answers.word(), "READY");
    assert!(answers.0.is_empty(), "{:?}", answers.0);
    is_of(&reply, &ATOMS);
    let seen = field.seen.lock().unwrap();
    let (cell, positions) = &seen[0];
    assert_eq!(cell.periodic(), [true; 3]);
    for k in 0..3 {
        for a in 0..3 {
            close(cell.vector(k)[a], CELL[k][a]);
        }
    }
    for (found, wanted) in positions.iter().zip(ATOMS) {
        (0..3).for_each(|a| close(found[a], wanted[a]));
    }
}

/// i-PI 3.3 asks for forces in the message that brings positions; others do not tell parameters at all.
#[test]
fn other_orders_of_words_are_understood() {
    let field = Field::default();
    let together = [wire::posdata(CELL, &ATOMS), header("GETFORCE")].concat();
    let said = [
        header("STATUS"),
        together.clone(),
        together,
        header("STATUS"),
    ];
    let (sent, farewell) = answers(&field, [false; 3], &said);
    assert_eq!(farewell, Farewell::Closed);
    let mut answers = Answers(&sent[..]);
    assert_eq!(answers.word(), "NEEDINIT");
    for _ in 0..2 {
        is_of(&answers.replies(1)[0], &ATOMS);
    }
    assert_eq!(answers.word(), "NEEDINIT");
    // A server's cell is no cell where the structure has none.
    assert_eq!(field.seen.lock().unwrap()[0].0, Cell::open());
}

#[test]
fn a_batch_is_answered_at_once() {
    let field = Field::default();
    let moved = |by: f64| ATOMS.map(|r| r.map(|x| x + by)).to_vec();
    let other = [[11.0, 0.0, 0.0], [0.0, 12.0, 0.0], [0.0, 0.0, 13.0]];
    let structures = [
        (CELL, ATOMS.to_vec()),
        (other, moved(0.1)),
        (CELL, moved(-0.2)),
    ];
    let said = [
        wire::init(0, b" key : value , , batch_size:3"),
        header("STATUS"),
        wire::batch(&structures),
        header("STATUS"),
        header("GETFORCE"),
        wire::batch(&structures),
        header("GETFORCE"),
        // A batch of one is the protocol of everybody.
        wire::init(0, b"batch_size:1"),
        wire::posdata(CELL, &ATOMS),
        header("GETFORCE"),
    ];
    let (sent, _) = answers(&field, [true; 3], &said);
    let mut answers = Answers(&sent[..]);
    assert_eq!(answers.word(), "READY");
    assert_eq!(answers.word(), "HAVEDATA");
    for _ in 0..2 {
        let replies = answers.replies(3);
        for (reply, (_, atoms)) in replies.iter().zip(&structures) {
            is_of(reply, atoms);
        }
    }
    is_of(&answers.replies(1)[0], &ATOMS);
    assert!(answers.0.is_empty());
    let seen = field.seen.lock().unwrap();
    close(seen[1].0.vector(1).y, 12.0);
    close(seen[2].0.vector(1).y, 8.0);
}

#[test]
fn directions_that_are_open_take_nothing_of_the_servers_cell() {
    let field = Field::default();
    let flat = [[9.0, 0.0, 0.0], [3.0, 8.0, 0.0], [0.0; 3]];
    let said = [
        wire::posdata(CELL, &ATOMS),
        wire::posdata(flat, &ATOMS),
        header("EXIT"),
    ];
    answers(&field, [true, true, false], &said);
    let seen = field.seen.lock().unwrap();
    assert_eq!(seen[0].0, seen[1].0);
    assert_eq!(seen[0].0.periodic(), [true, true, false]);
    // The open edge is at right angles to the others, whatever the server has there.
    let edge = seen[0].0.vector(2);
    assert!(edge.x == 0.0 && edge.y == 0.0 && edge.z > 0.0, "{edge}");
}

/// A Lennard-Jones liquid whose list is watched.
struct Watched {
    inner: HostForceField,
    searches: Arc<AtomicU64>,
}

impl ForceField for Watched {
    fn cutoff(&self) -> f64 {
        self.inner.cutoff()
    }

    fn evaluate(
        &mut self,
        cell: &Cell,
        positions: &[Vec3],
        out: &mut Evaluation,
    ) -> mdrun::Result<()> {
        let done = self.inner.evaluate(cell, positions, out);
        (self.searches).store(self.inner.searches(), Ordering::Relaxed);
        done
    }

    fn pairs(&self) -> u64 {
        self.inner.pairs()
    }

    fn about(&self) -> About {
        self.inner.about()
    }
}

/// Pairs are searched once for arrangements that lie within the skin, also when the cell changes and when another server comes;
/// and what comes out is what a search for each of them gives, bit for bit.
#[test]
fn the_list_is_used_again_while_it_holds() {
    /// Skin (angstrom), and shifts of atoms well inside of it.
    const SKIN: f64 = 1.0;
    const SHIFT: f64 = 0.05;
    let atoms = Atoms::shipped("argon256.xyz");
    let searches = Arc::new(AtomicU64::new(0));
    let inner = HostForceField::new(Box::new(lennard_jones()), SKIN);
    let watched = Watched {
        inner,
        searches: Arc::clone(&searches),
    };
    let count = atoms.positions.len();
    let mut session = Session::new(Box::new(watched), count, [true; 3], anything());
    let mut fresh = HostForceField::new(Box::new(lennard_jones()), 0.0);
    let mut ask = |structure: &Atoms| {
        let square = |m: &Mat3| -> Square { [0, 1, 2].map(|k| [0, 1, 2].map(|a| m[(k, a)])) };
        let places: Vec<[f64; 3]> = structure.positions.iter().map(|&r| r.into()).collect();
        let said = [
            wire::posdata(square(structure.cell.vectors()), &places),
            header("GETFORCE"),
        ];
        let mut sent = Vec::new();
        session.serve(&said.concat()[..], &mut sent).unwrap();
        let reply = Answers(&sent[..]).replies(1).remove(0);
        // As the client has it: through bohr and back.
        let through = |x: f64| x / BOHR * BOHR;
        let cell = Cell::new(structure.cell.vectors().map(through), [true; 3]).unwrap();
        let positions: Vec<Vec3> = structure.positions.iter().map(|r| r.map(through)).collect();
        let wanted = fresh.at(&cell, &positions).unwrap();
        assert_eq!(reply.energy, wanted.energy / HARTREE * HARTREE);
        let unit = HARTREE / BOHR;
        for (found, wanted) in reply.forces.iter().zip(&wanted.forces) {
            assert_eq!(Vec3::from(*found), wanted.map(|x| x / unit * unit));
        }
        searches.load(Ordering::Relaxed)
    };
    assert_eq!(ask(&atoms), 1);
    for seed in 1..6 {
        assert_eq!(ask(&atoms.clone().shaken(SHIFT, seed)), 1);
    }
    // A cell that a barostat has moved, with the atoms.
    let strain = Mat3::from_diagonal(&Vec3::new(0.004, -0.003, 0.002));
    assert_eq!(ask(&atoms.strained(&strain)), 1);
    assert_eq!(ask(&atoms.clone().shaken(SKIN, 7)), 2);
}
