//! Batches of several kinds in turn, as `mdrun bench --members N --mixed` times them.

use std::process::Command;

use serde_json::Value;

use crate::support::{mdrun, pty};

fn bench(more: &[&str]) -> std::process::Output {
    mdrun(&[&["bench", "--device", "cpu", "--iters", "3"][..], more].concat())
}

/// The mixed row is there behind those of each kind, in each ensemble, and its ratio is formed of them as is said.
#[test]
fn a_mixed_batch_is_held_against_equal_ones() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("rows.json");
    let file = file.to_str().unwrap();
    let copied: [(&[&str], [u64; 2]); 2] = [
        (&["--sizes", "3,9"], [3, 9]),
        (
            &[
                "--structure",
                "configs/structures/ethanol.xyz",
                "--structure",
                "configs/structures/benzene.xyz",
            ],
            [9, 12],
        ),
    ];
    for (what, atoms) in copied {
        let asked = ["--members", "5", "--mixed", "--ensemble", "nve,csvr"];
        let output = bench(&[&asked[..], what, &["--json", file]].concat());
        assert!(output.status.success(), "{output:?}");
        let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(rows.len(), 2 * 2 + 2);
        for (mixed, ensemble) in rows[4..].iter().zip(["nve", "csvr"]) {
            assert_eq!(mixed["system"], "mixed");
            assert_eq!(mixed["ensemble"], ensemble);
            assert_eq!(mixed["members"], 5);
            assert_eq!(mixed["mixed_atoms"], serde_json::json!(atoms));
            let equal: Vec<f64> = (rows[..4].iter())
                .filter(|row| row["ensemble"] == ensemble)
                .map(|row| row["step_ms"]["median"].as_f64().unwrap() / 5.0)
                .collect();
            let sum = 3.0 * equal[0] + 2.0 * equal[1];
            let step = mixed["step_ms"]["median"].as_f64().unwrap();
            let near = |found: &Value, wanted: f64| {
                let found = found.as_f64().unwrap();
                assert!((found / wanted - 1.0).abs() < 1e-12, "{found} for {wanted}");
            };
            near(&mixed["equal_ms"], sum);
            near(&mixed["over_equal"], step / sum);
            let all = (3 * atoms[0] + 2 * atoms[1]) as f64;
            near(&mixed["atom_steps_per_s"], 1e3 * all / step);
        }
    }
}

#[test]
fn what_cannot_be_mixed_is_said() {
    for (asked, says) in [
        (
            &["--members", "4", "--mixed", "--sizes", "9"],
            "one system alone",
        ),
        (
            &["--members", "1", "--mixed", "--sizes", "3,9"],
            "2 systems in turn; give 2 members",
        ),
    ] {
        let output = bench(asked);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(says), "{told}");
    }
}

#[test]
fn the_table_of_batches_fits_a_terminal() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command.current_dir(crate::support::root());
    command.args(["bench", "--device", "cpu", "--iters", "3", "--members", "5"]);
    command.args(["--mixed", "--sizes", "3,9", "--ensemble", "langevin"]);
    let (status, shown) = pty::run(command, 80);
    assert!(status.success(), "{shown}");
    for line in shown.lines() {
        assert!(line.trim_end().chars().count() <= 80, "{line:?}");
    }
}
