//! The house rules that a search can check. Each names the file and line that breaks it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// Longest source file: a reader still knows the room.
const MOST_LINES: usize = 600;

/// Widest line of a source (columns): the formatter keeps code to 100, comments and texts may go farther.
const MOST_COLUMNS: usize = 130;

/// Rooms that know nothing of files, formats or the run file.
const INNER: [&str; 9] = [
    "src/core",
    "src/cuda",
    "src/dynamics",
    "src/forcefield",
    "src/minimize",
    "src/engine",
    "src/potential",
    "src/neighbors",
    "src/simulation",
];

/// The rooms inside that touch files or the environment: one keeps compiled kernels in the user's cache folder, the other looks
/// whether CUDA's headers are there.
const TOUCH_FILES: [&str; 2] = ["src/cuda/cache.rs", "src/cuda/device.rs"];

/// Rooms whose texts are columns, in which blanks are places.
const COLUMNS: [&str; 2] = ["src/formats/write/topology.rs", "src/bench/"];

/// Parses the bytes of a model file: its metadata is JSON.
const PARSES_JSON: [&str; 2] = ["src/potential/painn/import", "src/potential/stated.rs"];

/// Rooms that turn quantities with units into numbers and back.
const OUTER: [&str; 16] = [
    "src/selection",
    "src/analysis",
    "src/overview",
    "src/config",
    "src/formats",
    "src/diagnose",
    "src/validate",
    "src/ipi",
    "src/plumed",
    "src/report",
    "src/assemble",
    "src/assemble.rs",
    "src/run",
    "src/cli",
    "src/bench",
    "src/units.rs",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "cu") {
            found.push(path);
        }
    }
}

/// Each line of each source under `folder`: (path from the root, line number, line).
fn lines(folder: &str) -> Vec<(String, usize, String)> {
    let mut files = Vec::new();
    sources(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "no sources under {folder}");
    files
        .iter()
        .flat_map(|file| {
            let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
            let text = fs::read_to_string(file).unwrap();
            let numbered = text.lines().enumerate();
            let own = |(n, line): (usize, &str)| (name.to_owned(), n + 1, line.to_owned());
            numbered.map(own).collect::<Vec<_>>()
        })
        .collect()
}

/// Fails with every line that is code and that `broken` says is wrong.
fn check(folder: &str, broken: impl Fn(&str, &str) -> bool) {
    check_lines(lines(folder), broken);
}

fn check_lines(lines: Vec<(String, usize, String)>, broken: impl Fn(&str, &str) -> bool) {
    let wrong: Vec<String> = lines
        .into_iter()
        .filter(|(file, _, line)| !line.trim_start().starts_with("//") && broken(file, line))
        .map(|(file, n, line)| format!("{file}:{n}: {}", line.trim()))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn within(file: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| file.starts_with(room))
}

#[test]
fn inner_rooms_know_no_files_formats_or_run_file() {
    check_lines(in_use("src"), |file, line| {
        let foreign = [
            "crate::config",
            "crate::formats",
            "crate::report",
            "crate::run",
            "crate::cli",
        ];
        let files = [
            "std::fs",
            "File::open",
            ".exists()",
            ".is_file()",
            "env::var",
            "read_dir",
        ];
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        within(file, &INNER)
            && (has(&foreign)
                || has(&files) && !TOUCH_FILES.contains(&file)
                || line.contains("serde") && !within(file, &PARSES_JSON))
    });
}

/// Rooms and files that these rules name are there: one that has moved would be watched no more.
#[test]
fn rules_name_what_is_there() {
    let folders = [&INNER[..], &OUTER[..], &COLUMNS[..], &TOUCH_FILES[..]].concat();
    for name in folders {
        let path = root().join(name);
        assert!(
            path.exists() || path.with_extension("rs").exists(),
            "{name} is not there"
        );
    }
    for name in PARSES_JSON {
        assert!(root().join(name).exists());
    }
}

#[test]
fn units_stay_in_the_outer_rooms() {
    check("src", |file, line| {
        !within(file, &OUTER) && line.contains("crate::units")
    });
}

#[test]
fn burn_stays_behind_the_potential() {
    check("src", |file, line| {
        !file.starts_with("src/potential/painn/reference/")
            && (line.contains("burn::tensor") || line.contains("burn_cuda::"))
    });
}

#[test]
fn noise_has_no_shared_state() {
    check("src", |_, line| {
        line.contains("thread_rng") || line.contains("rand::rng()") || line.contains("from_os_rng")
    });
}

#[test]
fn nothing_is_left_unfinished_or_tied_to_one_machine() {
    let words = ["to", "do!("].concat();
    let fix = ["FIX", "ME"].concat();
    let unfinished = ["unimplemen", "ted!("].concat();
    let home = ["\"/ho", "me/"].concat();
    for folder in ["src", "tests"] {
        check(folder, |_, line| {
            [&words, &fix, &unfinished, &home]
                .iter()
                .any(|word| line.contains(word.as_str()))
        });
    }
}

#[test]
fn files_open_with_their_purpose_and_stay_short() {
    for folder in ["src", "tests"] {
        let mut files = Vec::new();
        sources(&root().join(folder), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let purpose = text.starts_with("//!") || text.starts_with("//");
            assert!(purpose, "{} does not say what it is for", file.display());
            let count = text.lines().count();
            assert!(
                count <= MOST_LINES,
                "{} has {count} lines; split it at {MOST_LINES}",
                file.display()
            );
        }
    }
}

/// The parts of a line of code that are text in quotes.
fn texts(line: &str) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), None::<String>);
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        match (&mut open, c) {
            (None, '"') => open = Some(String::new()),
            (None, '\'') => {
                // A letter in quotes, which may be a quote.
                let mut ahead = letters.clone();
                if let (Some(_), Some('\'')) = (ahead.next(), ahead.next()) {
                    letters = ahead;
                }
            }
            (Some(_), '"') => found.extend(open.take()),
            (Some(text), '\\') => {
                text.push('\\');
                text.extend(letters.next());
            }
            (Some(text), c) => text.push(c),
            _ => {}
        }
    }
    // A text that goes on in the next line.
    found.extend(open);
    found
}

/// Lines of sources in use: what follows the tests of a file is left out.
fn in_use(folder: &str) -> Vec<(String, usize, String)> {
    let mut tests = None;
    let mut all = lines(folder);
    all.retain(|(file, _, line)| {
        if line.starts_with("#[cfg(test)]") {
            tests = Some(file.clone());
        }
        tests.as_ref() != Some(file)
    });
    all
}

/// A sentence has single blanks: more of them come from lines that were joined. The first gap of a line may be wide, between a
/// label and what it labels.
#[test]
fn texts_have_single_blanks() {
    /// Words of the longest label.
    const LABEL: usize = 3;
    let mut wrong = Vec::new();
    for (file, n, line) in in_use("src") {
        if line.trim_start().starts_with("//") || within(&file, &COLUMNS) || file.ends_with(".cu") {
            continue;
        }
        for text in texts(&line) {
            for (at, _) in text.trim().match_indices("  ") {
                let before = text.trim()[..at].split_whitespace().count();
                if before > LABEL {
                    wrong.push(format!("{file}:{n}: {}", line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The name of a type or trait that a line declares; associated types, which stand inside of something, have the trait's name.
fn declared(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let code = match code.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
        None => code,
    };
    let code = code.strip_prefix("unsafe ").unwrap_or(code);
    let (word, rest) = code.split_once(' ')?;
    let inside = word == "type" && line.starts_with(' ');
    let declares = ["struct", "enum", "trait", "union", "type"].contains(&word) && !inside;
    let name = rest
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    (declares && name.starts_with(char::is_uppercase)).then_some(name)
}

/// One name, one thing: no two files declare a type or a trait of the same name.
#[test]
fn a_type_has_a_name_of_its_own() {
    let mut places = BTreeMap::<String, BTreeSet<String>>::new();
    for (file, _, line) in in_use("src") {
        if let Some(name) = declared(&line).filter(|_| file.ends_with(".rs")) {
            places.entry(name.to_owned()).or_default().insert(file);
        }
    }
    assert!(places.len() > 400, "only {} names", places.len());
    let shared: Vec<String> = (places.iter())
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| format!("{name}: {files:?}"))
        .collect();
    assert!(shared.is_empty(), "\n{}", shared.join("\n"));
}

#[test]
fn declarations_are_seen() {
    for (line, name) in [
        ("pub struct Cell {", Some("Cell")),
        (
            "    pub(super) struct DeviceState = \"State\" {",
            Some("DeviceState"),
        ),
        ("unsafe trait Plain: Copy {}", Some("Plain")),
        ("type Line<'t> = (usize, &'t str);", Some("Line")),
        ("    type Error = Infallible;", None),
        ("pub enum Op{", Some("Op")),
        ("structure is what it is", None),
        ("pub const fn new() {", None),
    ] {
        assert_eq!(declared(line), name, "{line}");
    }
}

/// Rooms that know no run file name none of its keys in their texts: what to set is said by the rooms that do.
#[test]
fn inner_rooms_name_no_keys() {
    const TABLES: [&str; 6] = [
        "[system]",
        "[potential]",
        "[dynamics]",
        "[output]",
        "[monitor]",
        "[device]",
    ];
    check_lines(in_use("src"), |file, line| {
        let named = |text: &String| TABLES.iter().any(|table| text.contains(table));
        within(file, &INNER) && file.ends_with(".rs") && texts(line).iter().any(named)
    });
}

/// What is advised is a key of the run file: `[device] kind`, not `device`.
#[test]
fn advice_names_keys_that_exist() {
    check("src", |_, line| {
        let line = line.replace('\\', "");
        line.contains("device = \"cpu\"") || line.contains("device = \"cuda")
    });
}

#[test]
fn lines_are_not_too_wide() {
    let wide = |line: &str| line.chars().count() > MOST_COLUMNS;
    let wrong: Vec<String> = lines("src")
        .into_iter()
        .filter(|(_, _, line)| wide(line))
        .map(|(file, n, line)| format!("{file}:{n}: {} columns", line.chars().count()))
        .collect();
    assert!(
        wrong.is_empty(),
        "over {MOST_COLUMNS}:\n{}",
        wrong.join("\n")
    );
}

/// Kernels are as wide as `.clang-format` says, at most: no formatter watches over them in every build.
#[test]
fn kernels_are_as_wide_as_their_formatter_says() {
    let style = fs::read_to_string(root().join(".clang-format")).unwrap();
    let limit = (style.lines()).find_map(|line| line.strip_prefix("ColumnLimit: "));
    let limit: usize = limit.unwrap().trim().parse().unwrap();
    let mut kernels = lines("src");
    kernels.retain(|(file, ..)| file.ends_with(".cu"));
    assert!(kernels.len() > 1000, "only {} lines", kernels.len());
    let wrong: Vec<String> = kernels
        .into_iter()
        .map(|(file, n, line)| (file, n, line.chars().count()))
        .filter(|(_, _, columns)| *columns > limit)
        .map(|(file, n, columns)| format!("{file}:{n}: {columns} columns"))
        .collect();
    assert!(wrong.is_empty(), "over {limit}:\n{}", wrong.join("\n"));
}

/// The page on the architecture has a paragraph for every room, and for nothing else.
#[test]
fn every_room_has_its_paragraph() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let mut told: Vec<String> = (page.lines())
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .map(str::to_owned)
        .collect();
    let mut there: Vec<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !["lib", "main"].contains(&name.as_str()))
        .collect();
    told.sort();
    there.sort();
    there.dedup();
    assert_eq!(told, there);
    // A paragraph says something.
    for name in &told {
        let after = page.split(&format!("### `{name}`\n")).nth(1).unwrap();
        assert!(
            after.lines().next().is_some_and(|line| line.len() > 20),
            "{name}"
        );
    }
}

/// `docs/testing.md` names every room of the tests.
#[test]
fn every_room_of_the_tests_is_told() {
    let page = fs::read_to_string(root().join("docs/testing.md")).unwrap();
    let (_, table) = page.split_once("## Rooms of").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.flat_map(|row| row.split(" | ").next().unwrap().split(", "));
    let mut told: Vec<String> = names.map(|name| name.replace('`', "")).collect();
    let entries = fs::read_dir(root().join("tests/all")).unwrap();
    let mut there: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("mod.rs").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    told.sort();
    there.sort();
    assert_eq!(told, there);
}

/// What README and the pages of `docs` name of the sources and tests is there.
#[test]
fn pages_name_what_is_there() {
    const FOLDERS: [&str; 6] = [
        "src/",
        "tests/",
        "docs/",
        "configs/",
        "benches/",
        "examples/",
    ];
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap();
    pages.extend(docs.map(|entry| entry.unwrap().path()));
    pages.retain(|path| path.extension().is_some_and(|e| e == "md"));
    let mut seen = 0;
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        let named = page.split(['`', '(', ')', '#', '"']);
        for name in named.filter(|name| FOLDERS.iter().any(|folder| name.starts_with(folder))) {
            let name = name.split_whitespace().next().unwrap();
            assert!(root().join(name).exists(), "{}: {name}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// The pages on adding something name files that are there.
#[test]
fn pages_on_adding_name_what_is_there() {
    for entry in fs::read_dir(root().join("docs/adding")).unwrap() {
        let path = entry.unwrap().path();
        let page = fs::read_to_string(&path).unwrap();
        let named = page.split('`').skip(1).step_by(2);
        let files: Vec<&str> = named
            .filter(|name| name.contains('/') && !name.contains("NAME"))
            .collect();
        assert!(files.len() > 3, "{}", path.display());
        for name in files {
            assert!(root().join(name).exists(), "{}: {name}", path.display());
        }
    }
}
