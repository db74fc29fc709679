//! Losses of power: what was not yet brought to the disk is there in part, or not at all.
//!
//! From a journal of a run's calls, what a disk may hold after any of them is worked out: of names (files made, renamed,
//! removed) all changes up to some moment after the last wait for their folder, in their order, as journalling file systems
//! keep it; of each file's bytes all that was waited for, and of the rest any part. From there the run must go on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mdrun::core::rng::philox;

use super::shim::{Scene, Stage};

/// Losses tried of each scene where not all calls are.
const SOME: usize = 24;

/// A change of names.
#[derive(Clone, Debug)]
enum Named {
    Made(PathBuf, usize),
    Folder(PathBuf),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

/// A change of a file's bytes.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Clone, Default)]
struct File {
    safe: Vec<u8>,
    pending: Vec<Change>,
}

impl File {
    fn apply(bytes: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Length(length) => bytes.resize(*length as usize, 0),
            Change::Write(at, data) => {
                let end = *at as usize + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at as usize..end].copy_from_slice(data);
            }
        }
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            Self::apply(&mut self.safe, &change);
        }
    }
}

#[derive(Clone, Debug)]
enum Node {
    Folder,
    File(usize),
}

/// What is known of a disk after some calls.
#[derive(Default)]
struct Disk {
    files: Vec<File>,
    /// Names before the first call, and as the process sees them now.
    first: BTreeMap<PathBuf, Node>,
    now: BTreeMap<PathBuf, Node>,
    changes: Vec<Named>,
    /// How many of these are on the disk for sure.
    safe: usize,
    /// What open descriptors stand for.
    open: BTreeMap<i64, PathBuf>,
    held: BTreeMap<i64, usize>,
}

impl Disk {
    fn load(&mut self, folder: &Path, as_if: &Path) {
        self.first.insert(as_if.to_owned(), Node::Folder);
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let safe = fs::read(entry.path()).unwrap();
            let node = Node::File(self.files.len());
            self.files.push(File {
                safe,
                pending: Vec::new(),
            });
            self.first.insert(as_if.join(entry.file_name()), node);
        }
        self.now = self.first.clone();
    }

    fn change(&mut self, change: Named) {
        apply(&mut self.now, &change);
        self.changes.push(change);
    }

    fn call(&mut self, call: &Call) {
        let path = PathBuf::from(&call.first);
        match call.letter {
            b'o' => self.opened(path, call),
            b'w' => self.alter(call.fd, Change::Write(call.value, call.data.clone())),
            b't' => self.alter(call.fd, Change::Length(call.value)),
            b's' => match self.held.get(&call.fd) {
                Some(&file) => self.files[file].sync(),
                None => self.wait_for(&self.open[&call.fd].clone()),
            },
            b'r' => self.change(Named::Renamed(path, PathBuf::from(&call.second))),
            b'u' | b'd' => self.change(Named::Removed(path)),
            b'm' => self.change(Named::Folder(path)),
            _ => {}
        }
    }

    fn opened(&mut self, path: PathBuf, call: &Call) {
        const TRUNCATES: u64 = 0o1000;
        self.open.insert(call.fd, path.clone());
        self.held.remove(&call.fd);
        let file = match self.now.get(&path) {
            Some(Node::Folder) => return,
            Some(Node::File(file)) => *file,
            None => {
                self.files.push(File::default());
                let file = self.files.len() - 1;
                self.change(Named::Made(path, file));
                file
            }
        };
        self.held.insert(call.fd, file);
        if call.value & TRUNCATES != 0 {
            self.alter(call.fd, Change::Length(0));
        }
    }

    fn alter(&mut self, fd: i64, change: Change) {
        let file = self.held[&fd];
        self.files[file].pending.push(change);
    }

    /// All changes of names up to the last one in this folder are on the disk.
    fn wait_for(&mut self, folder: &Path) {
        let within = |path: &Path| path.parent() == Some(folder) || path == folder;
        let concerns = |change: &Named| match change {
            Named::Made(path, _) | Named::Folder(path) | Named::Removed(path) => within(path),
            Named::Renamed(from, to) => within(from) || within(to),
        };
        let last = self.changes.iter().rposition(concerns);
        self.safe = self.safe.max(last.map_or(0, |last| last + 1));
    }

    /// Puts down what a disk may hold after a loss of power, chosen by `chance`.
    fn lose(&self, root: &Path, chance: &mut Chance) {
        let _ = fs::remove_dir_all(root);
        let kept = self.safe + chance.up_to(self.changes.len() - self.safe);
        let mut names = self.first.clone();
        (self.changes[..kept].iter()).for_each(|change| apply(&mut names, change));
        for (path, node) in names {
            match node {
                Node::Folder => fs::create_dir_all(path).unwrap(),
                Node::File(file) => {
                    let file = &self.files[file];
                    let mut bytes = file.safe.clone();
                    let kept = chance.up_to(file.pending.len());
                    (file.pending[..kept].iter()).for_each(|c| File::apply(&mut bytes, c));
                    // The last of them may be there in part.
                    if let Some(Change::Write(at, data)) = file.pending.get(kept) {
                        let part = data[..chance.up_to(data.len())].to_vec();
                        if !part.is_empty() {
                            File::apply(&mut bytes, &Change::Write(*at, part));
                        }
                    }
                    if path.parent().is_some_and(Path::is_dir) {
                        fs::write(path, bytes).unwrap();
                    }
                }
            }
        }
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Node>, change: &Named) {
    match change {
        Named::Made(path, file) => drop(names.insert(path.clone(), Node::File(*file))),
        Named::Folder(path) => drop(names.insert(path.clone(), Node::Folder)),
        Named::Removed(path) => drop(names.remove(path)),
        Named::Renamed(from, to) => {
            let moved: Vec<PathBuf> = (names.keys())
                .filter(|path| path.starts_with(from))
                .cloned()
                .collect();
            for path in moved {
                let node = names.remove(&path).unwrap();
                let rest = path.strip_prefix(from).unwrap();
                let target = match rest.as_os_str().is_empty() {
                    true => to.clone(),
                    false => to.join(rest),
                };
                names.insert(target, node);
            }
        }
    }
}

/// Choices, the same ones every time.
struct Chance {
    seed: u32,
    count: u32,
    /// 0: nothing that need not be there is; 1: any part; 2: of names all, of bytes nothing.
    way: u32,
}

impl Chance {
    fn up_to(&mut self, most: usize) -> usize {
        self.count += 1;
        match self.way {
            0 => 0,
            2 if self.count == 1 => most,
            2 => 0,
            _ => {
                let [word, ..] = philox([self.seed, self.count, 0, 0], [0x706f, 0x7765]);
                word as usize % (most + 1)
            }
        }
    }
}

/// A call in the journal.
struct Call {
    letter: u8,
    first: String,
    second: String,
    fd: i64,
    value: u64,
    data: Vec<u8>,
}

fn journal(path: &Path) -> Vec<Call> {
    let bytes = fs::read(path).unwrap();
    let mut rest = &bytes[..];
    let mut calls = Vec::new();
    fn take<'b>(rest: &mut &'b [u8], count: usize) -> &'b [u8] {
        let (taken, left) = rest.split_at(count);
        *rest = left;
        taken
    }
    fn word(rest: &mut &[u8]) -> u64 {
        u64::from_le_bytes(take(rest, 8).try_into().unwrap())
    }
    fn block<'b>(rest: &mut &'b [u8]) -> &'b [u8] {
        let length = u32::from_le_bytes(take(rest, 4).try_into().unwrap());
        take(rest, length as usize)
    }
    while !rest.is_empty() {
        let letter = take(&mut rest, 1)[0];
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (first, second) = (text(block(&mut rest)), text(block(&mut rest)));
        let fd = word(&mut rest) as i64;
        let value = word(&mut rest);
        let data = block(&mut rest).to_vec();
        calls.push(Call {
            letter,
            first,
            second,
            fd,
            value,
            data,
        });
    }
    calls
}

fn survives(scene: Scene) {
    let Some(stage) = Stage::new(scene) else {
        return;
    };
    let (run, path) = (stage.set("disturbed"), stage.bench.at("journal"));
    let output = stage.run(&run, &[("SHIM_JOURNAL", path.to_str().unwrap())]);
    assert!(output.status.success(), "{output:?}");
    let calls = journal(&path);
    let stride = match std::env::var_os("MDRUN_VALIDATE") {
        Some(_) => 1,
        None => (3 * calls.len() / SOME).max(1),
    };
    let mut losses = 0;
    for after in (0..=calls.len()).step_by(stride) {
        for way in 0..3 {
            let mut disk = Disk::default();
            if let Some(before) = stage.before() {
                disk.load(before, &run);
            }
            calls[..after].iter().for_each(|call| disk.call(call));
            let mut chance = Chance {
                seed: after as u32,
                count: 0,
                way,
            };
            disk.lose(&run, &mut chance);
            stage.check(
                &run,
                &format!("{scene:?}: power is lost after call {after}, {way}"),
            );
            losses += 1;
        }
    }
    eprintln!(
        "{scene:?}: {losses} losses of power at {} calls",
        calls.len()
    );
}

#[test]
fn a_run_that_begins_survives_a_loss_of_power() {
    survives(Scene::Begin);
}

#[test]
fn a_run_that_goes_on_survives_a_loss_of_power() {
    survives(Scene::GoOn);
}

#[test]
fn a_run_that_is_replaced_survives_a_loss_of_power() {
    survives(Scene::Replace);
}
