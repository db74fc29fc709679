//! Inputs that never end, paths that are no UTF-8, records that grow, memory that runs out.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use mdrun::input::path_of;
use serde_json::{Value, json};

use super::argon;
use crate::restart::runs::{Bench, assert_same, hashes, record, stderr};
use crate::support::root;

fn mdrun() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command.current_dir(root());
    command
}

/// Runs with so much address space (MiB); a command that waits for ever fails the test.
fn limited(command: &Command, mebibytes: u64) -> Output {
    let script = format!("ulimit -v {}; exec \"$0\" \"$@\"", mebibytes << 10);
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(root())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let began = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("it waits for ever: {command:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// Devices, pipes and folders where files are wanted.
#[test]
fn an_input_is_a_plain_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    for thing in ["zero", "pipe", "folder"] {
        for name in ["run.toml", "m.safetensors", "s.xyz", "run/run.json"] {
            let path = place(&format!("{thing}/{name}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match thing {
                "zero" => symlink("/dev/zero", &path).unwrap(),
                "folder" => fs::create_dir(&path).unwrap(),
                _ => assert!(
                    Command::new("mkfifo")
                        .arg(&path)
                        .status()
                        .unwrap()
                        .success()
                ),
            }
        }
        let at = |name: &str| place(&format!("{thing}/{name}"));
        let (model, structure) = (
            root().join("models/painn_hcno_gfn2.safetensors"),
            root().join("configs/structures/ethanol.xyz"),
        );
        let energy = |model: &Path, structure: &Path| {
            let mut command = mdrun();
            command.arg("energy").arg("--model").arg(model);
            command.arg("--structure").arg(structure);
            command.args(["--device", "cpu"]);
            command
        };
        let mut commands = vec![
            energy(&at("m.safetensors"), &structure),
            energy(&model, &at("s.xyz")),
        ];
        let mut run = mdrun();
        run.arg(at("run.toml")).arg("--out").arg(place("out"));
        commands.push(run);
        let mut diagnose = mdrun();
        diagnose.arg("diagnose").arg(at("run"));
        commands.push(diagnose);
        for command in &commands {
            let output = limited(command, 2000);
            let message = stderr(&output);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{thing}: {command:?}: {message}"
            );
            let says = ["not a plain file", "is a directory", "is not a file"];
            assert!(says.iter().any(|says| message.contains(says)), "{message}");
        }
        assert!(!place("out").exists());
    }
}

/// A file that is far too long for what it should be.
#[test]
fn an_endless_run_file_is_refused_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let mut command = mdrun();
    command.arg(&path);
    let output = limited(&command, 2000);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("more than any such file needs"),
        "{}",
        stderr(&output)
    );
}

/// A folder that is called Joerg in Latin-1.
#[test]
fn paths_need_not_be_text() {
    let bench = argon(20);
    let name = OsString::from_vec(b"J\xf6rg".to_vec());
    let folder = bench.folder.path().join(&name);
    fs::create_dir(&folder).unwrap();
    let structure = root().join("configs/structures/argon256.xyz");
    fs::copy(&structure, folder.join("argon.xyz")).unwrap();
    let text = fs::read_to_string(&bench.config).unwrap();
    let text = text.replace(structure.to_str().unwrap(), "argon.xyz");
    fs::write(folder.join("run.toml"), text).unwrap();
    let run = folder.join("out");
    let go = |more: &[&str]| {
        let mut command = mdrun();
        command
            .arg(folder.join("run.toml"))
            .arg("--out")
            .arg(&run)
            .args(more);
        command.output().unwrap()
    };
    let output = go(&["--json", "--set", "dynamics.steps=10"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(path_of(summary["output_directory"].as_str().unwrap()), run);
    let written = record(&run);
    assert_eq!(written["summary"], summary);
    for (place, right) in [
        ("/config_file", folder.join("run.toml")),
        ("/structure/path", folder.join("argon.xyz")),
        ("/config/system/structure", folder.join("argon.xyz")),
        ("/config/output/directory", run.clone()),
    ] {
        let text = written.pointer(place).and_then(Value::as_str).unwrap();
        assert_eq!(path_of(text), right, "{place}: {text}");
    }
    // It goes on, is complete, and can be looked into.
    for flags in [&["--resume"][..], &["--resume", "--json"]] {
        let output = go(flags);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(!output.stdout.is_empty());
    }
    let whole = bench.at("whole");
    bench.complete(&whole, &["-q"]);
    assert_same(&run, &hashes(&whole), "in a folder that is no text");
    let mut diagnose = mdrun();
    diagnose
        .arg("diagnose")
        .arg(&run)
        .args(["--minutes", "0.02"]);
    let output = diagnose.output().unwrap();
    assert!(
        [Some(0), Some(3), Some(4)].contains(&output.status.code()),
        "{output:?}"
    );
}

/// A run that is gone on with for years: the list of resumptions ends somewhere, and nothing depends on its length.
#[test]
fn a_record_does_not_grow_for_ever() {
    let bench = argon(10);
    let run = bench.at("run");
    bench.complete(&run, &["-q", "--set", "dynamics.steps=8"]);
    let path = run.join("run.json");
    let mut forged = record(&run);
    let many = 5000;
    let list: Vec<Value> = (0..many)
        .map(|k| json!({"step": k % 8, "at": "2026-11-28T12:00:00Z"}))
        .collect();
    forged["resumed_from"] = Value::from(list);
    forged["config"]["blanks"] = Value::from(" ".repeat(100_000));
    fs::write(&path, serde_json::to_vec(&forged).unwrap()).unwrap();
    bench.complete(&run, &["-q", "--resume", "--set", "dynamics.steps=9"]);
    let text = bench.complete(&run, &["--resume"]).stdout;
    assert!(text.len() < 10_000, "{}", String::from_utf8_lossy(&text));
    let now = record(&run);
    let list = now["resumed_from"].as_array().unwrap();
    assert!(list.len() <= 64, "{}", list.len());
    assert_eq!(list[0]["step"], 0, "the first is kept");
    assert_eq!(list[list.len() - 1]["step"], 9, "and the last");
    assert_eq!(now["resumes"], many + 2);
    assert!(fs::metadata(&path).unwrap().len() < 50_000);
}

/// Values and names as long as one likes.
#[test]
fn no_width_comes_from_data() {
    let bench = argon(10);
    let blanks = format!("output.checkpoint_every=\"5 steps{}\"", " ".repeat(70_000));
    let run = bench.at("run");
    bench.complete(&run, &["-q", "--set", &blanks]);
    bench.complete(&run, &["-q", "--resume", "--set", "dynamics.steps=12"]);
}

/// A box of so many argon atoms as extended XYZ.
fn argon_box(edge: usize) -> String {
    use std::fmt::Write as _;
    let (atoms, length) = (edge.pow(3), 3.8 * edge as f64);
    let mut text = format!(
        "{atoms}\nLattice=\"{length} 0 0 0 {length} 0 0 0 {length}\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"\n"
    );
    for k in 0..atoms {
        let [x, y, z] = [k % edge, k / edge % edge, k / edge / edge].map(|n| 3.8 * n as f64);
        let _ = writeln!(text, "Ar {x} {y} {z}");
    }
    text
}

/// Too little memory, for every command that takes much: one line, and a documented exit code.
#[test]
fn memory_that_runs_out_is_told() {
    let bench: Bench = argon(2);
    let structure = bench.at("box.xyz");
    fs::write(&structure, argon_box(40)).unwrap();
    let key = format!("system.structure={:?}", structure.to_str().unwrap());
    let water = root().join("configs/structures/water64.xyz");
    let model = root().join("models/painn_hcno_gfn2.safetensors");
    let mut commands = Vec::new();
    let mut run = bench.command(&bench.at("run"), &["-q", "--set", &key]);
    run.args(["--set", "potential.lennard_jones.cutoff=\"15 A\""]);
    commands.push(run);
    let mut energy = mdrun();
    energy
        .arg("energy")
        .arg("--model")
        .arg(&model)
        .arg("--structure")
        .arg(&water)
        .args(["--device", "cpu"]);
    commands.push(energy);
    let mut sizes = mdrun();
    sizes.arg("bench").arg("--model").arg(&model);
    sizes.args([
        "--sizes",
        "100000000",
        "--iters",
        "1",
        "--device",
        "cpu",
        "--threads",
        "1",
    ]);
    commands.push(sizes);
    for (k, command) in commands.iter().enumerate() {
        let mut told = 0;
        for mebibytes in [45, 60, 130, 160, 200, 250, 300, 400, 700] {
            let output = limited(command, mebibytes);
            let message = stderr(&output);
            let about = format!(
                "{command:?} in {mebibytes} MiB: {:?} {message}",
                output.status
            );
            match output.status.code() {
                Some(0) if k < 2 => {}
                Some(1 | 2) => {
                    told += 1;
                    let last = message.lines().last().unwrap_or_default();
                    assert!(last.contains("error: "), "{about}");
                    assert!(
                        message.contains("memory") || message.contains("threads"),
                        "{about}"
                    );
                }
                _ => panic!("{about}"),
            }
            assert!(!message.contains("panicked"), "{about}");
            // Whatever is left is in nobody's way.
            let again = bench.run(&bench.at("run"), &["-q"]);
            assert!(again.status.success(), "{about}\n{}", stderr(&again));
            let _ = fs::remove_dir_all(bench.at("run"));
        }
        assert!(told > 0, "{command:?} never ran out of memory");
    }
}
