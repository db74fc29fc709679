//! A server's side of the protocol, written down a second time: bytes by hand, with constants of its own.

use std::io::{BufReader, Read, Write};

/// Bohr (angstrom) and hartree (eV): CODATA 2022, as printed by NIST.
pub const BOHR: f64 = 0.529_177_210_544;
pub const HARTREE: f64 = 27.211_386_245_981;

/// Three lattice vectors, or a virial, by rows.
pub type Square = [[f64; 3]; 3];

/// A word as a header of 12 bytes.
pub fn header(word: &str) -> Vec<u8> {
    format!("{word:12}").into_bytes()
}

fn numbers(values: impl IntoIterator<Item = f64>) -> Vec<u8> {
    values.into_iter().flat_map(f64::to_le_bytes).collect()
}

/// A cell (angstrom) as it is sent: its vectors as columns, in bohr, and an inverse that nobody reads.
pub fn cell(vectors: Square) -> Vec<u8> {
    let columns = (0..9).map(|n| vectors[n % 3][n / 3] / BOHR);
    numbers(columns.chain([f64::NAN; 9]))
}

/// Positions (angstrom) as they are sent.
pub fn positions(positions: &[[f64; 3]]) -> Vec<u8> {
    numbers(positions.iter().flatten().map(|x| x / BOHR))
}

/// INIT of a replica with parameters.
pub fn init(replica: i32, parameters: &[u8]) -> Vec<u8> {
    let numbers = [replica, parameters.len() as i32];
    let numbers = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    [header("INIT"), numbers, parameters.to_vec()].concat()
}

/// POSDATA of one structure.
pub fn posdata(vectors: Square, atoms: &[[f64; 3]]) -> Vec<u8> {
    let count = (atoms.len() as i32).to_le_bytes().to_vec();
    [header("POSDATA"), cell(vectors), count, positions(atoms)].concat()
}

/// POSDATA of several structures, as i-PI 3.3 sends them after INIT with a `batch_size`.
pub fn batch(structures: &[(Square, Vec<[f64; 3]>)]) -> Vec<u8> {
    let count = (structures[0].1.len() as i32).to_le_bytes().to_vec();
    let cells = structures.iter().flat_map(|(vectors, _)| cell(*vectors));
    let atoms = structures.iter().flat_map(|(_, atoms)| positions(atoms));
    [header("POSDATA"), count, cells.collect(), atoms.collect()].concat()
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// eV
    pub energy: f64,
    /// eV / angstrom
    pub forces: Vec<[f64; 3]>,
    /// eV; as it comes, row by row
    pub virial: Square,
}

/// Reads a client's answers.
pub struct Answers<R>(pub R);

impl<R: Read> Answers<R> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).expect("an answer");
        bytes
    }

    /// The word of the next header.
    pub fn word(&mut self) -> String {
        let header = self.bytes::<12>();
        String::from_utf8(header.to_vec())
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// A whole number.
    pub fn whole(&mut self) -> i32 {
        i32::from_le_bytes(self.bytes())
    }

    fn number(&mut self) -> f64 {
        f64::from_le_bytes(self.bytes())
    }

    /// Energies, forces and virials of so many structures.
    pub fn replies(&mut self, structures: usize) -> Vec<Reply> {
        assert_eq!(self.word(), "FORCEREADY");
        let energies: Vec<f64> = (0..structures).map(|_| self.number() * HARTREE).collect();
        let atoms = self.whole();
        let mut vector = |unit: f64| [0; 3].map(|_| self.number() * unit);
        let mut forces: Vec<Vec<[f64; 3]>> = Vec::new();
        for _ in 0..structures {
            forces.push((0..atoms).map(|_| vector(HARTREE / BOHR)).collect());
        }
        let virials: Vec<Square> = (0..structures)
            .map(|_| [0; 3].map(|_| vector(HARTREE)))
            .collect();
        for _ in 0..structures {
            assert_eq!(self.whole(), 0, "no text is sent");
        }
        (energies.into_iter().zip(forces).zip(virials))
            .map(|((energy, forces), virial)| Reply {
                energy,
                forces,
                virial,
            })
            .collect()
    }
}

/// A server that has a client on the line.
pub struct Peer<S>(pub S);

impl<S: Read + Write> Peer<S> {
    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the client listens");
    }

    /// What the client says of itself.
    pub fn status(&mut self) -> String {
        self.send(&header("STATUS"));
        Answers(&mut self.0).word()
    }

    /// The answer to GETFORCE. Nothing comes after it by itself.
    pub fn reply(&mut self) -> Reply {
        Answers(BufReader::new(&mut self.0)).replies(1).remove(0)
    }

    /// One evaluation, as every server before i-PI 3.3 asks for it.
    pub fn evaluate(&mut self, vectors: Square, atoms: &[[f64; 3]]) -> Reply {
        if self.status() == "NEEDINIT" {
            self.send(&init(0, b" "));
        }
        assert_eq!(self.status(), "READY");
        self.send(&posdata(vectors, atoms));
        assert_eq!(self.status(), "HAVEDATA");
        self.send(&header("GETFORCE"));
        self.reply()
    }
}

/// Memory that a server shares: files of the folder where it is by its names, taken away in the end.
pub struct Segments {
    names: Vec<String>,
}

impl Segments {
    /// Positions, lattice vectors, their inverse, energies, forces and virials of so many structures with so many atoms.
    pub fn new(name: &str, structures: usize, atoms: usize) -> Self {
        let sizes = [24 * atoms, 72, 72, 8, 24 * atoms, 72];
        let kinds = ["pos", "h", "ih", "pot", "force", "vir"];
        let names = kinds.map(|kind| format!("mdrun_{name}_{}_{kind}", std::process::id()));
        for (name, size) in names.iter().zip(sizes) {
            std::fs::write(Self::path(name), vec![0; structures * size]).unwrap();
        }
        Self {
            names: names.to_vec(),
        }
    }

    fn path(name: &str) -> String {
        format!("/dev/shm/{name}")
    }

    /// Puts structures where the client finds them.
    pub fn fill(&self, structures: &[(Square, Vec<[f64; 3]>)]) {
        let atoms = structures.iter().flat_map(|(_, atoms)| positions(atoms));
        self.write(0, &atoms.collect::<Vec<u8>>());
        let lattices = structures.iter().flat_map(|(vectors, _)| {
            let both = cell(*vectors);
            both[..72].to_vec()
        });
        self.write(1, &lattices.collect::<Vec<u8>>());
    }

    fn write(&self, segment: usize, bytes: &[u8]) {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(Self::path(&self.names[segment]))
            .unwrap();
        file.write_all_at(bytes, 0).unwrap();
    }

    /// POSDATA of so many atoms, with the names of the memory.
    pub fn posdata(&self, atoms: i32) -> Vec<u8> {
        let names = self.names.iter().map(String::as_bytes);
        Self::naming(atoms, names)
    }

    /// POSDATA of so many atoms, with these names.
    pub fn naming<'n>(atoms: i32, names: impl Iterator<Item = &'n [u8]>) -> Vec<u8> {
        let mut said = header("POSDATA");
        said.extend(atoms.to_le_bytes());
        for name in names {
            said.extend((name.len() as i32).to_le_bytes());
            said.extend(name);
        }
        said
    }

    /// What the client has left there, of so many structures.
    pub fn replies(&self, structures: usize) -> Vec<Reply> {
        let [energies, forces, virials] = [3, 4, 5].map(|k| {
            let bytes = std::fs::read(Self::path(&self.names[k])).unwrap();
            let words = bytes.as_chunks::<8>().0.to_vec();
            words
                .into_iter()
                .map(f64::from_le_bytes)
                .collect::<Vec<f64>>()
        });
        let own = forces.len() / energies.len();
        let reply = |k: usize| {
            let triples = forces[own * k..own * (k + 1)].as_chunks::<3>().0;
            let rows = virials[9 * k..9 * (k + 1)].as_chunks::<3>().0;
            Reply {
                energy: energies[k] * HARTREE,
                forces: (triples.iter())
                    .map(|force| force.map(|x| x * (HARTREE / BOHR)))
                    .collect(),
                virial: [0, 1, 2].map(|a: usize| rows[a].map(|x| x * HARTREE)),
            }
        };
        (0..structures).map(reply).collect()
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = std::fs::remove_file(Self::path(name));
        }
    }
}
