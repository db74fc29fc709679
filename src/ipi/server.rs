//! A server: asks a client for energy, forces and virial, as a force field does.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::listener::Listener;
use super::message::{self, Inbox, Message, Outbox};
use super::{Address, Connection};
use crate::core::{Cell, Mat3, Vec3};
use crate::forcefield::ForceField;
use crate::potential::{About, Evaluation, Processor};
use crate::terminal::Terminal;
use crate::units::{BOHR, HARTREE};
use crate::{Error, Result, streams};

/// Pairs closer than this (angstrom) are found, for a run's limits: how far a client's potential reaches is not known.
const CONTACTS: f64 = 3.0;
/// Longest text that a client may send beside its forces (bytes).
const LONGEST_TEXT: i32 = 1 << 28;
/// Parameters for a client that asks for some: one byte, since some clients take an empty text for a lost connection.
const PARAMETERS: &[u8] = b" ";
/// A signal to a group of processes may end the client a little before it is heard here.
const ECHO: Duration = Duration::from_millis(200);

/// A client at the other end of a socket, listened for when it is first asked. Clones share it; the last of them tells it to
/// exit.
#[derive(Debug, Clone)]
pub struct Remote {
    line: Arc<Mutex<Exchange>>,
    address: Address,
    needs_virial: bool,
}

impl Remote {
    /// A client that is going to be listened for at an address. With `needs_virial`, one that sends none is refused.
    pub fn new(address: Address, needs_virial: bool) -> Self {
        Self {
            line: Arc::default(),
            address,
            needs_virial,
        }
    }

    /// Where it is listened for.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for the client no longer, from now on, once `stop` is set.
    pub fn heed(&self, stop: Arc<AtomicBool>) {
        self.line().stop = stop;
    }

    fn line(&self) -> MutexGuard<'_, Exchange> {
        // A panic while someone asked leaves a line whose client is asked how it is first of all.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a fault of the line is to a run.
    fn explain(&self, fault: &io::Error, stop: &AtomicBool) -> Error {
        if !stop.load(Ordering::Acquire) {
            thread::sleep(ECHO);
        }
        let gone = [
            ErrorKind::UnexpectedEof,
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionReset,
        ];
        let address = &self.address;
        match fault.kind() {
            _ if stop.load(Ordering::Acquire) => {
                Error::run(format!("the client at {address} was not waited for"))
            }
            kind if gone.contains(&kind) => {
                Error::run(format!("the client at {address} has gone away"))
            }
            _ => Error::run(format!("the client at {address} is lost: {fault}")),
        }
    }
}

impl ForceField for Remote {
    /// That of the pairs that a run watches: how far the client's potential reaches is not known.
    fn cutoff(&self) -> f64 {
        CONTACTS
    }

    fn evaluate(&mut self, cell: &Cell, positions: &[Vec3], out: &mut Evaluation) -> Result<()> {
        let mut line = self.line();
        let answered = line.evaluate(&self.address, cell, positions, out);
        if answered.is_err() {
            // Another client may come for whoever asks again.
            line.take_leave();
        }
        let stop = Arc::clone(&line.stop);
        drop(line);
        match answered {
            Ok(()) if self.needs_virial && out.strain_derivative == Mat3::zeros() => {
                Err(Error::run(format!(
                    "the client at {} sends no virial, which a cell that changes is computed with: let it compute the stress, or \
                     take an ensemble of constant volume",
                    self.address
                )))
            }
            Ok(()) => Ok(()),
            Err(Unasked::Line(fault)) => Err(self.explain(&fault, &stop)),
            Err(Unasked::Address(fault)) => Err(fault),
            Err(Unasked::Words(what)) => Err(Error::run(format!(
                "the client at {} {what}: it does not speak i-PI's protocol as this program does",
                self.address
            ))),
        }
    }

    fn pairs(&self) -> u64 {
        0
    }

    fn about(&self) -> About {
        About {
            place: Processor::Client {
                address: self.address.to_string(),
            },
            ..About::plain("forces over a socket")
        }
    }
}

/// A client, to come or on the line.
#[derive(Debug, Default)]
struct Exchange {
    stop: Arc<AtomicBool>,
    listener: Option<Listener>,
    client: Option<Inbox<Connection>>,
    outbox: Outbox,
}

impl Exchange {
    /// Asks for an evaluation, word by word, as the oldest clients understand it.
    fn evaluate(
        &mut self,
        address: &Address,
        cell: &Cell,
        positions: &[Vec3],
        out: &mut Evaluation,
    ) -> Result<(), Unasked> {
        let client = match &mut self.client {
            Some(client) => client,
            None => {
                let listener = match &mut self.listener {
                    Some(listener) => listener,
                    None => {
                        let listener = Listener::open(address).map_err(Unasked::Address)?;
                        self.listener.insert(listener)
                    }
                };
                let came = listener.accept(&self.stop, &mut || tell_of_waiting(address))?;
                self.client.insert(Inbox::new(came))
            }
        };
        let mut talk = Talk {
            client,
            outbox: &mut self.outbox,
        };
        talk.make_ready()?;
        talk.send_positions(cell, positions)?;
        match talk.status()? {
            Message::HaveData => {}
            other => return Err(unexpected(other, "to positions")),
        }
        talk.take_forces(out)
    }

    /// Tells the client that there is no more to do: some wait for a word for ever, also on a line that is closed.
    fn take_leave(&mut self) {
        if let Some(client) = self.client.take() {
            let mut word = Outbox::default();
            // One that has gone needs none.
            let _ = word.message(Message::Exit).send(client.source());
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.take_leave();
    }
}

/// A talk with a client.
struct Talk<'l> {
    client: &'l mut Inbox<Connection>,
    outbox: &'l mut Outbox,
}

impl Talk<'_> {
    fn send(&mut self) -> Result<(), Unasked> {
        Ok(self.outbox.send(self.client.source())?)
    }

    fn hear(&mut self) -> Result<Message, Unasked> {
        let header = (self.client.header()?).ok_or(ErrorKind::UnexpectedEof)?;
        let shown = || Unasked::Words(format!("sent {}", message::shown(&header)));
        Message::of(&header).ok_or_else(shown)
    }

    fn status(&mut self) -> Result<Message, Unasked> {
        self.outbox.message(Message::Status);
        self.send()?;
        self.hear()
    }

    /// Brings the client to wait for positions.
    fn make_ready(&mut self) -> Result<(), Unasked> {
        match self.status()? {
            Message::Ready => return Ok(()),
            Message::NeedInit => {
                (self.outbox.message(Message::Init).whole(0))
                    .whole(PARAMETERS.len() as i32)
                    .text(PARAMETERS);
                self.send()?;
            }
            other => return Err(unexpected(other, "before positions")),
        }
        match self.status()? {
            Message::Ready => Ok(()),
            other => Err(unexpected(other, "to parameters")),
        }
    }

    fn send_positions(&mut self, cell: &Cell, positions: &[Vec3]) -> Result<(), Unasked> {
        let atoms = i32::try_from(positions.len())
            .map_err(|_| Unasked::Words("cannot be sent so many atoms".to_owned()))?;
        let (vectors, inverse) = match cell.is_given() {
            true => (*cell.vectors(), cell.vectors().try_inverse()),
            false => (Mat3::zeros(), None),
        };
        (self.outbox.message(Message::PosData))
            .lattice(&vectors, &inverse.unwrap_or_else(Mat3::zeros))
            .whole(atoms)
            .vectors(positions, BOHR);
        self.send()
    }

    fn take_forces(&mut self, out: &mut Evaluation) -> Result<(), Unasked> {
        self.outbox.message(Message::GetForce);
        self.send()?;
        match self.hear()? {
            Message::ForceReady => {}
            other => return Err(unexpected(other, "when its forces were asked for")),
        }
        out.energy = self.client.number()? * HARTREE;
        let (atoms, wanted) = (self.client.whole()?, out.forces.len());
        if usize::try_from(atoms) != Ok(wanted) {
            let what = format!("sent forces on {atoms} atoms where there are {wanted}");
            return Err(Unasked::Words(what));
        }
        self.client.vectors(&mut out.forces, HARTREE / BOHR)?;
        // The virial is minus the derivative by strain, the other way round.
        out.strain_derivative = self.client.matrix()?.transpose() * -HARTREE;
        let length = self.client.whole()?;
        if !(0..=LONGEST_TEXT).contains(&length) {
            return Err(Unasked::Words(format!("announced {length} bytes of text")));
        }
        Ok(self.client.skip(length as usize)?)
    }
}

/// Says what is waited for, to whoever may have forgotten to start it.
fn tell_of_waiting(address: &Address) {
    let text = format!("waiting for a client at {address}");
    streams::tell(&Terminal::err().message(&text));
}

/// Why there is no answer.
enum Unasked {
    /// It cannot be listened where a client is to come.
    Address(Error),
    /// The line failed.
    Line(io::Error),
    /// What the client said.
    Words(String),
}

impl From<io::Error> for Unasked {
    fn from(fault: io::Error) -> Self {
        Self::Line(fault)
    }
}

impl From<ErrorKind> for Unasked {
    fn from(kind: ErrorKind) -> Self {
        Self::Line(kind.into())
    }
}

fn unexpected(message: Message, when: &str) -> Unasked {
    Unasked::Words(format!("answered {} {when}", message.word()))
}
