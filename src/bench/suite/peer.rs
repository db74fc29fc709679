//! A PyTorch script beside the engines: run on the same boxes, and read what it prints.
//!
//! It is any program with the options `--device cpu|cuda --sizes A,B --modes M,N --iters I --weights FILE` that prints a line of
//! JSON for each size with `atoms`, `pairs` and `MODE_ms` of each mode (and, if it queues its calls, `MODE_queued_ms`, of which
//! the better counts). On a GPU it is asked for half precision too, with `--dtype float16`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::super::Args;
use super::row::GuideRow;
use crate::config::plan::DeviceKind;
use crate::models::ModelFile;
use crate::{Error, Result};

/// Calls that it times.
const ITERATIONS: &str = "30";

/// What is asked of a peer.
pub(super) struct PeerCall<'a> {
    pub(super) script: &'a Path,
    pub(super) args: &'a Args,
    pub(super) threads: usize,
    /// Numbers of atoms.
    pub(super) sizes: Vec<usize>,
    /// Most time that it may take.
    pub(super) patience: Duration,
}

/// Numbers as a peer names them, with the word for its rows, and the modes in them, on the CPU and on a GPU.
const ON_THE_CPU: [(Option<&str>, &str, &str); 1] = [(None, "f32", "eager,jit")];
const ON_A_CARD: [(Option<&str>, &str, &str); 2] = [
    (None, "f32", "eager,graph,compile-graph"),
    (Some("float16"), "f16", "eager,graph,compile-graph"),
];

impl PeerCall<'_> {
    /// Times the peer; rows are those of `boxes`, of which each is blank, in every mode. What went wrong is said in the notes.
    pub(super) fn rows(&self, boxes: &[GuideRow], notes: &mut Vec<String>) -> Vec<GuideRow> {
        let on_a_card = matches!(self.args.device, DeviceKind::Cuda(_));
        let asked: &[_] = if on_a_card { &ON_A_CARD } else { &ON_THE_CPU };
        let begin = Instant::now();
        let mut rows = Vec::new();
        for &(dtype, precision, modes) in asked {
            let left = self.patience.saturating_sub(begin.elapsed());
            match self.printed(dtype, modes, left) {
                Ok(text) => rows.extend(read(&text, precision, boxes, notes)),
                Err(e) => notes.push(format!(
                    "--peer {}, {precision}: {e}",
                    self.script.display()
                )),
            }
        }
        rows
    }

    /// What it prints.
    fn printed(&self, dtype: Option<&str>, modes: &str, patience: Duration) -> Result<String> {
        let weights = WeightsFile::of(&self.args.models[0])?;
        let sizes: Vec<String> = self.sizes.iter().map(usize::to_string).collect();
        let mut command = self.program();
        command.args([
            "--sizes",
            &sizes.join(","),
            "--modes",
            modes,
            "--iters",
            ITERATIONS,
        ]);
        command.arg("--weights").arg(&weights.path);
        match self.args.device {
            DeviceKind::Cuda(index) => {
                command.args(["--device", "cuda"]);
                command.env("CUDA_VISIBLE_DEVICES", visible(index));
            }
            DeviceKind::Auto | DeviceKind::Cpu => drop(command.args(["--device", "cpu"])),
        }
        if let Some(dtype) = dtype {
            command.args(["--dtype", dtype]);
        }
        command.env("OMP_NUM_THREADS", self.threads.to_string());
        finished(command, patience)
    }

    /// The script itself where it may be executed, else in Python.
    fn program(&self) -> Command {
        use std::os::unix::fs::PermissionsExt as _;
        let executable = std::fs::metadata(self.script)
            .is_ok_and(|found| found.permissions().mode() & 0o111 != 0);
        if executable && let Ok(path) = std::fs::canonicalize(self.script) {
            return Command::new(path);
        }
        let mut python = Command::new("python3");
        python.arg(self.script);
        python
    }
}

/// The GPU of this index among those that this process sees, as another process is told to see it alone.
fn visible(index: usize) -> String {
    let seen = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    let seen = seen.split(',').map(str::trim).nth(index);
    seen.filter(|name| !name.is_empty())
        .map_or_else(|| index.to_string(), str::to_owned)
}

/// Runs a command to its end, and returns what it printed.
fn finished(mut command: Command, patience: Duration) -> Result<String> {
    let spawned = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|e| Error::input(format!("it cannot be started: {e}")))?;
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let status = wait(&mut child, patience)?;
    let text = |thread: thread::JoinHandle<String>| thread.join().unwrap_or_default();
    let (out, err) = (text(out), text(err));
    match status {
        Some(status) if status.success() => Ok(out),
        Some(status) => {
            let last = err.lines().rfind(|line| !line.trim().is_empty());
            let last = last.unwrap_or("without a word");
            Err(Error::run(format!("it failed ({status}): {last}")))
        }
        None => Err(Error::run("it took too long, and was ended")),
    }
}

fn collect(stream: Option<impl std::io::Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What was read until it broke is what there is.
            drop(stream.read_to_end(&mut bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for a process; one that takes too long is ended: `None`.
fn wait(child: &mut Child, patience: Duration) -> Result<Option<std::process::ExitStatus>> {
    const LOOK: Duration = Duration::from_millis(50);
    let fault = |e: std::io::Error| Error::run(format!("it cannot be waited for: {e}"));
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(fault)? {
            return Ok(Some(status));
        }
        if begin.elapsed() > patience {
            child.kill().map_err(fault)?;
            child.wait().map_err(fault)?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

/// Reads a peer's lines.
fn read(text: &str, precision: &str, boxes: &[GuideRow], notes: &mut Vec<String>) -> Vec<GuideRow> {
    let mut rows = Vec::new();
    let lines = text
        .lines()
        .filter(|line| line.trim_start().starts_with('{'));
    for line in lines {
        let Ok(Value::Object(found)) = serde_json::from_str(line) else {
            notes.push(format!("the peer printed what is no JSON: {line:?}"));
            continue;
        };
        let number = |key: &str| found.get(key).and_then(Value::as_u64);
        let Some(of) = boxes
            .iter()
            .find(|row| number("atoms") == Some(row.atoms as u64))
        else {
            notes.push(format!("the peer timed what was not asked for: {line:?}"));
            continue;
        };
        if number("pairs") != Some(of.pairs) {
            notes.push(format!(
                "{} atoms: {} pairs here, the peer has {}: not the same box, not compared",
                of.atoms,
                of.pairs,
                number("pairs").map_or_else(|| "none".to_owned(), |n| n.to_string())
            ));
            continue;
        }
        rows.extend(modes(&found).into_iter().map(|(mode, time)| GuideRow {
            engine: format!("peer {mode}"),
            precision: precision.to_owned(),
            median_ms: Some(time),
            memory_bytes: memory(&found),
            ..of.clone()
        }));
        for (key, fault) in &found {
            if let (Some(mode), Some(fault)) = (key.strip_suffix("_error"), fault.as_str()) {
                notes.push(format!(
                    "{} atoms, the peer's {mode} {precision}: {fault}",
                    of.atoms
                ));
            }
        }
    }
    if rows.is_empty() {
        notes.push(format!("the peer printed no times in {precision}"));
    }
    rows
}

/// Times (ms) of a peer's modes, in the order of its line; the better of calls that were waited for and that were queued.
fn modes(found: &Map<String, Value>) -> Vec<(String, f64)> {
    let time = |key: &str| found.get(key).and_then(Value::as_f64).filter(|t| *t > 0.0);
    let mode = |key: &String| {
        let mode = key
            .strip_suffix("_ms")
            .filter(|mode| !mode.ends_with("_queued"))?;
        let queued = time(&format!("{mode}_queued_ms")).unwrap_or(f64::INFINITY);
        Some((mode.to_owned(), time(key)?.min(queued)))
    };
    found.keys().filter_map(mode).collect()
}

/// The most memory (bytes) that a peer says it took.
fn memory(found: &Map<String, Value>) -> Option<u64> {
    let mebibytes = found.get("peak_MiB")?.as_f64()?;
    (mebibytes > 0.0).then_some((mebibytes * 1048576.0) as u64)
}

/// A model as a file that another program reads; one inside this program is written for as long as this is there.
struct WeightsFile {
    path: PathBuf,
    written: bool,
}

impl WeightsFile {
    fn of(model: &Path) -> Result<Self> {
        let found = ModelFile::find(model, Path::new(""))?;
        if let ModelFile::Path(path) = found {
            return Ok(Self {
                path,
                written: false,
            });
        }
        let name = format!("mdrun-{}-{}.safetensors", std::process::id(), found);
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, found.read()?)
            .map_err(|e| Error::run(format!("{}: {e}", path.display())))?;
        Ok(Self {
            path,
            written: true,
        })
    }
}

impl Drop for WeightsFile {
    fn drop(&mut self) {
        if self.written {
            // It lies in a folder that is emptied anyway.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_of_two_ways_to_call_counts() {
        let line = r#"{"atoms": 9, "eager_ms": 2.0, "eager_queued_ms": 1.5, "graph_ms": 0.5, "jit_error": "no"}"#;
        let found: Map<String, Value> = serde_json::from_str(line).unwrap();
        let expected = [("eager".to_owned(), 1.5), ("graph".to_owned(), 0.5)];
        assert_eq!(modes(&found), expected);
        assert_eq!(memory(&found), None);
    }
}
