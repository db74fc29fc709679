//! The published model as it lies there, in the commands.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{mdrun, reference, root};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The JSON on standard output, and the exit code.
fn json(output: &Output) -> (Option<i32>, Value) {
    let out = text(&output.stdout);
    let value = serde_json::from_str(out)
        .unwrap_or_else(|e| panic!("{e}\n{out}\n{}", text(&output.stderr)));
    (output.status.code(), value)
}

fn finding<'f>(found: &'f Value, what: &str) -> &'f Value {
    let findings = found["findings"].as_array().unwrap();
    let row = findings.iter().find(|f| f["what"] == what);
    row.unwrap_or_else(|| panic!("no {what} in {found}"))
}

fn check(config: &str, model: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let model = format!("potential.model={:?}", model.to_str().unwrap());
    let mut args = vec!["check", config, "--json", "--set", &model];
    for set in more {
        args.extend(["--set", set]);
    }
    json(&mdrun(&args))
}

/// What is wrong with it is found, each with a figure: it is not rotation invariant, jumps at the cutoff and was made without cells.
#[test]
fn a_check_finds_what_is_wrong_with_it() {
    let Some(model) = reference("student_427k.safetensors") else {
        return;
    };
    let (code, found) = check("configs/ethanol_nve.toml", &model, &[]);
    assert_eq!(code, Some(2), "{found}");
    let value = |what: &str| finding(&found, what)["value"].as_f64().unwrap();
    println!(
        "rotation {} eV, cutoff {} eV",
        value("rotation"),
        value("cutoff is smooth")
    );
    assert_eq!(finding(&found, "rotation")["verdict"], "bad");
    // Over rotations of ethanol, 0.05 eV are told of; this is one of them.
    assert!((1e-3..0.5).contains(&value("rotation")), "{found}");
    assert_eq!(finding(&found, "cutoff is smooth")["verdict"], "bad");
    assert!((1e-3..2.0).contains(&value("cutoff is smooth")), "{found}");
    assert_eq!(finding(&found, "cell is known")["verdict"], "look");
    assert!(value("cell is known") > 1e-3, "{found}");
    assert_eq!(finding(&found, "forces are slopes")["verdict"], "ok");

    let (code, found) = check(
        "configs/water_langevin.toml",
        &model,
        &["dynamics.steps=10"],
    );
    assert_eq!(code, Some(2), "{found}");
    let cell = finding(&found, "cell is known");
    assert_eq!(cell["verdict"], "bad");
    assert!(cell["value"].as_f64().unwrap() > 1e-2, "{found}");
    // The pairs are those of the cell, whatever image an atom is in.
    assert_eq!(finding(&found, "periodic images")["verdict"], "ok");
}

/// An energy, a run and its notes, and what there is to know of the model.
#[test]
fn it_runs_as_it_lies_there() {
    let Some(model) = reference("student_427k.safetensors") else {
        return;
    };
    let model = model.to_str().unwrap();
    let output = mdrun(&["model", "info", model, "--json"]);
    let (code, facts) = json(&output);
    assert_eq!(code, Some(0));
    assert_eq!(facts["architecture"], "StudentForceField");
    assert_eq!(facts["parameters"], 427_292);
    assert_eq!(facts["cutoff_angstrom"], 5.0);
    assert_eq!(facts["elements"].as_array().unwrap().len(), 100);
    assert_eq!(facts["origin"]["licence"], "MIT");
    let ethanol = "configs/structures/ethanol.xyz";
    for precision in ["f64", "f32"] {
        let args = ["energy", "--model", model, "--structure", ethanol, "--json"];
        let output = mdrun(&[&args[..], &["--precision", precision]].concat());
        assert!(text(&output.stderr).contains("leaves cells out"));
        let (code, found) = json(&output);
        assert_eq!(code, Some(0));
        assert!(found["energy_ev"].as_f64().unwrap().is_finite());
    }
    let folder = tempfile::tempdir().unwrap();
    let set = [
        format!("potential.model={model:?}"),
        format!(
            "output.directory={:?}",
            folder.path().join("run").to_str().unwrap()
        ),
        "dynamics.steps=20".to_owned(),
    ];
    let mut args = vec!["configs/ethanol_nve.toml"];
    for set in &set {
        args.extend(["--set", set]);
    }
    let output = mdrun(&args);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let record = std::fs::read_to_string(folder.path().join("run/run.json")).unwrap();
    assert!(
        record.contains("StudentForceField, 3 layers of 128"),
        "{record}"
    );
    let said = [text(&output.stdout), text(&output.stderr)].concat();
    assert!(said.contains("leaves cells out"), "{said}");
}

/// Without the hyper-parameters beside it, the message says what to write; with other ones it is another model.
#[test]
fn the_hyper_parameters_beside_a_model_are_part_of_it() {
    let Some(model) = reference("student_427k.safetensors") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("alone.safetensors");
    std::fs::copy(&model, &copy).unwrap();
    let info = || mdrun(&["model", "info", copy.to_str().unwrap(), "--json"]);
    let output = info();
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    for word in ["alone.safetensors", "cutoff", "energy_unit", ".json"] {
        assert!(message.contains(word), "no {word} in {message}");
    }
    let beside = std::fs::read_to_string(model.with_extension("json")).unwrap();
    let hash = |text: &str| {
        std::fs::write(copy.with_extension("json"), text).unwrap();
        json(&info()).1["sha256"].clone()
    };
    let other = beside.replace("\"eV\"", "\"Hartree\"");
    assert_ne!(other, beside);
    assert_ne!(hash(&beside), hash(&other));
    assert!(root().join("configs/ethanol_nve.toml").is_file());
}
