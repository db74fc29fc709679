//! `mdrun check`.

use super::{json, mdrun, stderr, stdout};

/// Tests of the model's physics that have a verdict.
const JUDGED: [&str; 3] = ["forces are slopes", "rotation", "cutoff is smooth"];

#[test]
fn shipped_run_files_pass() {
    for name in ["ethanol_nve", "water_langevin", "argon_nve"] {
        let output = mdrun(&["check", &format!("configs/{name}.toml"), "--json"]);
        assert!(
            output.status.success(),
            "{}{}",
            stdout(&output),
            stderr(&output)
        );
        let found = json(&output);
        assert_eq!(found["good"], true);
        let findings = found["findings"].as_array().unwrap();
        for what in JUDGED {
            let row = findings.iter().find(|f| f["what"] == what);
            assert_eq!(row.unwrap()["verdict"], "ok", "{name}: {what}");
        }
        for what in ["speed", "memory", "output", "closest contact"] {
            assert!(findings.iter().any(|f| f["what"] == what), "{name}: {what}");
        }
    }
}

#[test]
fn overrides_are_checked_too() {
    let output = mdrun(&[
        "check",
        "configs/ethanol_nve.toml",
        "--set",
        "dynamics.timestep=\"0.5\"",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--set"), "{}", stderr(&output));
}
