//! The documentation is what the program does: its commands run, its run files are read, its options exist, and the variables
//! of the tests are listed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{mdrun, root};

/// Commands of the documentation that are not run, and why.
const EXCEPTIONS: [(&str, &str); 9] = [
    (
        "mdrun model convert best_model ",
        "needs a model of another program: tests/all/models makes one",
    ),
    (
        "mdrun configs/ethanol_nve.toml --set potential.model=best_model",
        "goes on from there",
    ),
    (
        "make demo",
        "builds the program anew; its run is that of configs/ethanol_nve.toml",
    ),
    ("make test", "is what this test is part of"),
    ("make validate", "takes hours"),
    ("make install", "builds the program anew"),
    ("make uninstall", "needs an installation"),
    ("vmd ", "opens a window"),
    ("i-pi ", "is not there everywhere: ipi::python runs it"),
];

/// README.md and the pages of `docs/`.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap();
    pages.extend(docs.map(|entry| entry.unwrap().path()));
    pages.retain(|page| page.extension().is_some_and(|e| e == "md"));
    pages.sort();
    assert!(pages.len() > 3, "{pages:?}");
    pages
}

/// The blocks of a language in a page: (line from 1, text).
fn blocks(page: &Path, language: &str) -> Vec<(usize, String)> {
    let text = fs::read_to_string(page).unwrap();
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut inside = false;
    for (n, line) in text.lines().enumerate() {
        if let Some(word) = line.trim_start().strip_prefix("```") {
            inside = !inside;
            if inside && word.trim() == language {
                open = Some((n + 1, String::new()));
            } else {
                found.extend(open.take());
            }
        } else if let Some((_, block)) = &mut open {
            *block += line;
            block.push('\n');
        }
    }
    assert!(!inside, "{}: a block is not closed", page.display());
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

/// A copy of what a user has in the project's folder, with `mdrun` on the path.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        let scratch = Self(TempDir::new().unwrap());
        for folder in ["configs", "models"] {
            copy(&root().join(folder), &scratch.0.path().join(folder));
        }
        fs::create_dir(scratch.0.path().join("trajectories")).unwrap();
        let programs = scratch.0.path().join("programs");
        fs::create_dir(&programs).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_mdrun"), programs.join("mdrun")).unwrap();
        scratch
    }

    fn shell(&self, script: &str) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = self.0.path().join("programs");
        Command::new("sh")
            .args(["-e", "-u", "-c", script])
            .current_dir(self.0.path())
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("NO_COLOR", "1")
            .output()
            .unwrap()
    }
}

fn excepted(line: &str) -> bool {
    EXCEPTIONS
        .iter()
        .any(|(command, _)| line.starts_with(command))
}

/// Every block of shell in the documentation runs to its end, one after another in one folder for each page, as a reader types them.
#[cfg(unix)]
#[test]
fn commands_of_the_documentation_run() {
    let mut run = 0;
    for page in pages() {
        let scratch = Scratch::new();
        for (line, block) in blocks(&page, "sh") {
            let script: Vec<&str> = block
                .lines()
                .filter(|line| !excepted(line.trim()))
                .collect();
            if script.iter().all(|line| line.trim().is_empty()) {
                continue;
            }
            let output = scratch.shell(&script.join("\n"));
            let place = format!("{}:{line}", page.file_name().unwrap().display());
            let (out, err) = (&output.stdout, &output.stderr);
            assert!(
                output.status.success(),
                "{place}: {}\n{}{}",
                output.status,
                String::from_utf8_lossy(out),
                String::from_utf8_lossy(err)
            );
            run += 1;
        }
    }
    assert!(run > 0, "the documentation shows no command");
}

/// Every run file in the documentation is read, with all its keys, and runs a few steps.
#[test]
fn run_files_of_the_documentation_run() {
    let mut run = 0;
    for page in pages() {
        for (line, block) in blocks(&page, "toml") {
            if !block.contains("structure") {
                continue;
            }
            let scratch = Scratch::new();
            let file = scratch.0.path().join("configs/documented.toml");
            fs::write(&file, &block).unwrap();
            let out = scratch.0.path().join("out");
            let output = mdrun(&[
                file.to_str().unwrap(),
                "--set",
                "dynamics.steps=2",
                "--set",
                "device.kind=\"cpu\"",
                "--out",
                out.to_str().unwrap(),
                "-q",
            ]);
            let place = format!("{}:{line}", page.file_name().unwrap().display());
            assert!(
                output.status.success(),
                "{place}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            run += 1;
        }
    }
    assert!(run > 0, "the documentation shows no run file");
}

/// The code between backticks of a page, outside of blocks.
fn spans(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// Every `mdrun ... --option` that the documentation speaks of exists.
#[test]
fn options_of_the_documentation_exist() {
    let help = |words: &[&str]| {
        let output = mdrun(&[words, &["--help"]].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let general = help(&[]);
    let mut seen = 0;
    for page in pages() {
        for span in spans(&page)
            .iter()
            .filter_map(|span| span.strip_prefix("mdrun "))
        {
            let words: Vec<&str> = span.split_whitespace().collect();
            let is_command = |word: &str| {
                let word = word.trim_end_matches([',', '.']);
                let mut lines = general.lines();
                lines.any(|line| line.split_whitespace().next() == Some(word))
            };
            let first = words.first().copied().unwrap_or_default();
            let plain = first.chars().all(|c| c.is_ascii_lowercase());
            assert!(
                !plain || is_command(first),
                "{}: mdrun {span}: no such command",
                page.display()
            );
            let second = words.get(1).copied().unwrap_or_default();
            let text = match plain {
                true if first == "model" => help(&[first, second]),
                true => help(&[first]),
                false => help(&[]) + &help(&["run"]),
            };
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let option = option.split(['=', '|']).next().unwrap();
                assert!(
                    text.contains(option),
                    "{}: mdrun {span}: no option {option}",
                    page.display()
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 3, "{seen}");
}

/// The picture in README is of a run as it is now: every label that one prints is in it, in order.
#[test]
fn the_picture_has_the_lines_of_a_run() {
    /// README is no longer than this.
    const MOST_LINES: usize = 150;
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= MOST_LINES);
    assert!(readme.contains("(docs/run.svg)"));
    let picture = fs::read_to_string(root().join("docs/run.svg")).unwrap();
    let picture = picture.replace('\u{a0}', " ");
    let folder = TempDir::new().unwrap();
    let output = mdrun(&[
        "configs/ethanol_nve.toml",
        "--set",
        "dynamics.steps=400",
        "--set",
        "device.kind=cpu",
        "--out",
        folder.path().join("run").to_str().unwrap(),
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    let labels: Vec<&str> = (text.lines())
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.trim_start().split("  ").next())
        .filter(|label| label.starts_with(|c: char| c.is_alphabetic()) && label.len() < 20)
        .collect();
    assert!(labels.len() > 10, "{labels:?} of {text}");
    let mut rest = picture.as_str();
    for label in labels {
        let (_, after) = rest.split_once(&format!(">{label}  ")).unwrap_or_else(|| {
            panic!("docs/run.svg has no {label:?} there; CONTRIBUTING.md says how it is made")
        });
        rest = after;
    }
}

/// The gallery shows what lies beside it, and nothing lies there that it does not show.
#[test]
fn the_gallery_has_its_pictures() {
    let page = fs::read_to_string(root().join("docs/gallery.md")).unwrap();
    let shown: BTreeSet<&str> = (page.split("src=\"gallery/").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let there: Vec<String> = (fs::read_dir(root().join("docs/gallery")).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(shown, there.iter().map(String::as_str).collect());
    assert_eq!(shown.len(), 12);
    for name in shown {
        let picture = fs::read_to_string(root().join("docs/gallery").join(name)).unwrap();
        assert!(
            picture.starts_with("<svg xmlns=") && !picture.contains("NaN"),
            "{name}"
        );
    }
}

/// Names of variables in a text: `MDRUN_` and what follows in capitals.
fn variables(text: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_uppercase() || c == '_';
    let starts = text.match_indices("MDRUN_").map(|(at, _)| &text[at..]);
    let names = starts.map(|rest| rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())].to_owned());
    names.filter(|name| name.len() > "MDRUN_".len()).collect()
}

/// `docs/testing.md` lists every variable that the program, the tests and the scripts read, and no others.
#[test]
fn every_variable_is_documented() {
    fn add(path: &Path, found: &mut BTreeSet<String>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
                add(&entry.path(), found);
            }
        } else if let Ok(text) = fs::read_to_string(path) {
            found.extend(variables(&text));
        }
    }
    let mut used = BTreeSet::new();
    for place in [
        "src", "tests", "benches", "examples", ".ci", "Makefile", "build.rs",
    ] {
        let path = root().join(place);
        if path.exists() {
            add(&path, &mut used);
        }
    }
    let page = fs::read_to_string(root().join("docs/testing.md")).unwrap();
    let listed: BTreeSet<String> = (page.lines())
        .filter_map(|line| line.strip_prefix("| `MDRUN_"))
        .flat_map(|rest| variables(&format!("MDRUN_{rest}")).into_iter().take(1))
        .collect();
    let missing: Vec<&String> = used.difference(&listed).collect();
    let idle: Vec<&String> = listed.difference(&used).collect();
    assert!(
        missing.is_empty(),
        "docs/testing.md does not list {missing:?}"
    );
    assert!(
        idle.is_empty(),
        "docs/testing.md lists {idle:?}, which nobody reads"
    );
}
