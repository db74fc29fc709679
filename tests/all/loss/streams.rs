//! Standard output and standard error that are full, closed or not read: the exit code says what was lost.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::argon;
use crate::restart::runs::Bench;
use crate::support::root;

fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// A pipe that nobody reads.
fn unread() -> Stdio {
    let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = child.stdin.take().unwrap();
    child.wait().unwrap();
    pipe.into()
}

fn mdrun(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command.args(args).current_dir(root());
    command
}

/// Commands whose result is what they print.
fn results(bench: &Bench) -> Vec<Vec<String>> {
    let config = bench.config.to_str().unwrap().to_owned();
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    let run = run.to_str().unwrap().to_owned();
    let model = "models/painn_hcno_gfn2.safetensors".to_owned();
    let structure = "configs/structures/ethanol.xyz".to_owned();
    let new = bench.at("new").to_str().unwrap().to_owned();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let energy = [
        words("energy --model"),
        vec![model.clone(), "--structure".to_owned(), structure],
    ]
    .concat();
    let json = |mut args: Vec<String>| {
        args.push("--json".to_owned());
        args
    };
    vec![
        energy.clone(),
        json(energy),
        vec!["check".to_owned(), config.clone()],
        json(vec!["check".to_owned(), config.clone()]),
        json(vec!["diagnose".to_owned(), run.clone()]),
        json(vec![config.clone(), "--out".to_owned(), new]),
        json(vec![config, "--out".to_owned(), run, "--resume".to_owned()]),
        vec!["--help".to_owned()],
        vec!["--version".to_owned()],
    ]
}

fn code(args: &[String], stdout: Stdio) -> (Option<i32>, String) {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = mdrun(&args).stdout(stdout).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// A result that cannot be written is an error; one that nobody wants to read is none.
#[test]
fn a_result_that_is_lost_is_told() {
    let bench = argon(20);
    for args in results(&bench) {
        let (lost, message) = code(&args, full());
        assert_eq!(lost, Some(1), "{args:?}: {message}");
        assert!(message.contains("standard output"), "{args:?}: {message}");
        let _ = fs::remove_dir_all(bench.at("new"));
        let (unwanted, message) = code(&args, unread());
        assert_eq!(unwanted, Some(0), "{args:?}: {message}");
        let _ = fs::remove_dir_all(bench.at("new"));
    }
}

/// A table for people is in the run's directory too: the run goes on, and says so once.
#[test]
fn a_table_that_is_lost_ends_no_run() {
    let bench = argon(20);
    let run = bench.at("run");
    let output = bench.command(&run, &[]).stdout(full()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    assert_eq!(
        message.matches("standard output cannot be written").count(),
        1,
        "{message}"
    );
    bench.complete(&bench.at("plain"), &[]);
}

/// Errors keep their exit codes where they cannot be told.
#[test]
fn an_error_that_cannot_be_told_keeps_its_exit_code() {
    let bench = argon(20);
    let config = bench.config.to_str().unwrap();
    let hot = bench.at("hot");
    let hot = hot.to_str().unwrap();
    let limit = "monitor.temperature=\"10 K\"";
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    let run = run.to_str().unwrap();
    for (args, right) in [
        (&["nonexistent.toml"][..], vec![2]),
        (&["--no-such-flag"], vec![2]),
        (&[config, "--out", hot, "--set", limit], vec![1]),
        (&["diagnose", run, "--minutes", "0.02"], vec![0, 3, 4]),
        (
            &["energy", "--model", "nowhere", "--structure", "x.xyz"],
            vec![2],
        ),
    ] {
        for stderr in [full(), unread()] {
            let mut command = mdrun(args);
            command.stderr(stderr).stdout(Stdio::null());
            let code = command.status().unwrap().code().unwrap();
            assert!(right.contains(&code), "{args:?}: {code}");
        }
    }
}

/// Keys, metadata of models and names of files come from anywhere: what terminals obey is shown and not sent.
#[test]
fn control_characters_are_shown() {
    let bench = argon(20);
    let folder = bench.folder.path();
    let text = fs::read_to_string(&bench.config).unwrap();
    let key = folder.join("key.toml");
    fs::write(
        &key,
        text.replace("[output]", "[output]\n\"\\u001b[31m\\u0007\" = 1"),
    )
    .unwrap();
    let named = folder.join("a\u{1b}[2J\u{9b}1m.toml");
    fs::write(&named, text.replace("argon256", "argon\\u001b]0;x\\u0007")).unwrap();
    let model = folder.join("m.safetensors");
    let metadata = "{\"__metadata__\":{\"\\u001b[2J\":\"\\u001b[31m\"}}";
    let mut bytes = (metadata.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(metadata.as_bytes());
    fs::write(&model, bytes).unwrap();
    let structure = folder.join("s\u{1b}[2J.xyz");
    fs::write(&structure, "1\n\u{1b}[31m\nX\u{202e}x 0 0 0\n").unwrap();
    let tame = |output: Output| {
        assert_ne!(output.status.code(), Some(101));
        for bytes in [output.stdout, output.stderr] {
            let text = String::from_utf8(bytes).unwrap();
            let wild = text
                .chars()
                .find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
            assert_eq!(wild, None, "{text:?}");
        }
    };
    let run = |path: &Path| mdrun(&[path.to_str().unwrap()]).output().unwrap();
    tame(run(&key));
    tame(run(&named));
    tame(run(&folder.join("none\u{1b}[2J.toml")));
    let energy = |model: &Path, structure: &Path| {
        let (model, structure) = (model.to_str().unwrap(), structure.to_str().unwrap());
        mdrun(&["energy", "--model", model, "--structure", structure])
            .output()
            .unwrap()
    };
    let good = root().join("models/painn_hcno_gfn2.safetensors");
    tame(energy(
        &model,
        &root().join("configs/structures/ethanol.xyz"),
    ));
    tame(energy(&good, &structure));
    tame(mdrun(&["--\u{1b}[2J"]).output().unwrap());
    tame(mdrun(&["energy", "\u{1b}[2J"]).output().unwrap());
    // A run whose directory has such a name: its summary.
    let output = bench.run(&folder.join("r\u{1b}[31m"), &[]);
    assert!(output.status.success());
    tame(output);
    // Nor in JSON, where they would be legal.
    let output = bench.run(&folder.join("j\u{9b}31m\u{7f}"), &["--json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        value["output_directory"]
            .as_str()
            .unwrap()
            .ends_with("j\u{9b}31m\u{7f}")
    );
    tame(output);
}
