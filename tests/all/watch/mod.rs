//! `mdrun watch`: real runs in the background, looked at from a terminal, from a pipe, and once.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::restart::runs::{Bench, Dynamics, Subject, stderr};
use crate::support::{mdrun, pty};

/// Steps of a run that ends by itself while it is watched, and of one that never would.
const SHORT: u64 = 400;
const ENDLESS: u64 = 100_000_000;
const COLUMNS: u16 = 80;

fn bench() -> Bench {
    Bench::new(Subject::Argon, Dynamics::Nve, SHORT, "")
}

/// Starts a run of so many steps, without trajectories: there is no room for those of an endless one.
fn start(bench: &Bench, run: &Path, steps: u64, more: &[&str]) -> Child {
    let steps = format!("dynamics.steps={steps}");
    let flags = ["-q", "--set", &steps, "--set", "output.trajectory=[]"];
    bench.start(run, &[&flags[..], more].concat())
}

/// The command, as in a terminal with the letters of `locale`.
fn watch(directory: &Path, more: &[&str], locale: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command.arg("watch").arg(directory).args(more);
    for name in [
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "CI",
        "LC_CTYPE",
        "LANG",
    ] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color").env("LC_ALL", locale);
    command
}

fn once(directory: &Path) -> Output {
    watch(directory, &["--once"], "C.UTF-8").output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until a run has come to its first step.
fn wait_for_steps(directory: &Path, child: &mut Child) {
    let begun = || {
        let table = fs::read_to_string(directory.join("thermo.csv")).unwrap_or_default();
        table.matches('\n').count() > 2 && directory.join("state.ckpt").exists()
    };
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn a_run_is_watched_to_its_end_on_a_terminal() {
    let bench = bench();
    let run = bench.at("run");
    let mut child = bench.start(&run, &["-q"]);
    wait_for_steps(&run, &mut child);
    let command = watch(&run, &["--interval", "0.05"], "C.UTF-8");
    let (status, written) = pty::run(command, COLUMNS);
    assert!(child.wait().unwrap().success());
    assert_eq!(status.code(), Some(0), "{written}");
    assert!(
        written.starts_with("\x1b[?25l") && written.ends_with("\x1b[?25h"),
        "{written:?}"
    );
    let pictures = pictures(&written);
    for picture in &pictures {
        assert!(picture.len() < 24, "{picture:?}");
        let widest = picture.iter().map(|line| line.chars().count()).max();
        assert!(widest <= Some(usize::from(COLUMNS)), "{picture:?}");
    }
    let last = pictures.last().unwrap().join("\n");
    for part in [
        "complete",
        "100 %",
        &format!("step {SHORT} of {SHORT}"),
        "256 atoms",
        "steps/s",
        "conserved energy, less its first value (meV/atom)",
        "potential energy (eV)",
        " K",
    ] {
        assert!(last.contains(part), "{part}: {last}");
    }
    let braille = |letter: char| ('\u{2801}'..='\u{28ff}').contains(&letter);
    assert!(last.matches(braille).count() > 60, "{last}");
    assert!(!last.contains("left"), "no time is left: {last}");
}

/// The pictures that were drawn one over the other, without codes: each goes back over all lines of the one before.
fn pictures(written: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (k, part) in written.split("\x1b[J").enumerate() {
        let mut part = part;
        if part == "\x1b[?25h" {
            break;
        }
        if k > 0 {
            let before: &Vec<String> = found.last().unwrap();
            let back = format!("\x1b[{}A\r", before.len());
            part = part
                .strip_prefix(back.as_str())
                .unwrap_or_else(|| panic!("{part:?}"));
        }
        let lines = part.lines().map(|line| {
            let line = line
                .strip_suffix("\x1b[K")
                .unwrap_or_else(|| panic!("{line:?}"));
            plain(line.trim_start_matches("\x1b[?25l"))
        });
        found.push(lines.collect());
    }
    found
}

/// A line without colours.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('\x1b') {
        out += &rest[..at];
        let end = rest[at..].find('m').unwrap_or_else(|| panic!("{line:?}"));
        rest = &rest[at + end + 1..];
    }
    out + rest
}

/// In a pipe there is a line for each change, from before the run begins.
#[test]
fn a_run_is_followed_in_a_pipe_from_before_it_begins() {
    let bench = bench();
    let run = bench.at("run");
    fs::create_dir(&run).unwrap();
    let mut watching = watch(&run, &["--interval", "0.05"], "C")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut seen = vec![lines.next().unwrap().unwrap()];
    assert!(
        seen[0].starts_with("has not begun, there is no run in "),
        "{seen:?}"
    );
    bench.complete(&run, &["-q"]);
    seen.extend(lines.map(Result::unwrap));
    assert!(watching.wait().unwrap().success(), "{seen:?}");
    let mut errors = String::new();
    watching
        .stderr
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(errors, "");
    for pair in seen.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
    let end = format!("complete, step {SHORT} of {SHORT} (100 %), ");
    assert!(seen.iter().any(|line| line.starts_with(&end)), "{seen:?}");
    assert!(seen.iter().all(|line| line.is_ascii()), "{seen:?}");
}

/// A run that was killed says that it is running; it has died all the same, and is followed again once it goes on.
#[test]
fn a_run_that_died_is_told_and_is_followed_where_it_goes_on() {
    let bench = bench();
    let run = bench.at("run");
    let mut child = start(&bench, &run, ENDLESS, &[]);
    wait_for_steps(&run, &mut child);
    let alive = once(&run);
    let shown = said(&alive);
    assert_eq!(alive.status.code(), Some(0), "{shown}{}", stderr(&alive));
    assert!(
        shown.lines().next().unwrap().ends_with("  running"),
        "{shown}"
    );
    assert!(shown.contains(&format!("of {ENDLESS}")), "{shown}");
    child.kill().unwrap();
    child.wait().unwrap();
    let dead = once(&run);
    let shown = said(&dead);
    assert_eq!(dead.status.code(), Some(1), "{shown}");
    assert!(
        shown.lines().next().unwrap().ends_with("  has died"),
        "{shown}"
    );
    let go_on = format!("`mdrun resume {}`", run.display());
    assert!(shown.contains(&go_on), "{shown}");
    // To a pipe, too.
    let output = watch(&run, &["--interval", "0.05"], "C").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains(&go_on), "{output:?}");
    // From where it stopped, to an end that is near.
    let table = fs::read_to_string(run.join("thermo.csv")).unwrap();
    let last: u64 = table
        .lines()
        .last()
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let end = (last / 100 + 4) * 100;
    let mut child = start(&bench, &run, end, &["--resume"]);
    let follow = || watch(&run, &["--interval", "0.05"], "C").output().unwrap();
    let mut output = follow();
    // It may have looked before the run took hold of its directory.
    while output.status.code() == Some(1) && child.try_wait().unwrap().is_none() {
        output = follow();
    }
    if output.status.code() == Some(1) {
        output = follow();
    }
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let right = format!("complete, step {end} of {end} (100 %), ");
    assert!(said(&output).contains(&right), "{output:?}");
}

/// Ctrl-C leaves without a word, and the run goes on; one that is interrupted itself is told so.
#[test]
fn leaving_is_quiet_and_the_run_does_not_notice() {
    let bench = bench();
    let run = bench.at("run");
    let mut child = start(&bench, &run, ENDLESS, &[]);
    wait_for_steps(&run, &mut child);
    let interrupt = |process: u32| {
        let sent = Command::new("kill")
            .args(["-INT", &process.to_string()])
            .status();
        assert!(sent.unwrap().success());
    };
    let mut watching = watch(&run, &["--interval", "0.05"], "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(watching.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("running, step "), "{line}");
    interrupt(watching.id());
    let ended = watching.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    assert_eq!(stderr(&ended), "");
    assert!(child.try_wait().unwrap().is_none(), "the run goes on");
    interrupt(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let output = once(&run);
    let shown = said(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(
        shown.contains("  interrupted\n") && shown.contains("stopped by SIGINT"),
        "{shown}"
    );
    assert!(shown.contains("`mdrun resume "), "{shown}");
}

#[test]
fn a_batch_is_watched_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let directory = out.to_str().unwrap();
    let steps = "dynamics.steps=20";
    let output = mdrun(&[
        "configs/conformers.toml",
        "-q",
        "--set",
        steps,
        "--out",
        directory,
    ]);
    assert!(output.status.success(), "{output:?}");
    let output = once(&out);
    let shown = said(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for part in [
        "complete",
        "100 %",
        "16 members: 16 complete",
        "step 320 of 320",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn what_is_no_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for (path, why) in [
        (
            folder.path().join("nowhere"),
            "is not there; the directory of a run is wanted",
        ),
        (file, "is not a directory"),
    ] {
        let output = once(&path);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(why), "{output:?}");
    }
    let output = once(folder.path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said(&output).contains("has not begun"), "{output:?}");
    // A validation's folder will never be a run's.
    fs::write(folder.path().join("validation.json"), "{}").unwrap();
    let output = once(folder.path());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        stderr(&output).contains("the folder of a validation"),
        "{output:?}"
    );
}
