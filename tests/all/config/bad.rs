//! Every file in `bad/` is refused with the message that it holds, at the line above that message.
//!
//! A file marks the fault with a comment under the line at fault, `#^ message`. Three words in it stand
//! for folders: `@files@` for `bad/files`, `@models@` for models made here, `@out@` for a fresh folder.

use std::fs;
use std::path::{Path, PathBuf};

use mdrun::config;

use crate::support::root;

/// The fault that a file announces.
struct Fault {
    /// The line it is in, from 1.
    line: usize,
    message: String,
}

fn folder() -> PathBuf {
    root().join("tests/all/config/bad")
}

fn fault(text: &str, name: &str) -> Fault {
    let marks: Vec<(usize, &str)> = (text.lines().enumerate())
        .filter_map(|(k, line)| line.strip_prefix("#^ ").map(|m| (k, m)))
        .collect();
    assert_eq!(marks.len(), 1, "{name} has one `#^ message`");
    Fault {
        line: marks[0].0,
        message: marks[0].1.to_owned(),
    }
}

#[test]
fn bad_files_are_refused_with_the_message_they_hold() {
    let scratch = tempfile::tempdir().unwrap();
    let models = scratch.path().join("models");
    fs::create_dir(&models).unwrap();
    super::models::write(&models);
    let mut seen = 0;
    let mut wrong = Vec::new();
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let fill = |text: &str| {
            text.replace("@files@", folder().join("files").to_str().unwrap())
                .replace("@models@", models.to_str().unwrap())
                .replace("@out@", scratch.path().join("out").to_str().unwrap())
        };
        let text = fill(&fs::read_to_string(&file).unwrap());
        let fault = fault(&text, &name);
        let run_file = scratch.path().join(&name);
        fs::write(&run_file, &text).unwrap();
        match refusal(&run_file) {
            None => wrong.push(format!("{name}: is accepted")),
            Some(error) => {
                let place = format!("{name}:{}:", fault.line);
                if !error.contains(&place) || !error.contains(&fault.message) {
                    wrong.push(format!(
                        "{name}: line {}: {}\n   gave {error}",
                        fault.line, fault.message
                    ));
                }
            }
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(seen >= 60, "only {seen} bad files are there");
}

/// What the run file is refused with.
fn refusal(run_file: &Path) -> Option<String> {
    let check = || {
        let plan = config::load(run_file, &[], None)?;
        if let config::plan::PotentialPlan::Painn { model, .. } = &plan.potential {
            let bytes = fs::read(model).unwrap();
            let (spec, _) = mdrun::potential::painn::import(&bytes, &model.display().to_string())
                .map_err(|e| e.within(plan.places.of("potential.model")))?;
            config::check_elements(&spec.elements, &plan.start.system)
                .map_err(|e| e.within(plan.places.of("system.structure")))?;
        }
        Ok::<(), mdrun::Error>(())
    };
    check().err().map(|e| e.to_string())
}
