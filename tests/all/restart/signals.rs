//! Signals: what a user, a terminal and a queue send, at every moment of a run, and what the process ends with.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::faults::{LONG, SELDOM, end_of, ethanol, lines, wait_for_steps, wait_until};
use super::runs::{Bench, assert_same, hashes, newest, record, status, stderr};

/// Every signal that asks for an end, and its name.
const ENDING: [(Signal, &str); 7] = [
    (Signal::INT, "SIGINT"),
    (Signal::TERM, "SIGTERM"),
    (Signal::HUP, "SIGHUP"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::USR1, "SIGUSR1"),
    (Signal::USR2, "SIGUSR2"),
    (Signal::XCPU, "SIGXCPU"),
];
/// Well beyond the time within which signals count as one.
const LATER: Duration = Duration::from_millis(400);

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn code(signal: Signal) -> Option<i32> {
    Some(128 + signal.as_raw())
}

/// The shell command that `script` makes of a run: `"$0" "$@"` in it is the program with its arguments.
fn shell(bench: &Bench, run: &Path, more: &[&str], script: &str) -> Command {
    let inner = bench.command(run, more);
    let mut shell = Command::new("sh");
    (shell.args(["-c", script]).arg(inner.get_program())).args(inner.get_args());
    shell
}

/// The exit code is the shell's word for a process that the signal ended, and all is told and written.
#[test]
fn every_signal_ends_a_run_with_its_own_code() {
    for (signal, name) in ENDING {
        let bench = ethanol(10);
        let run = bench.at("run");
        let child = bench.start(&run, &["--set", LONG, "--set", SELDOM, "--json"]);
        wait_for_steps(&run);
        send(&child, signal);
        let output = end_of(child);
        assert_eq!(output.status.code(), code(signal), "{}", stderr(&output));
        let record = record(&run);
        assert_eq!(record["status"], "interrupted", "{name}");
        assert_eq!(record["summary"]["status"], "interrupted", "{name}");
        assert_eq!(record["summary"]["stopped_by"], name);
        // A line for the header and one for the start.
        let step = newest(&run).step;
        assert_eq!(step, lines(&run) as u64 - 2, "{name}");
        let further = format!("dynamics.steps={}", step + 3);
        bench.complete(&run, &["--resume", "-q", "--set", &further]);
    }
}

/// Interrupted and gone on with, a run is the run that nobody disturbed.
#[test]
fn an_interrupted_run_goes_on_as_if_nothing_had_been() {
    let bench = ethanol(800);
    let whole = bench.at("whole");
    bench.complete(&whole, &["-q", "--set", SELDOM]);
    let right = hashes(&whole);
    for (signal, name) in ENDING {
        let run = bench.at(name);
        let child = bench.start(&run, &["--set", SELDOM]);
        wait_for_steps(&run);
        send(&child, signal);
        let output = end_of(child);
        // Or the run was faster than the signal.
        if status(&run) == "interrupted" {
            assert_eq!(output.status.code(), code(signal), "{}", stderr(&output));
        }
        bench.complete(&run, &["--resume", "-q", "--set", SELDOM]);
        assert_same(&run, &right, name);
    }
}

/// A run started with `nohup` outlives its terminal; so does one that is told to ignore anything else.
#[test]
fn signals_that_are_ignored_end_nothing() {
    for (signal, name) in ENDING {
        let bench = ethanol(800);
        let run = bench.at("run");
        let script = format!("trap '' {}; exec \"$0\" \"$@\"", &name[3..]);
        let mut shell = shell(&bench, &run, &["-q", "--set", SELDOM], &script);
        let child = shell.spawn().unwrap();
        wait_for_steps(&run);
        send(&child, signal);
        assert!(end_of(child).status.success(), "{name}");
        assert_eq!(status(&run), "complete", "{name}");
    }
}

/// A script's `&` makes a command ignore INT and QUIT, lest Ctrl-C reach it. Sent by name, INT is meant.
#[test]
fn a_run_in_the_background_hears_an_interrupt() {
    let bench = ethanol(10);
    let run = bench.at("run");
    let script = "\"$0\" \"$@\" & echo $!; wait $!; echo $?";
    let more = ["-q", "--set", LONG, "--set", SELDOM];
    let mut shell = shell(&bench, &run, &more, script);
    let mut child = shell.stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid: i32 = told.next().unwrap().unwrap().parse().unwrap();
    wait_for_steps(&run);
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    assert_eq!(told.next().unwrap().unwrap(), "130");
    child.wait().unwrap();
    assert_eq!(status(&run), "interrupted");
}

/// A run that cannot come to its end because nobody reads what it prints.
struct Stuck {
    child: Child,
    /// Kept open: without a reader, printing would fail and not wait.
    _reader: std::io::PipeReader,
}

impl Stuck {
    fn start(bench: &Bench, run: &Path) -> Self {
        /// What a pipe holds on Linux, and what is left of it: the words at the start and some lines of the table.
        const CAPACITY: usize = 1 << 16;
        const LEFT: usize = 2048;
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&vec![b'#'; CAPACITY - LEFT]).unwrap();
        let steps = "dynamics.steps=2000";
        let mut command = bench.command(run, &["--set", steps, "--set", SELDOM]);
        let child = (command.stdout(writer).stderr(Stdio::piped())).spawn();
        let stuck = Self {
            child: child.unwrap(),
            _reader: reader,
        };
        wait_for_steps(run);
        let mut before = 0;
        wait_until("the pipe never fills", || {
            std::thread::sleep(Duration::from_millis(700));
            std::mem::replace(&mut before, lines(run)) == lines(run)
        });
        stuck
    }

    fn still_runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    for (first, second) in [
        (Signal::INT, Signal::INT),
        (Signal::TERM, Signal::INT),
        (Signal::USR1, Signal::USR1),
    ] {
        let bench = ethanol(10);
        let run = bench.at("run");
        let mut stuck = Stuck::start(&bench, &run);
        send(&stuck.child, first);
        std::thread::sleep(LATER);
        assert!(stuck.still_runs());
        send(&stuck.child, second);
        let output = end_of(stuck.child);
        assert_eq!(output.status.code(), code(second));
        assert_eq!(status(&run), "running");
    }
}

/// The same signal to a process and to its group, and the TERM that a USR1 announced.
#[test]
fn one_request_told_twice_ends_nothing_at_once() {
    let bench = ethanol(10);
    let run = bench.at("run");
    let mut stuck = Stuck::start(&bench, &run);
    send(&stuck.child, Signal::USR1);
    std::thread::sleep(LATER);
    send(&stuck.child, Signal::TERM);
    send(&stuck.child, Signal::XCPU);
    std::thread::sleep(LATER);
    assert!(stuck.still_runs());
    send(&stuck.child, Signal::XCPU);
    std::thread::sleep(LATER);
    assert!(stuck.still_runs());
    stuck.child.kill().unwrap();
    assert_eq!(stuck.child.wait().unwrap().signal(), Some(9));
}

/// A limit on processor time: the system sends XCPU every second until the run has ended.
#[test]
fn processor_time_that_is_used_up_ends_a_run_with_a_checkpoint() {
    let bench = ethanol(10);
    let run = bench.at("run");
    let script = "ulimit -S -t 1; exec \"$0\" \"$@\"";
    let output = shell(&bench, &run, &["--set", LONG, "--set", SELDOM], script)
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        code(Signal::XCPU),
        "{}",
        stderr(&output)
    );
    assert_eq!(status(&run), "interrupted");
    assert_eq!(record(&run)["summary"]["stopped_by"], "SIGXCPU");
    assert_eq!(newest(&run).step, lines(&run) as u64 - 2);
}

/// A limit on the size of files is a full disk: the run fails with what it has, and goes on where there is more room.
#[test]
fn a_file_size_limit_is_a_full_disk() {
    for heard in ["", "trap '' XFSZ; "] {
        let bench = ethanol(800);
        let run = bench.at("run");
        // In blocks of 512 bytes: 40 KiB, which the first trajectory reaches after some 20 frames.
        let script = format!("{heard}ulimit -f 80; exec \"$0\" \"$@\"");
        let output: Output = (shell(&bench, &run, &["-q"], &script)).output().unwrap();
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("File too large"), "{message}");
        assert!(message.contains("ulimit -f"), "{message}");
        assert_eq!(status(&run), "failed");
        bench.complete(&run, &["-q", "--resume"]);
        let whole = bench.at("whole");
        bench.complete(&whole, &["-q"]);
        assert_same(&run, &hashes(&whole), &message);
    }
}

/// Signals while the run is being made ready: nothing is left, or a run that goes on.
#[test]
fn a_signal_during_the_start_leaves_nothing_in_the_way() {
    let bench = ethanol(40);
    let whole = bench.at("whole");
    bench.complete(&whole, &["-q"]);
    let right = hashes(&whole);
    for after in (0..40).step_by(2) {
        let run = bench.at(&format!("run{after}"));
        let child = bench.start(&run, &[]);
        std::thread::sleep(Duration::from_millis(after));
        send(&child, Signal::TERM);
        let output = end_of(child);
        let ended = (output.status.code(), output.status.signal());
        let known = [
            (code(Signal::TERM), None),
            (None, Some(15)),
            (Some(0), None),
        ];
        assert!(known.contains(&ended), "{ended:?}: {}", stderr(&output));
        let again = match run.join("run.json").exists() {
            true => &["-q", "--resume"][..],
            false => &["-q"],
        };
        bench.complete(&run, again);
        assert_same(&run, &right, &format!("after {after} ms"));
    }
}
