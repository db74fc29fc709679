//! Signals that ask a run to end, and the exit code that it ends with.
//!
//! A run that is asked to end takes the steps that are under way, writes a checkpoint and completes its files. It
//! ends with 128 + the signal's number, so that a shell's `&&` and a script's `set -e` stop. Asked once more,
//! it ends at once.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::run::Interruption;
use crate::{Error, Result};

/// Signals that ask for an end, by name.
///
/// INT is Ctrl-C and QUIT is Ctrl-\. HUP comes when the terminal goes away. Queues send TERM, and some INT,
/// before they kill; USR1 and USR2 ahead of that, where they are asked to; XCPU when the processor time is used up.
const ENDING: [(i32, &str); 7] = [
    (SIGINT, "SIGINT"),
    (SIGTERM, "SIGTERM"),
    (SIGHUP, "SIGHUP"),
    (SIGQUIT, "SIGQUIT"),
    (SIGUSR1, "SIGUSR1"),
    (SIGUSR2, "SIGUSR2"),
    (SIGXCPU, "SIGXCPU"),
];
/// Those that announce an end which another signal will ask for. That one is no second request.
const NOTICES: [i32; 3] = [SIGUSR1, SIGUSR2, SIGXCPU];
/// Signals that come within this time of the first one are the same request: a shell and a terminal that goes
/// away both send HUP, and `timeout` sends TERM to the process and to its group.
const ECHO: Duration = Duration::from_millis(100);

/// A signal that asked for an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndSignal(i32);

impl EndSignal {
    /// Its name, such as SIGTERM.
    pub fn name(self) -> &'static str {
        let known = ENDING.iter().find(|(number, _)| *number == self.0);
        known.map_or("a signal", |(_, name)| name)
    }

    /// Ends the process the way this signal asked for: with 128 + its number.
    ///
    /// At a terminal Ctrl-C ends it by the signal itself, since a shell's loop stops only for that. The shell
    /// tells 130 all the same.
    pub fn exit_code(self) -> ExitCode {
        if self.0 == SIGINT && io::stdin().is_terminal() {
            // Where it fails, the code is left to tell.
            let _ = low_level::emulate_default_handler(SIGINT);
        }
        ExitCode::from(code(self.0))
    }
}

/// Watches for signals that ask a run to end.
#[derive(Debug, Clone)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    /// The number of the first signal; 0 before it.
    first: Arc<AtomicI32>,
}

impl Interrupt {
    /// Watches from now on. Signals that were ignored when the process began stay so, as HUP under `nohup`.
    ///
    /// # Errors
    /// The signals cannot be watched for.
    pub fn watch() -> Result<Self> {
        let fault = |e: io::Error| {
            // What watches is a thread.
            Error::run(format!("cannot watch for signals: {e}"))
                .advise("see whether memory and threads are left (`ulimit -v`, `ulimit -u`, the job's limits)")
        };
        let interrupt = Self {
            asked: Arc::default(),
            first: Arc::default(),
        };
        let ignored = ignored();
        let heard = ENDING.map(|(number, _)| number).into_iter();
        let mut signals = Signals::new(heard.filter(|n| !ignored.contains(n))).map_err(fault)?;
        let told = interrupt.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                let mut requests = Requests::default();
                for signal in signals.forever() {
                    told.note(signal, &mut requests);
                }
            })
            .map_err(fault)?;
        Ok(interrupt)
    }

    /// The flag that becomes true at the first signal, for those who wait.
    pub fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// The first signal, once it has come.
    pub fn signal(&self) -> Option<EndSignal> {
        match self.first.load(Ordering::Acquire) {
            0 => None,
            number => Some(EndSignal(number)),
        }
    }

    /// Takes note of a signal. Ends the process where it is a second request.
    fn note(&self, signal: i32, requests: &mut Requests) {
        if requests.is_second(signal, Instant::now()) {
            low_level::exit(i32::from(code(signal)));
        }
        let _ = (self.first).compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire);
        self.asked.store(true, Ordering::Release);
    }
}

impl Interruption for Interrupt {
    /// Becomes true at the first signal.
    fn flag(&self) -> &AtomicBool {
        &self.asked
    }

    fn name(&self) -> &str {
        self.signal().map_or("a signal", EndSignal::name)
    }

    fn obstacle(&self) -> Option<&str> {
        is_file_limit_reached()
            .then_some("the limit on the size of files is reached: `ulimit -f` tells it")
    }
}

/// Becomes true once a file would have grown beyond the limit on the size of files.
static FILE_LIMIT: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Whether a file would have grown beyond the limit on the size of files.
fn is_file_limit_reached() -> bool {
    FILE_LIMIT
        .get()
        .is_some_and(|reached| reached.load(Ordering::Relaxed))
}

/// Lets a process outlive the signal of a limit on the size of files (`ulimit -f`): writing fails instead, as on
/// a full disk.
///
/// # Errors
/// The signal cannot be watched for.
pub fn outlive_file_limit() -> Result<()> {
    let reached = FILE_LIMIT.get_or_init(Arc::default);
    (signal_hook::flag::register(SIGXFSZ, Arc::clone(reached)).map(drop))
        .map_err(|e| Error::run(format!("cannot watch for signals: {e}")))
}

/// The signals that have come so far.
#[derive(Debug, Default)]
struct Requests {
    began: Option<Instant>,
    come: Vec<i32>,
}

impl Requests {
    /// Takes note of a signal that has come now. Tells whether it asks once more for what was asked for already.
    fn is_second(&mut self, signal: i32, now: Instant) -> bool {
        let began = *self.began.get_or_insert(now);
        let announced = NOTICES.contains(&signal);
        // The system sends XCPU every second.
        let same = self.come.contains(&signal) && signal != SIGXCPU;
        let asked = !announced && self.come.iter().any(|s| !NOTICES.contains(s));
        if !self.come.contains(&signal) {
            self.come.push(signal);
        }
        (same || asked) && now.duration_since(began) >= ECHO
    }
}

/// The exit code of a process that a signal ends: what a shell tells of it.
fn code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}

/// Signals that the process was started to ignore. Told by Linux alone; elsewhere none is.
///
/// A shell without job control starts a command with `&` so that it ignores INT and QUIT, lest Ctrl-C end it.
/// One that is sent by name is meant: where both are ignored, INT is not.
fn ignored() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let is = |signal: i32| mask.is_some_and(|mask| mask & 1 << (signal - 1) != 0);
    let background = is(SIGINT) && is(SIGQUIT);
    (ENDING.iter().map(|(number, _)| *number))
        .filter(|&signal| is(signal) && !(background && signal == SIGINT))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the last of the signals, which come so many milliseconds after the first, ends the process at once.
    fn ends(signals: &[(i32, u64)]) -> bool {
        let (mut requests, began) = (Requests::default(), Instant::now());
        let second = |&(signal, after): &(i32, u64)| {
            requests.is_second(signal, began + Duration::from_millis(after))
        };
        let told: Vec<bool> = signals.iter().map(second).collect();
        assert!(told[..told.len() - 1].iter().all(|ends| !ends), "{told:?}");
        told[told.len() - 1]
    }

    #[test]
    fn a_second_request_ends_at_once() {
        assert!(!ends(&[(SIGINT, 0)]));
        assert!(ends(&[(SIGINT, 0), (SIGINT, 150)]));
        assert!(ends(&[(SIGINT, 0), (SIGTERM, 150)]));
        assert!(ends(&[(SIGUSR1, 0), (SIGUSR1, 150)]));
        assert!(ends(&[(SIGUSR1, 0), (SIGTERM, 150), (SIGTERM, 300)]));
    }

    #[test]
    fn echoes_and_announced_ends_are_no_second_request() {
        assert!(!ends(&[(SIGTERM, 0), (SIGTERM, 5)]));
        assert!(!ends(&[(SIGHUP, 0), (SIGTERM, 5)]));
        assert!(!ends(&[(SIGUSR2, 0), (SIGTERM, 60_000)]));
        assert!(!ends(&[(SIGUSR1, 0), (SIGUSR2, 1000)]));
        assert!(!ends(&[(SIGXCPU, 0), (SIGXCPU, 1000), (SIGXCPU, 2000)]));
        assert!(!ends(&[(SIGTERM, 0), (SIGUSR1, 1000)]));
    }
}
