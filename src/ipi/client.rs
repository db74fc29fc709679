//! A client: answers a server with the energies, forces and virials of a force field.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::message::{self, Inbox, Message, Outbox};
use super::shared::{self, SharedMemory};
use crate::core::{Cell, Mat3, Vec3};
use crate::forcefield::ForceField;
use crate::potential::Evaluation;
use crate::{Error, Result};

/// Longest text of parameters that a server may send (bytes).
const LONGEST_TEXT: i32 = 1 << 20;
/// Most structures in one message.
const MOST_STRUCTURES: usize = 1 << 16;
/// The word in a text of parameters that tells how many structures come in one message.
const BATCH: &str = "batch_size";

/// How a server took its leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Farewell {
    /// It said so.
    Exit,
    /// It closed the connection between two messages.
    Closed,
    /// The connection was lost inside of a message, and why.
    Lost(String),
}

/// What was done for servers so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Served {
    /// Structures evaluated.
    pub evaluations: u64,
    /// Time that these took.
    pub evaluating: Duration,
}

/// Fails where there is no memory to evaluate an arrangement of so many pairs.
pub type CheckRoom<'f> = Box<dyn Fn(&Cell, &[Vec3]) -> Result<()> + 'f>;

/// Answers servers with a force field, one after another. Pairs and memory are used again from one evaluation, and one server, to
/// the next.
pub struct Session<'f> {
    field: Box<dyn ForceField + 'f>,
    frame: Frame,
    room: CheckRoom<'f>,
    /// The arrangement for which there was seen to be room.
    roomy: Option<(Cell, Vec<Vec3>)>,
    /// Structures in one message.
    batch: usize,
    is_told: bool,
    lattices: Vec<Mat3>,
    /// Of one structure after another.
    positions: Vec<Vec3>,
    /// Of these positions, where there are any.
    evaluations: Vec<Evaluation>,
    has_data: bool,
    outbox: Outbox,
    way: Way,
    served: Served,
}

/// Where numbers come from and go to.
enum Way {
    /// With the words.
    Line,
    /// Memory that the server shares, once it has said which.
    Memory(Option<SharedMemory>),
}

/// What of a cell is not the server's: how many atoms there are, and which directions are periodic.
struct Frame {
    atoms: usize,
    periodic: [bool; 3],
    /// The lattice that came last (rows, angstrom), and its cell.
    last: Option<(Mat3, Cell)>,
}

impl<'f> Session<'f> {
    /// Answers with a force field for so many atoms, whose cell is periodic along the directions marked. Arrangements far from
    /// those before are put to `room`.
    pub fn new(
        field: Box<dyn ForceField + 'f>,
        atoms: usize,
        periodic: [bool; 3],
        room: CheckRoom<'f>,
    ) -> Self {
        Self {
            field,
            room,
            roomy: None,
            frame: Frame {
                atoms,
                periodic,
                last: None,
            },
            batch: 1,
            is_told: false,
            lattices: Vec::new(),
            positions: Vec::new(),
            evaluations: Vec::new(),
            has_data: false,
            outbox: Outbox::default(),
            way: Way::Line,
            served: Served::default(),
        }
    }

    /// Takes numbers from memory that servers share, and leaves them there: i-PI's `mode='shm'`.
    #[must_use]
    pub fn with_shared_memory(mut self) -> Self {
        self.way = Way::Memory(None);
        self
    }

    /// What was done so far.
    pub fn served(&self) -> Served {
        self.served
    }

    /// Answers a server until it takes its leave.
    ///
    /// # Errors
    /// The server sent what is no message of the protocol, or not of these atoms; or the force field failed, or gave an
    /// energy that is not a finite number.
    pub fn serve(&mut self, from: impl Read, mut to: impl Write) -> Result<Farewell> {
        let mut inbox = Inbox::new(from);
        (self.batch, self.is_told, self.has_data) = (1, false, false);
        if let Way::Memory(before) = &mut self.way {
            *before = None;
        }
        loop {
            let header = match inbox.header() {
                Ok(Some(header)) => header,
                Ok(None) => return Ok(Farewell::Closed),
                Err(e) => return Ok(lost(&e)),
            };
            let Some(message) = Message::of(&header) else {
                let shown = message::shown(&header);
                return Err(stray(format!("the server sent {shown}")));
            };
            let answered = match message {
                Message::Status => self.tell_status(&mut to),
                Message::Init => self.init(&mut inbox),
                Message::PosData => self.evaluate(&mut inbox),
                Message::GetForce => self.tell_forces(&mut to),
                Message::Exit => return Ok(Farewell::Exit),
                Message::NeedInit | Message::Ready | Message::HaveData | Message::ForceReady => {
                    let word = message.word();
                    return Err(stray(format!(
                        "the server sent {word}, which is a client's"
                    )));
                }
            };
            match answered {
                Ok(()) => {}
                Err(Unanswered::Connection(e)) => return Ok(lost(&e)),
                Err(Unanswered::Other(e)) => return Err(e),
            }
        }
    }

    fn tell_status(&mut self, to: impl Write) -> Result<(), Unanswered> {
        let status = match (self.is_told, self.has_data) {
            (_, true) => Message::HaveData,
            (true, false) => Message::Ready,
            (false, false) => Message::NeedInit,
        };
        Ok(self.outbox.message(status).send(to)?)
    }

    /// Takes the number of structures in a message out of the server's parameters, as i-PI 3.3 tells it. The number of the
    /// replica and all other parameters mean nothing to a force field.
    fn init(&mut self, inbox: &mut Inbox<impl Read>) -> Result<(), Unanswered> {
        let _replica = inbox.whole()?;
        let length = inbox.whole()?;
        if !(0..=LONGEST_TEXT).contains(&length) {
            return Err(Unanswered::Other(stray(format!(
                "the server announced {length} bytes of parameters"
            ))));
        }
        let text = inbox.text(length as usize)?;
        self.batch = batch(&String::from_utf8_lossy(&text))?;
        self.has_data = false;
        self.is_told = true;
        Ok(())
    }

    fn evaluate(&mut self, inbox: &mut Inbox<impl Read>) -> Result<(), Unanswered> {
        self.has_data = false;
        self.lattices.clear();
        match self.way {
            Way::Line => self.read_line(inbox)?,
            Way::Memory(_) => self.read_memory(inbox)?,
        }
        for structure in 0..self.batch {
            self.evaluate_one(structure)?;
        }
        self.has_data = true;
        Ok(())
    }

    /// Reads structures, all of them before the first is evaluated, since the server waits until they have left it.
    fn read_line(&mut self, inbox: &mut Inbox<impl Read>) -> Result<(), Unanswered> {
        match self.batch {
            1 => {
                self.lattices.push(inbox.lattice()?);
                self.frame.check(inbox.whole()?)?;
            }
            batch => {
                self.frame.check(inbox.whole()?)?;
                for _ in 0..batch {
                    self.lattices.push(inbox.lattice()?);
                }
            }
        }
        for structure in 0..self.batch {
            inbox.positions(self.places(structure))?;
        }
        Ok(())
    }

    /// Reads structures from the server's memory, which it names with the first of them.
    fn read_memory(&mut self, inbox: &mut Inbox<impl Read>) -> Result<(), Unanswered> {
        self.frame.check(inbox.whole()?)?;
        let known = match std::mem::replace(&mut self.way, Way::Memory(None)) {
            Way::Memory(known) => known,
            Way::Line => None,
        };
        let mut memory = match known {
            Some(memory) if memory.structures() >= self.batch => memory,
            Some(memory) => {
                return Err(Unanswered::Other(stray(format!(
                    "the server has {} structures in memory that it shared for {}",
                    self.batch,
                    memory.structures()
                ))));
            }
            None => self.open_memory(inbox)?,
        };
        for structure in 0..self.batch {
            self.lattices.push(memory.lattice(structure)?);
            memory.positions(structure, self.places(structure))?;
        }
        self.way = Way::Memory(Some(memory));
        Ok(())
    }

    fn open_memory(&self, inbox: &mut Inbox<impl Read>) -> Result<SharedMemory, Unanswered> {
        let mut names: [Vec<u8>; shared::SEGMENTS] = Default::default();
        for name in &mut names {
            let length = inbox.whole()?;
            if !(0..=shared::LONGEST_NAME).contains(&length) {
                return Err(Unanswered::Other(stray(format!(
                    "the server announced {length} bytes of a name of shared memory"
                ))));
            }
            *name = inbox.text(length as usize)?;
        }
        Ok(SharedMemory::open(&names, self.batch, self.frame.atoms)?)
    }

    /// Room for the positions of a structure. Memory comes as the bytes do.
    fn places(&mut self, structure: usize) -> &mut [Vec3] {
        let atoms = self.frame.atoms;
        let end = (structure + 1) * atoms;
        if self.positions.len() < end {
            self.positions.resize(end, Vec3::zeros());
        }
        &mut self.positions[structure * atoms..end]
    }

    fn evaluate_one(&mut self, structure: usize) -> Result<()> {
        let began = Instant::now();
        let number = self.served.evaluations + 1;
        let within = |e: Error| e.within(format!("evaluation {number}"));
        let atoms = self.frame.atoms;
        let positions = &self.positions[structure * atoms..][..atoms];
        if let Some(atom) = positions
            .iter()
            .position(|r| r.iter().any(|x| !x.is_finite()))
        {
            return Err(within(Error::run(format!(
                "the server sent a position of atom {atom} that is not a finite number (atoms count from 0)"
            ))));
        }
        if self.evaluations.len() == structure {
            self.evaluations.push(Evaluation::zeros(atoms));
        }
        let evaluation = &mut self.evaluations[structure];
        let cell = self.frame.cell(&self.lattices[structure]).map_err(within)?;
        if !(self.roomy.as_ref()).is_some_and(|before| is_near(before, cell, positions)) {
            (self.room)(cell, positions).map_err(within)?;
            self.roomy = Some((cell.clone(), positions.to_vec()));
        }
        (self.field.evaluate(cell, positions, evaluation)).map_err(within)?;
        if !evaluation.energy.is_finite() {
            return Err(within(Error::run(
                "the energy is not a finite number; two atoms may be at one place",
            )));
        }
        self.served.evaluations = number;
        self.served.evaluating += began.elapsed();
        Ok(())
    }

    fn tell_forces(&mut self, to: impl Write) -> Result<(), Unanswered> {
        if !self.has_data {
            return Err(Unanswered::Other(stray(
                "the server asked for forces before it sent positions".to_owned(),
            )));
        }
        let evaluations = &self.evaluations[..self.batch];
        let out = match &self.way {
            Way::Line => {
                let out = self.outbox.message(Message::ForceReady);
                out.found(evaluations, self.frame.atoms)
            }
            Way::Memory(memory) => {
                if let Some(memory) = memory {
                    memory.write(evaluations, &mut self.outbox)?;
                }
                self.outbox.message(Message::ForceReady)
            }
        };
        for _ in evaluations {
            // The length of a text that there is none of.
            out.whole(0);
        }
        self.has_data = false;
        Ok(out.send(to)?)
    }
}

impl Frame {
    /// Checks that a server has as many atoms.
    fn check(&self, sent: i32) -> Result<()> {
        let atoms = self.atoms;
        match usize::try_from(sent) {
            Ok(sent) if sent == atoms => Ok(()),
            Ok(sent) => Err(Error::run(format!(
                "the server sent {sent} atoms, and the structure has {atoms}: both must be of the same atoms, in the same order"
            ))),
            Err(_) => Err(stray(format!("the server announced {sent} atoms"))),
        }
    }

    /// The cell of a server's lattice vectors (rows, angstrom).
    fn cell(&mut self, lattice: &Mat3) -> Result<&Cell> {
        let last = match self.last.take() {
            Some(last) if last.0 == *lattice => last,
            _ => (*lattice, self.fit(lattice)?),
        };
        Ok(&self.last.insert(last).1)
    }

    fn fit(&self, lattice: &Mat3) -> Result<Cell> {
        if self.periodic == [false; 3] {
            return Ok(Cell::open());
        }
        let mut vectors = *lattice;
        for k in 0..3 {
            if !self.periodic[k] {
                // What a server has there is room for pictures.
                vectors.row_mut(k).fill(0.0);
            } else if vectors.row(k).norm() == 0.0 {
                return Err(Error::run(format!(
                    "the server sent no lattice vector {}, along which the structure is periodic: give the server a \
                     cell, or take a structure that is not",
                    ["a", "b", "c"][k]
                )));
            }
        }
        let fitted = Cell::fitting(vectors, self.periodic, &[]);
        Ok(fitted.map_err(|e| e.within("the server's cell"))?.cell)
    }
}

/// Whether an arrangement has about as many pairs as the one before.
fn is_near((cell, before): &(Cell, Vec<Vec3>), now: &Cell, positions: &[Vec3]) -> bool {
    /// Most strain, and longest way of an atom (angstrom), by which few pairs come in.
    const STRAIN: f64 = 0.1;
    const WAY: f64 = 2.0;
    let strain = cell.strain_to(now) - Mat3::identity();
    let mut moves = before.iter().zip(positions);
    strain.amax() <= STRAIN && moves.all(|(a, b)| (a - b).norm_squared() <= WAY * WAY)
}

/// Structures in one message, by a server's parameters: `batch_size:N` among others, between commas.
fn batch(parameters: &str) -> Result<usize> {
    let mut words = parameters
        .split(',')
        .filter_map(|word| word.split_once(':'));
    let Some((_, number)) = words.find(|(key, _)| key.trim() == BATCH) else {
        return Ok(1);
    };
    let number = number.trim();
    let wanted = number.parse().ok();
    (wanted.filter(|n| (1..=MOST_STRUCTURES).contains(n))).ok_or_else(|| {
        stray(format!(
            "the server announced a {BATCH} of {number:?}; from 1 to {MOST_STRUCTURES} structures can come at once"
        ))
    })
}

/// Why an answer was not given.
enum Unanswered {
    /// The connection failed.
    Connection(io::Error),
    /// Anything else.
    Other(Error),
}

impl From<io::Error> for Unanswered {
    fn from(fault: io::Error) -> Self {
        Self::Connection(fault)
    }
}

impl From<Error> for Unanswered {
    fn from(fault: Error) -> Self {
        Self::Other(fault)
    }
}

fn lost(fault: &io::Error) -> Farewell {
    Farewell::Lost(match fault.kind() {
        io::ErrorKind::UnexpectedEof => "it was closed in the middle of a message".to_owned(),
        _ => fault.to_string(),
    })
}

/// An error of a server that does not speak the protocol.
fn stray(what: String) -> Error {
    Error::run(format!(
        "{what}: it does not speak i-PI's protocol as this program does"
    ))
}
