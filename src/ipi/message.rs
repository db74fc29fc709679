//! What is said, as bytes: headers of 12 letters, whole numbers of 4 bytes, and numbers of 8 in hartree and bohr.
//!
//! Matrices are written row by row. Lattice vectors are the columns of the matrix of a cell. The virial is minus the
//! derivative of the energy by strain, row a and column b that by the strain that moves atoms along a in proportion to
//! their place along b: the sum over atoms of the force along a times the place along b. i-PI reads what stands above its
//! diagonal.
//!
//! Bytes stand in the order of the machines that speak; these are all little-endian.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt as _;

use crate::core::{Mat3, Vec3};
use crate::potential::Evaluation;
use crate::units::{BOHR, HARTREE};

/// Bytes of a header.
const HEADER: usize = 12;
/// Bytes that are read at once: a message of some 2,700 atoms.
const BUFFER: usize = 1 << 16;

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The server asks how the client is.
    Status,
    /// The server tells a replica and parameters.
    Init,
    /// The server sends cell and positions.
    PosData,
    /// The server asks for energy, forces and virial.
    GetForce,
    /// The server has no more work.
    Exit,
    /// The client wants to be told what to do.
    NeedInit,
    /// The client waits for positions.
    Ready,
    /// The client has computed.
    HaveData,
    /// The client sends energy, forces and virial.
    ForceReady,
}

impl Message {
    const ALL: [Self; 9] = [
        Self::Status,
        Self::Init,
        Self::PosData,
        Self::GetForce,
        Self::Exit,
        Self::NeedInit,
        Self::Ready,
        Self::HaveData,
        Self::ForceReady,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Status => "STATUS",
            Self::Init => "INIT",
            Self::PosData => "POSDATA",
            Self::GetForce => "GETFORCE",
            Self::Exit => "EXIT",
            Self::NeedInit => "NEEDINIT",
            Self::Ready => "READY",
            Self::HaveData => "HAVEDATA",
            Self::ForceReady => "FORCEREADY",
        }
    }

    /// The message of a header.
    pub fn of(header: &[u8; HEADER]) -> Option<Self> {
        let word = header.trim_ascii_end();
        (Self::ALL.into_iter()).find(|message| message.word().as_bytes() == word)
    }
}

/// What a peer sends, taken apart.
#[derive(Debug)]
pub struct Inbox<R> {
    source: BufReader<R>,
}

impl<R: Read> Inbox<R> {
    /// Reads what comes from `source`.
    pub fn new(source: R) -> Self {
        Self {
            source: BufReader::with_capacity(BUFFER, source),
        }
    }

    /// The next header; `None` where the peer has closed the connection before it.
    ///
    /// # Errors
    /// The connection failed, or was closed inside of the header.
    pub fn header(&mut self) -> io::Result<Option<[u8; HEADER]>> {
        let mut header = [0; HEADER];
        let first = loop {
            match self.source.read(&mut header) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if first == 0 {
            return Ok(None);
        }
        self.source.read_exact(&mut header[first..])?;
        Ok(Some(header))
    }

    /// A whole number.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn whole(&mut self) -> io::Result<i32> {
        let mut bytes = [0; 4];
        self.source.read_exact(&mut bytes)?;
        Ok(i32::from_le_bytes(bytes))
    }

    /// A number, as it is.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn number(&mut self) -> io::Result<f64> {
        let mut bytes = [0; 8];
        self.source.read_exact(&mut bytes)?;
        Ok(f64::from_le_bytes(bytes))
    }

    /// A matrix, as it is: the first row comes first.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn matrix(&mut self) -> io::Result<Mat3> {
        let mut bytes = [0; 72];
        self.source.read_exact(&mut bytes)?;
        Ok(matrix(&bytes))
    }

    /// Lattice vectors, as rows (angstrom). The inverse that comes after them is left out.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn lattice(&mut self) -> io::Result<Mat3> {
        let columns = self.matrix()?;
        self.matrix()?;
        Ok(columns.transpose() * BOHR)
    }

    /// Vectors, each component times `unit`.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn vectors(&mut self, into: &mut [Vec3], unit: f64) -> io::Result<()> {
        /// Vectors that are read at once.
        const CHUNK: usize = 128;
        let mut bytes = [0; 24 * CHUNK];
        for chunk in into.chunks_mut(CHUNK) {
            let bytes = &mut bytes[..24 * chunk.len()];
            self.source.read_exact(bytes)?;
            vectors(bytes, chunk, unit);
        }
        Ok(())
    }

    /// Positions (angstrom).
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn positions(&mut self, into: &mut [Vec3]) -> io::Result<()> {
        self.vectors(into, BOHR)
    }

    /// Where it comes from.
    pub fn source(&self) -> &R {
        self.source.get_ref()
    }

    /// Reads so many bytes that nobody wants.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn skip(&mut self, bytes: usize) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.source).take(bytes as u64), &mut io::sink())?;
        match skipped == bytes as u64 {
            true => Ok(()),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// So many bytes of text.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn text(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        // Memory comes as the bytes do.
        let read = (&mut self.source)
            .take(bytes as u64)
            .read_to_end(&mut text)?;
        match read == bytes {
            true => Ok(text),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// What is sent to a peer, put together so that it leaves at once.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
}

impl Outbox {
    /// A header.
    pub fn message(&mut self, message: Message) -> &mut Self {
        let word = message.word().as_bytes();
        self.bytes.extend_from_slice(word);
        (self.bytes).extend(std::iter::repeat_n(b' ', HEADER - word.len()));
        self
    }

    /// A whole number.
    pub fn whole(&mut self, number: i32) -> &mut Self {
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// A number, as it is.
    pub fn number(&mut self, number: f64) -> &mut Self {
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// A matrix, as it is: the first row comes first.
    pub fn matrix(&mut self, matrix: &Mat3) -> &mut Self {
        for number in matrix.transpose().iter() {
            self.number(*number);
        }
        self
    }

    /// Lattice vectors (rows, angstrom) and their inverse.
    pub fn lattice(&mut self, vectors: &Mat3, inverse: &Mat3) -> &mut Self {
        self.matrix(&(vectors.transpose() / BOHR));
        self.matrix(&(inverse.transpose() * BOHR))
    }

    /// Vectors, each component divided by `unit`.
    pub fn vectors(&mut self, vectors: &[Vec3], unit: f64) -> &mut Self {
        let before = self.bytes.len();
        self.bytes.resize(before + 24 * vectors.len(), 0);
        let (words, _) = self.bytes[before..].as_chunks_mut::<8>();
        for (words, vector) in words.chunks_exact_mut(3).zip(vectors) {
            for (word, number) in words.iter_mut().zip([vector.x, vector.y, vector.z]) {
                *word = (number / unit).to_le_bytes();
            }
        }
        self
    }

    /// An energy (eV).
    pub fn energy(&mut self, energy: f64) -> &mut Self {
        self.number(energy / HARTREE)
    }

    /// The forces of an evaluation.
    pub fn forces(&mut self, evaluation: &Evaluation) -> &mut Self {
        self.vectors(&evaluation.forces, HARTREE / BOHR)
    }

    /// The virial of an evaluation.
    pub fn virial(&mut self, evaluation: &Evaluation) -> &mut Self {
        self.matrix(&(evaluation.strain_derivative.transpose() / -HARTREE))
    }

    /// What was found of structures of so many atoms each: all energies, all forces, all virials.
    pub(super) fn found(&mut self, evaluations: &[Evaluation], atoms: usize) -> &mut Self {
        for evaluation in evaluations {
            self.energy(evaluation.energy);
        }
        // A structure was taken whose atoms this type can count.
        self.whole(atoms as i32);
        for evaluation in evaluations {
            self.forces(evaluation);
        }
        for evaluation in evaluations {
            self.virial(evaluation);
        }
        self
    }

    /// Bytes of text.
    pub fn text(&mut self, text: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(text);
        self
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn send(&mut self, mut to: impl Write) -> io::Result<()> {
        to.write_all(&self.bytes)?;
        self.bytes.clear();
        to.flush()
    }

    /// Writes all of it at a place of a file (bytes from its start).
    ///
    /// # Errors
    /// The file cannot be written to.
    pub(super) fn put(&mut self, file: &File, at: usize) -> io::Result<()> {
        file.write_all_at(&self.bytes, at as u64)?;
        self.bytes.clear();
        Ok(())
    }
}

/// The matrix of these bytes, as it is: the first row comes first.
pub(super) fn matrix(bytes: &[u8; 72]) -> Mat3 {
    let (numbers, _) = bytes.as_chunks();
    Mat3::from_row_iterator(numbers.iter().map(|&number| f64::from_le_bytes(number)))
}

/// The vectors of as many bytes, each component times `unit`.
pub(super) fn vectors(bytes: &[u8], into: &mut [Vec3], unit: f64) {
    let (numbers, _) = bytes.as_chunks();
    let (vectors, _) = numbers.as_chunks::<3>();
    for (vector, numbers) in into.iter_mut().zip(vectors) {
        *vector = Vec3::from(numbers.map(|number| f64::from_le_bytes(number) * unit));
    }
}

/// A header that is none of the protocol's, as it may be shown.
pub(super) fn shown(header: &[u8; HEADER]) -> String {
    format!("\"{}\"", header.escape_ascii())
}
