//! `mdrun energy --frame all`: every frame is what it is when it is asked for alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mdrun::core::Mat3;
use mdrun::formats;
use serde_json::Value;

use super::{mdrun, stderr, stdout, text};
use crate::support::atoms::Atoms;
use crate::support::{python, root};

const MODEL: &str = "painn_hcno_gfn2";

/// One frame of extended XYZ.
fn frame(atoms: &Atoms) -> String {
    let mut text = format!("{}\n", atoms.species.len());
    if atoms.cell.is_given() {
        let v = atoms.cell.vectors();
        let numbers = (0..9).map(|k| v[(k / 3, k % 3)].to_string());
        let pbc = atoms.cell.periodic().map(|p| if p { "T" } else { "F" });
        let numbers = numbers.collect::<Vec<_>>().join(" ");
        text += &format!("Lattice=\"{numbers}\" pbc=\"{}\" ", pbc.join(" "));
    }
    text += "Properties=species:S:1:pos:R:3\n";
    for (z, r) in atoms.species.iter().zip(&atoms.positions) {
        let symbol = mdrun::core::elements::symbol(*z);
        text += &format!("{symbol} {} {} {}\n", r.x, r.y, r.z);
    }
    text
}

/// Molecules, one atom, and cells that are periodic in all directions and in two.
fn frames() -> Vec<String> {
    let slab = Atoms::crowded(7, [true, true, false], 5);
    let mut oxygen = Atoms::shipped("ethanol.xyz");
    oxygen.species = vec![8];
    oxygen.positions.truncate(1);
    let aspirin = |seed| Atoms::shipped("aspirin.xyz").shaken(0.05, seed);
    let ethanol = |seed| Atoms::shipped("ethanol.xyz").shaken(0.05, seed);
    [
        ethanol(1),
        aspirin(2),
        oxygen,
        ethanol(3),
        Atoms::crowded(6, [true; 3], 4),
        slab,
        aspirin(6),
        ethanol(7),
    ]
    .iter()
    .map(frame)
    .collect()
}

/// A file of these frames.
fn file(folder: &Path, frames: &[String]) -> PathBuf {
    let path = folder.join("many.xyz");
    fs::write(&path, frames.concat()).unwrap();
    path
}

fn energy(structure: &Path, more: &[&str]) -> Output {
    let fixed = ["energy", "--model", MODEL, "--structure", text(structure)];
    let host: &[&str] = match more.contains(&"--device") {
        true => &[],
        false => &["--device", "cpu"],
    };
    mdrun(&[&fixed[..], host, more].concat())
}

/// The lines of JSON of a command that went well.
#[track_caller]
fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", stderr(output));
    let lines = stdout(output).lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Energies, forces, stress and all else are those of one frame alone, to the last digit, on any number of threads and in both
/// precisions; as extended XYZ they are the same numbers.
#[test]
fn all_frames_are_those_that_are_computed_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let frames = frames();
    let path = file(folder.path(), &frames);
    for (precision, threads) in [("f32", "1"), ("f64", "2"), ("f32", "3")] {
        let more = ["--precision", precision, "--threads", threads];
        let with = |own: &[&str]| energy(&path, &[&more[..], own].concat());
        let all = lines(&with(&["--frame", "all", "--json"]));
        assert_eq!(all.len(), frames.len());
        for (k, found) in all.iter().enumerate() {
            let mut found = found.clone();
            let number = found.as_object_mut().unwrap().remove("frame");
            assert_eq!(number, Some(Value::from(k)));
            let alone = with(&["--frame", &k.to_string(), "--json"]);
            assert_eq!(found, super::json(&alone), "frame {k}, {precision}");
        }
        let out = folder.path().join("out.xyz");
        let written = with(&["--frame", "all", "--out", text(&out), "--force"]);
        assert!(written.status.success() && stdout(&written).is_empty());
        let printed = with(&["--frame", "all"]);
        assert_eq!(fs::read_to_string(&out).unwrap(), stdout(&printed));
        let labelled = formats::read_labelled(&out).unwrap();
        let given = formats::read_all(&path).unwrap();
        for ((found, label), one) in all.iter().zip(&labelled).zip(&given) {
            assert_eq!(found["energy_ev"], label.energy);
            let forces: Vec<[f64; 3]> = label.forces.iter().map(|f| (*f).into()).collect();
            assert_eq!(found["forces_ev_per_angstrom"], serde_json::json!(forces));
            let structure = &label.structure;
            assert_eq!(structure.species, one.species);
            assert_eq!(structure.positions, one.positions);
            // The cell that a run has: where it is not periodic, its vector is as long as the atoms need.
            let rows = |v: Mat3| [0, 1, 2].map(|a| [0, 1, 2].map(|b| v[(a, b)]));
            let cell = serde_json::json!(structure.vectors.map(rows));
            assert_eq!(found["cell_angstrom"], cell);
            assert_eq!(structure.periodic, one.periodic);
        }
        let said = stderr(&printed);
        for part in [
            "8 frames: read in",
            "evaluated in",
            "written in",
            "a second",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}

/// A committee says how far its models are apart; ASE reads energy, forces, stress and spread.
#[test]
fn others_read_all_frames() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), &frames());
    let both = ["--model", "painn_organic_gfn2", "--frame", "all"];
    let [xyz, json] = ["f.xyz", "f.jsonl"].map(|name| folder.path().join(name));
    for (out, more) in [(&xyz, &[][..]), (&json, &["--json"])] {
        let written = energy(&path, &[&both[..], &["--out", text(out)], more].concat());
        assert!(written.status.success(), "{}", stderr(&written));
    }
    let text_of = fs::read_to_string(&xyz).unwrap();
    assert_eq!(text_of.matches(" force_spread=").count(), 8);
    assert_eq!(text_of.matches(" stress=\"").count(), 1);
    let python = match python::environment() {
        Ok(python) => python,
        Err(why) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    let script = root().join("tests/python/all_frames.py");
    let read = |xyz: &Path| {
        let of = |out: &[u8]| String::from_utf8_lossy(out).into_owned();
        let read = Command::new(&python)
            .arg(&script)
            .args([xyz, &json])
            .output()
            .unwrap();
        (read.status.success(), of(&read.stdout) + &of(&read.stderr))
    };
    let (same, told) = read(&xyz);
    assert!(same && told.contains("8 frames are the same"), "{told}");
    // A comparison that notices nothing would pass as well.
    for (from, to) in [
        (" energy=-", " energy=-1"),
        ("frame=3", "frame=4"),
        ("stress=\"", "stress=\"1"),
    ] {
        let wrong = folder.path().join("wrong.xyz");
        fs::write(&wrong, text_of.replacen(from, to, 1)).unwrap();
        assert!(!read(&wrong).0, "{from}");
    }
}

#[test]
fn a_file_of_one_frame_has_one() {
    let path = root().join("configs/structures/ethanol.xyz");
    let all = lines(&energy(&path, &["--frame", "all", "--json"]));
    let alone = super::json(&energy(&path, &["--json"]));
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["energy_ev"], alone["energy_ev"]);
    assert_eq!(
        (&all[0]["frame"], &all[0]["frames"]),
        (&0.into(), &1.into())
    );
}

/// Frames that cannot be evaluated are told, each with why, and the others are written.
#[test]
fn frames_without_an_energy_are_told_and_the_others_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut frames = frames();
    frames[1] = "3\n\nO 0 0 0\nH 0.96 0 0\nH 0.97 0 0\n".to_owned();
    frames[4] = "2\n\nS 0 0 0\nH 1.3 0 0\n".to_owned();
    frames[6] = "1\nLattice=\"0.5 0 0 0 9 0 0 0 9\"\nO 0 0 0\n".to_owned();
    let path = file(folder.path(), &frames);
    let out = folder.path().join("out.jsonl");
    let found = energy(&path, &["--frame", "all", "--json", "--out", text(&out)]);
    assert_eq!(found.status.code(), Some(1));
    let said = stderr(&found);
    for part in [
        "error: frame 1: atoms 1 (H) and 2 (H) (counted from 0) are 0.010 A apart",
        "error: frame 4: ",
        "S",
        "error: frame 6: the cell is only 0.500 A high",
        "many.xyz: 3 of 8 frames could not be evaluated; the others are written",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let written = fs::read_to_string(&out).unwrap();
    let numbers: Vec<u64> = (written.lines())
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["frame"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(numbers, [0, 2, 3, 5, 7]);
}

/// Where no frame has an energy, nothing is written, and what was there stays.
#[test]
fn nothing_is_written_where_no_frame_has_an_energy() {
    let folder = tempfile::tempdir().unwrap();
    let path = root().join("configs/structures/argon256.xyz");
    let out = folder.path().join("out.xyz");
    fs::write(&out, "precious").unwrap();
    let found = energy(&path, &["--frame", "all", "--out", text(&out), "--force"]);
    assert_eq!(found.status.code(), Some(1));
    let said = stderr(&found);
    assert!(
        said.contains("no frame could be evaluated; nothing was written"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&out).unwrap(), "precious");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// What can be seen before anything is computed is refused with exit code 2, and what is there is left alone.
#[test]
fn what_would_be_lost_or_means_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut damaged = frames();
    damaged[3] = damaged[3].replacen("C ", "Cx ", 1);
    let path = file(folder.path(), &damaged);
    let there = folder.path().join("there.xyz");
    fs::write(&there, "precious").unwrap();
    let there = text(&there);
    let new = folder.path().join("new.xyz");
    for (more, parts) in [
        (
            vec!["--frame", "all"],
            ["many.xyz: frame 3: line ", "\"Cx\" is not an element"],
        ),
        (
            vec!["--frame", "all", "--out", text(&new)],
            ["frame 3: line ", "\"Cx\""],
        ),
        (
            vec!["--frame", "all", "--out", there],
            ["is there already", "--force"],
        ),
        (
            vec!["--frame", "all", "--out", text(&path), "--force"],
            ["a file that is read", "another"],
        ),
        (
            vec!["--out", text(&new)],
            ["--out is for all frames", "--frame all"],
        ),
        (vec!["--frame", "each"], ["--frame", "or all"]),
    ] {
        let found = energy(&path, &more);
        assert_eq!(found.status.code(), Some(2), "{more:?}");
        assert!(stdout(&found).is_empty());
        for part in parts {
            assert!(
                stderr(&found).contains(part),
                "{more:?}: {}",
                stderr(&found)
            );
        }
    }
    assert_eq!(fs::read_to_string(there).unwrap(), "precious");
    assert!(!new.exists());
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged.concat());
    let serve = mdrun(&[
        "serve",
        "--model",
        MODEL,
        "--structure",
        text(&path),
        "--frame",
        "all",
        "--address",
        "unix:none",
    ]);
    assert_eq!(serve.status.code(), Some(2));
    assert!(
        stderr(&serve).contains("one structure is wanted"),
        "{}",
        stderr(&serve)
    );
}

/// A remark that many frames have is made once.
#[test]
fn a_remark_is_made_once_for_all_frames() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.sdf");
    let molecule = |k: usize| {
        let charge = if k.is_multiple_of(2) { 5 } else { 0 };
        format!(
            "m\n\n\n  2  0  0  0  0  0  0  0  0  0999 V2000\n    0.0000    0.0000    0.00{k:02} O   0  {charge}\n    \
             0.9600    0.0000    0.5000 H   0  0\nM  END\n$$$$\n"
        )
    };
    fs::write(&path, (0..10).map(molecule).collect::<String>()).unwrap();
    let found = energy(&path, &["--frame", "all", "--json"]);
    let all = lines(&found);
    assert_eq!(all.len(), 10);
    let said = stderr(&found);
    assert!(said.contains("note: frame 0 and 4 others: "), "{said}");
    assert!(said.contains("warning: frame 0 and 4 others: "), "{said}");
    assert_eq!(said.matches("note: ").count(), 1, "{said}");
    // Beside each frame it stands all the same.
    let notes = |k: usize| all[k]["notes"].as_array().unwrap().len();
    assert_eq!((notes(0), notes(1), notes(8)), (1, 0, 1));
}

/// What cannot be written is an error; that the reader has gone away is none.
#[test]
#[cfg(target_os = "linux")]
fn output_that_is_lost_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), &frames());
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command.args([
        "energy",
        "--model",
        MODEL,
        "--frame",
        "all",
        "--structure",
        text(&path),
    ]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let found = command.stdout(full).output().unwrap();
    assert_eq!(found.status.code(), Some(1));
    assert!(stderr(&found).contains("standard output cannot be written"));
    let mut child = (command.stdout(Stdio::piped()).stderr(Stdio::null()))
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

/// On a card frames are computed together: each is what it is alone to the rounding of f32.
#[test]
#[cfg(feature = "cuda")]
fn all_frames_on_a_gpu_are_those_that_are_computed_one_by_one() {
    /// Of an energy of some hundred eV, and of a force (eV / angstrom).
    const TOLERANCE: f64 = 5e-4;
    if !crate::cuda::gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let frames = frames();
    let path = file(folder.path(), &frames);
    let on_a_card = ["--device", "cuda:0", "--json", "--frame"];
    let output = energy(&path, &[&on_a_card[..], &["all"]].concat());
    assert!(
        stderr(&output).contains("device made ready in"),
        "{}",
        stderr(&output)
    );
    let all = lines(&output);
    assert_eq!(all.len(), frames.len());
    for (k, found) in all.iter().enumerate() {
        let alone = super::json(&energy(
            &path,
            &[&on_a_card[..], &[&k.to_string()]].concat(),
        ));
        assert_eq!(found["pairs"], alone["pairs"], "frame {k}");
        for key in ["energy_ev", "forces_ev_per_angstrom"] {
            let [ours, lone] = [found, &alone].map(|value| numbers(&value[key]));
            let apart = ours.iter().zip(&lone).map(|(a, b)| (a - b).abs());
            let apart = apart.fold(0.0, f64::max);
            assert!(apart < TOLERANCE, "frame {k}: {key} {apart}");
        }
    }
}

/// All numbers of a value.
#[cfg(feature = "cuda")]
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        one => one.as_f64().into_iter().collect(),
    }
}
