//! What to type instead: every word that a new user tries is answered with a command that works.

use std::fs;

use super::{mdrun, stderr};

const WRONG_INPUT: Option<i32> = Some(2);

#[test]
fn what_is_no_run_file_is_answered_with_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let ethanol = "configs/structures/ethanol.xyz";
    fs::create_dir(at("run")).unwrap();
    fs::write(at("run/run.json"), "{}").unwrap();
    let (run, record) = (at("run"), at("run/run.json"));
    let cases: [(&[&str], String); 15] = [
        (&[ethanol], format!("`mdrun init {ethanol}` writes one with comments, which `mdrun ethanol.toml` runs")),
        (
            &[ethanol],
            format!("`mdrun energy --model painn_hcno_gfn2 --structure {ethanol}`"),
        ),
        (&["check", ethanol], "is a structure".to_owned()),
        (
            &["my molecule.pdb"],
            "--structure 'my molecule.pdb'`".to_owned(),
        ),
        (
            &["models/painn_hcno_gfn2.safetensors"],
            "`mdrun bench --model models/painn_hcno_gfn2.safetensors`".to_owned(),
        ),
        (&["net.pth"], "net.pth is a model".to_owned()),
        (&["traj.dcd"], "traj.dcd is a trajectory".to_owned()),
        (&[&run], format!("`mdrun resume {run}`")),
        (&[&record], format!("`mdrun resume {run}`")),
        (
            &["run", "configs/x.toml", "--force"],
            "`mdrun configs/x.toml --force`".to_owned(),
        ),
        (&["run"], "`mdrun CONFIG.toml`".to_owned()),
        (&["chek", "x.toml"], "`mdrun check x.toml`".to_owned()),
        (
            &["energy", ethanol],
            format!("`mdrun energy --model painn_hcno_gfn2 --structure {ethanol}`"),
        ),
        (
            &["energy", "--structure", ethanol, "--model"],
            "a value is required for '--model <MODEL>'".to_owned(),
        ),
        (
            &["resume", "configs/ethanol_nve.toml"],
            "is a file; the directory of a run is wanted (that of a run file: mdrun configs/ethanol_nve.toml --resume)"
                .to_owned(),
        ),
    ];
    for (args, says) in cases {
        let output = mdrun(args);
        let message = stderr(&output);
        assert_eq!(output.status.code(), WRONG_INPUT, "{args:?}: {message}");
        assert!(message.starts_with("error: "), "{args:?}: {message}");
        assert!(message.contains(&says), "{args:?}: {message}");
    }
    let help = mdrun(&[]);
    assert_eq!(help.status.code(), WRONG_INPUT);
    assert!(stderr(&help).contains("Usage: mdrun"), "{}", stderr(&help));
}

#[test]
fn help_and_versions_are_printed() {
    let short = mdrun(&["-V"]);
    assert_eq!(
        super::stdout(&short),
        format!("mdrun {}\n", env!("CARGO_PKG_VERSION"))
    );
    let long = mdrun(&["--version"]);
    let long = super::stdout(&long);
    for label in [
        "mdrun 0.",
        "\ncommit ",
        "\nfeatures ",
        "\nSIMD ",
        "\nCUDA ",
        "\nmodels ",
    ] {
        assert!(long.contains(label), "no {label:?} in {long}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = mdrun(&["completions", shell]);
        assert!(script.status.success());
        for command in ["check", "init", "diagnose", "energy", "bench"] {
            assert!(
                super::stdout(&script).contains(command),
                "{shell}: no {command}"
            );
        }
    }
    for (args, title) in [
        (&["man"][..], ".TH mdrun 1"),
        (&["man", "check"], ".TH mdrun-check 1"),
    ] {
        let page = mdrun(args);
        assert!(
            super::stdout(&page).contains(title),
            "{}",
            super::stdout(&page)
        );
    }
    assert_eq!(mdrun(&["man", "nothing"]).status.code(), WRONG_INPUT);
}
