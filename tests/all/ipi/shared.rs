//! Numbers in memory that a server shares: where they are, what their units and rows are, and names that cannot be trusted.

use std::os::unix::fs::symlink;

use mdrun::ipi::{Farewell, Session};

use super::protocol::{ATOMS, CELL, Field, anything, is_of};
use super::wire::{self, Answers, Segments, Square, header};

/// What a client answers to what a server with shared memory says.
fn answers(field: &Field, said: &[Vec<u8>]) -> mdrun::Result<(Vec<u8>, Farewell)> {
    let mut sent = Vec::new();
    let mut session =
        Session::new(Box::new(field.clone()), 2, [true; 3], anything()).with_shared_memory();
    let farewell = session.serve(&said.concat()[..], &mut sent)?;
    Ok((sent, farewell))
}

const OTHER: Square = [[11.0, 0.0, 0.0], [0.0, 12.0, 0.0], [0.0, 0.0, 13.0]];

/// Words alone are on the line; the server names its memory with the first positions, and speaks of it no more.
#[test]
fn numbers_are_in_the_servers_memory() {
    let field = Field::default();
    let segments = Segments::new("shared_one", 1, 2);
    segments.fill(&[(CELL, ATOMS.to_vec())]);
    let again = [header("POSDATA"), 2_i32.to_le_bytes().to_vec()].concat();
    let said = [
        header("STATUS"),
        wire::init(0, b" "),
        [segments.posdata(2), header("GETFORCE")].concat(),
        header("STATUS"),
        [again, header("GETFORCE")].concat(),
        header("EXIT"),
    ];
    let (sent, farewell) = answers(&field, &said).unwrap();
    assert_eq!(farewell, Farewell::Exit);
    let mut answers = Answers(&sent[..]);
    assert_eq!(answers.word(), "NEEDINIT");
    for next in ["READY", ""] {
        assert_eq!(answers.word(), "FORCEREADY");
        assert_eq!(answers.whole(), 0, "no text is sent");
        if !next.is_empty() {
            assert_eq!(answers.word(), next);
        }
    }
    assert!(answers.0.is_empty());
    is_of(&segments.replies(1)[0], &ATOMS);
    let seen = field.seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1]);
    assert!((seen[0].0.vector(1).x - CELL[1][0]).abs() < 1e-14);
    assert!((seen[0].0.vector(0).y).abs() < 1e-14);
}

#[test]
fn a_batch_is_in_the_servers_memory() {
    let field = Field::default();
    let moved = |by: f64| ATOMS.map(|r| r.map(|x| x + by)).to_vec();
    let structures = [(CELL, moved(0.0)), (OTHER, moved(0.1)), (CELL, moved(-0.2))];
    let segments = Segments::new("shared_three", 3, 2);
    segments.fill(&structures);
    let said = [
        wire::init(0, b"batch_size:3"),
        [segments.posdata(2), header("GETFORCE")].concat(),
    ];
    let (sent, _) = answers(&field, &said).unwrap();
    let mut answers = Answers(&sent[..]);
    assert_eq!(answers.word(), "FORCEREADY");
    for _ in 0..3 {
        assert_eq!(answers.whole(), 0);
    }
    assert!(answers.0.is_empty());
    for (reply, (_, atoms)) in segments.replies(3).iter().zip(&structures) {
        is_of(reply, atoms);
    }
    let seen = field.seen.lock().unwrap();
    assert!((seen[1].0.vector(1).y - 12.0).abs() < 1e-14);
}

/// A name is one of the folder of shared memory: nothing else is opened, and nothing is read beyond what is there.
#[test]
fn names_that_are_none_are_told() {
    let segments = Segments::new("shared_small", 1, 2);
    segments.fill(&[(CELL, ATOMS.to_vec())]);
    let link = format!("/dev/shm/mdrun_shared_link_{}", std::process::id());
    symlink("/etc/hostname", &link).unwrap();
    let link_name = link.rsplit('/').next().unwrap();
    let six = |name: &'static str| Segments::naming(2, [name.as_bytes(); 6].into_iter());
    let linked = Segments::naming(2, [link_name.as_bytes(); 6].into_iter());
    let long = [
        header("POSDATA"),
        2_i32.to_le_bytes().to_vec(),
        i32::MAX.to_le_bytes().to_vec(),
    ];
    let negative = [
        header("POSDATA"),
        2_i32.to_le_bytes().to_vec(),
        (-1_i32).to_le_bytes().to_vec(),
    ];
    for (said, says) in [
        (vec![six("../../etc/passwd")], "is no shared memory's name"),
        (vec![six("..")], "is no shared memory's name"),
        (vec![six("")], "is no shared memory's name"),
        (vec![six("a\0b")], "is no shared memory's name"),
        (vec![six("\u{1b}[2J/")], "\\x1b[2J/"),
        (vec![six("mdrun_nobody_has_this")], "cannot be opened"),
        (vec![linked], "cannot be opened"),
        (long.to_vec(), "announced 2147483647 bytes of a name"),
        (negative.to_vec(), "announced -1 bytes of a name"),
        (vec![segments.posdata(3)], "sent 3 atoms"),
        // A larger batch than the memory was made for.
        (
            vec![wire::init(0, b"batch_size:2"), segments.posdata(2)],
            "has 48 bytes where 96 are wanted",
        ),
    ] {
        let ended = answers(&Field::default(), &said);
        let fault = ended.map(|_| ()).unwrap_err().to_string();
        assert!(fault.contains(says), "{says}: {fault}");
    }
    std::fs::remove_file(link).unwrap();
}
