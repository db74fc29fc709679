//! Servers that cannot be trusted: whatever they say ends in one error, without a panic, and without memory for sizes that only they
//! speak of.

use mdrun::core::{Cell, Vec3};
use mdrun::forcefield::HostForceField;
use mdrun::ipi::{Farewell, Session};
use mdrun::potential::Potential as _;
use mdrun::{Error, neighbors};

use super::wire::{self, Square, header};
use crate::support::allocator::largest_allocation;
use crate::support::atoms::{Atoms, Random};
use crate::support::calculators::lennard_jones;

/// Skin of the list (angstrom).
const SKIN: f64 = 0.5;
/// Ten times the neighbours of argon256 within cutoff and skin, which are 2.9e4.
const MOST_PAIRS: f64 = 3e5;
/// More than these take at once, at 24 bytes for a vector, whatever a client is told.
const MOST_BYTES: usize = 1 << 24;

fn square(atoms: &Atoms) -> Square {
    let vectors = atoms.cell.vectors();
    [0, 1, 2].map(|k| [0, 1, 2].map(|a| vectors[(k, a)]))
}

fn places(atoms: &Atoms) -> Vec<[f64; 3]> {
    atoms.positions.iter().map(|&r| r.into()).collect()
}

/// How a client for argon in a cell ends on what it hears, within bounds of memory.
fn end_of(said: &[u8]) -> Result<Farewell, String> {
    let field = HostForceField::new(Box::new(lennard_jones()), SKIN);
    let room = Box::new(|cell: &Cell, positions: &[Vec3]| {
        match neighbors::expected_neighbors(cell, positions, lennard_jones().cutoff() + SKIN)? {
            pairs if pairs < MOST_PAIRS => Ok(()),
            pairs => Err(Error::run(format!("{pairs} pairs are too many"))),
        }
    });
    let mut session = Session::new(Box::new(field), 256, [true; 3], room);
    let (ended, largest) = largest_allocation(|| session.serve(said, std::io::sink()));
    assert!(largest < MOST_BYTES, "{largest} bytes at once");
    ended.map_err(|e| e.to_string())
}

fn whole(number: i32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

#[test]
fn what_is_not_the_protocol_is_named() {
    let atoms = Atoms::shipped("argon256.xyz");
    let good = wire::posdata(square(&atoms), &places(&atoms));
    let none = [[0.0; 3]; 3];
    let mut nan = places(&atoms);
    nan[17][1] = f64::NAN;
    let mut far = places(&atoms);
    far[3][2] = 1e300;
    let mut flat = square(&atoms);
    flat[2] = flat[1];
    let mut infinite = square(&atoms);
    infinite[0][0] = f64::INFINITY;
    let mut same = places(&atoms);
    same[1] = same[0];
    let count = |n: i32| [header("POSDATA"), wire::cell(square(&atoms)), whole(n)].concat();
    let batch = |text: &str| wire::init(0, text.as_bytes());
    for (said, says) in [
        (
            b"HTTP/1.1 400 Bad Request".to_vec(),
            "the server sent \"HTTP/1.1 400\"",
        ),
        (b"\x1b[2J\0\0\0\0\0\0\0\0\xff".to_vec(), "\"\\x1b[2J\\x00"),
        (b"status      ".to_vec(), "the server sent \"status      \""),
        (
            header("HAVEDATA"),
            "the server sent HAVEDATA, which is a client's",
        ),
        (header("GETFORCE"), "before it sent positions"),
        (
            [good.clone(), header("GETFORCE"), header("GETFORCE")].concat(),
            "before it sent positions",
        ),
        // What was evaluated is of another batch.
        (
            [good.clone(), batch("batch_size:4"), header("GETFORCE")].concat(),
            "before it sent positions",
        ),
        (
            count(255),
            "the server sent 255 atoms, and the structure has 256",
        ),
        (count(i32::MAX), "the server sent 2147483647 atoms"),
        (count(0), "the server sent 0 atoms"),
        (count(-1), "the server announced -1 atoms"),
        (
            [header("INIT"), whole(0), whole(i32::MAX)].concat(),
            "announced 2147483647 bytes of parameters",
        ),
        (
            [header("INIT"), whole(0), whole(-5)].concat(),
            "announced -5 bytes of parameters",
        ),
        (batch("batch_size:0"), "a batch_size of \"0\""),
        (batch("batch_size : -3"), "a batch_size of \"-3\""),
        (batch("a:b,batch_size:65537"), "a batch_size of \"65537\""),
        (batch("batch_size:99999999999999999999"), "from 1 to 65536"),
        (batch("batch_size:\u{1b}[2J"), "\"\\u{1b}[2J\""),
        (wire::posdata(none, &places(&atoms)), "no lattice vector a"),
        (
            wire::posdata(flat, &places(&atoms)),
            "the server's cell: the cell is singular",
        ),
        (
            wire::posdata(infinite, &places(&atoms)),
            "not a finite number",
        ),
        (
            wire::posdata(square(&atoms), &nan),
            "position of atom 17 that is not a finite number",
        ),
        (wire::posdata(square(&atoms), &far), "evaluation 1"),
        (
            wire::posdata(square(&atoms), &same),
            "the energy is not a finite number",
        ),
    ] {
        let fault = end_of(&said).expect_err(says);
        assert!(fault.contains(says), "{says}: {fault}");
        assert!(!fault.contains(char::is_control), "{fault:?}");
    }
}

/// A connection that ends inside of a message is lost; one that ends between two is closed.
#[test]
fn a_connection_may_end_anywhere() {
    let atoms = Atoms::shipped("argon256.xyz");
    let init = wire::init(1, b"batch_size:2, more:words");
    let structures = [
        (square(&atoms), places(&atoms)),
        (square(&atoms), places(&atoms)),
    ];
    let parts = [
        header("STATUS"),
        init,
        header("STATUS"),
        wire::batch(&structures),
        header("GETFORCE"),
    ];
    let said = parts.concat();
    let mut between = vec![0];
    for part in &parts {
        between.push(between[between.len() - 1] + part.len());
    }
    let near = |n: &usize| between.iter().any(|b| b.abs_diff(*n) < 20) || n.is_multiple_of(997);
    for cut in (0..=said.len()).filter(near) {
        match end_of(&said[..cut]) {
            Ok(Farewell::Closed) => assert!(between.contains(&cut), "{cut}"),
            Ok(Farewell::Lost(why)) => {
                assert!(!between.contains(&cut), "{cut}");
                assert_eq!(why, "it was closed in the middle of a message");
            }
            other => panic!("{cut}: {other:?}"),
        }
    }
}

/// A large batch that is only spoken of takes no memory.
#[test]
fn memory_comes_as_the_bytes_do() {
    let atoms = Atoms::shipped("argon256.xyz");
    let begun = [header("POSDATA"), whole(256), wire::cell(square(&atoms))].concat();
    let said = [wire::init(0, b"batch_size:65536"), begun].concat();
    assert!(matches!(end_of(&said), Ok(Farewell::Lost(_))));
    let text = [header("INIT"), whole(0), whole(1 << 20), b"short".to_vec()].concat();
    assert!(matches!(end_of(&text), Ok(Farewell::Lost(_))));
}

/// Good conversations with bytes that are flipped, taken out and put in, as many as there is time for.
#[test]
fn damaged_conversations_end_in_a_result() {
    const CONVERSATIONS: usize = 4000;
    let times: usize = std::env::var("MDRUN_FUZZ").map_or(1, |n| n.parse().unwrap());
    let atoms = Atoms::shipped("argon256.xyz");
    let good = [
        header("STATUS"),
        wire::init(0, b"batch_size:1, a:b"),
        header("STATUS"),
        wire::posdata(square(&atoms), &places(&atoms)),
        header("GETFORCE"),
        header("EXIT"),
    ]
    .concat();
    let mut random = Random::new(18);
    let mut faults = 0;
    for _ in 0..CONVERSATIONS * times {
        let mut said = good.clone();
        for _ in 0..1 + (random.unit() * 3.0) as usize {
            // Mostly where the words and lengths are.
            let most = if random.unit() < 0.8 { 300 } else { said.len() };
            let at = (random.unit() * most as f64) as usize;
            let byte = (random.unit() * 256.0) as u8;
            match (random.unit() * 3.0) as usize {
                0 => said[at] ^= 1 << (byte % 8),
                1 => said.insert(at, byte),
                _ => drop(said.remove(at)),
            }
        }
        faults += usize::from(end_of(&said).is_err());
    }
    assert!(faults > CONVERSATIONS / 2, "only {faults} were faults");
}
