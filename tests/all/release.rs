//! What a release brings (`.ci/dist`): licences of all that is linked in, and a package of sources that can be built.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::root;

/// Largest package that Rust's registry takes (bytes), packed; unpacked files are larger.
const LARGEST_PACKAGE: u64 = 10 << 20;

/// What a licence's text says, by the licence's name in SPDX's list.
const SAYS: [(&str, &str); 9] = [
    ("MIT", "permission is hereby granted, free of charge"),
    (
        "Apache-2.0",
        "terms and conditions for use, reproduction, and distribution",
    ),
    ("Zlib", "this software is provided 'as-is'"),
    (
        "ISC",
        "permission to use, copy, modify, and/or distribute this software",
    ),
    ("MPL-2.0", "mozilla public license version 2.0"),
    ("BSL-1.0", "boost software license - version 1.0"),
    (
        "BSD-2-Clause",
        "redistribution and use in source and binary forms",
    ),
    ("Unicode-3.0", "unicode license v3"),
    (
        "Unlicense",
        "free and unencumbered software released into the public domain",
    ),
];

fn printed(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

fn cargo(words: &str) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    printed(Command::new(cargo).args(words.split(' ')))
}

/// "name version" of every crate behind the program and the Python package.
fn linked() -> BTreeSet<String> {
    let tree = cargo(
        "tree --locked --package mdrun --package mdrun-python --edges normal \
         --target x86_64-unknown-linux-gnu --prefix none",
    );
    let crates = tree.lines().filter(|line| !line.trim().is_empty());
    crates
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>())
        .map(|words| format!("{} {}", words[0], words[1].trim_start_matches('v')))
        .filter(|name| !name.starts_with("mdrun"))
        .collect()
}

/// Whether texts, in small letters with single blanks, hold the licence that an expression asks for: one of those that stand to choice,
/// and all that are joined.
fn hold(texts: &str, expression: &str) -> bool {
    let says = |name: &str| {
        let name = name.split(" WITH ").next().unwrap().trim();
        SAYS.iter()
            .any(|(known, words)| *known == name && texts.contains(words))
    };
    expression
        .replace(['(', ')'], "")
        .split(" AND ")
        .all(|part| part.replace(" OR ", "/").split('/').any(says))
}

/// Crates of which a page of licences does not hold the licence that it names for them, or tells nothing.
fn without_licence(page: &str, crates: &BTreeSet<String>) -> Vec<String> {
    let (table, texts) = page.split_once("\n\n===").unwrap();
    let mut by_number = vec![String::new()];
    for text in texts.split("\nText ").skip(1) {
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words[0], format!("{},", by_number.len()));
        by_number.push(words.join(" ").to_lowercase());
    }
    let told = |name: &str| {
        let row = (table.lines()).find_map(|line| line.strip_prefix(&format!("{name} ")))?;
        let (expression, numbers) = row.trim().rsplit_once("  ")?;
        let texts = numbers.split(", ").map(|n| n.trim().parse::<usize>());
        let texts = texts.map(|n| n.ok().and_then(|n| by_number.get(n).cloned()));
        let texts = texts.collect::<Option<Vec<String>>>()?;
        hold(&texts.join(" "), expression.trim()).then_some(())
    };
    let missing = crates.iter().filter(|name| told(name).is_none());
    missing.cloned().collect()
}

/// Every crate that `cargo tree` knows behind the program has the text of its licence in what `.ci/licences.py` writes, and so have what
/// else is linked in and Rust's own library.
#[test]
fn every_linked_crate_has_its_licence() {
    if std::env::var_os("MDRUN_NO_PYTHON").is_some() {
        return eprintln!("skipped: MDRUN_NO_PYTHON is set");
    }
    if Command::new("python3").arg("--version").output().is_err() {
        return eprintln!("skipped: there is no python3");
    }
    let page = printed(
        Command::new("python3")
            .args([".ci/licences.py", "--also", "Another=LICENSE-MIT"])
            .env("LC_ALL", "C"),
    );
    let mut crates = linked();
    assert!(crates.len() > 200, "{} crates", crates.len());
    let missing = without_licence(&page, &crates);
    assert!(missing.is_empty(), "no licence of {missing:?}");
    for (heading, says) in [
        ("Another", "Permission is hereby granted"),
        ("Rust's standard library", "hashbrown"),
    ] {
        let after = page.split(&format!("=\n{heading}\n=")).nth(1);
        assert!(after.is_some_and(|text| text.contains(says)), "{heading}");
    }
    // What is not told is seen, and so is a text that is another's.
    crates.insert("unheard-of 1.0.0".to_owned());
    assert_eq!(without_licence(&page, &crates), ["unheard-of 1.0.0"]);
    let spoilt = page.replace("Permission is hereby granted", "Permission is not granted");
    let missing = without_licence(&spoilt, &crates);
    assert!(missing.iter().any(|name| name.starts_with("nom ")));
    assert!(!missing.iter().any(|name| name.starts_with("approx ")));
}

#[test]
fn expressions_of_licences_are_read() {
    let mit = "permission is hereby granted, free of charge";
    for (expression, held) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("Apache-2.0 OR MIT", true),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
        ("Apache-2.0", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", false),
        ("GPL-3.0-only", false),
        ("see its text", false),
    ] {
        assert_eq!(hold(mit, expression), held, "{expression}");
    }
}

/// The files that sources take in when they are compiled.
fn taken_in(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            taken_in(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for words in text.split("include_").skip(1) {
                let name = words.split_once("!(\"").and_then(|(kind, rest)| {
                    let known = ["str", "bytes"].contains(&kind);
                    known.then(|| rest.split('"').next().unwrap())
                });
                found.extend(name.map(|name| folder.join(name).canonicalize().unwrap()));
            }
        }
    }
}

/// The package of sources has every source, what they take in, and what README leads to; tests and scripts are not in it, and it is
/// smaller than the registry asks for.
#[test]
fn the_package_of_sources_is_whole_and_small() {
    let list = cargo("package --list --locked --allow-dirty --package mdrun");
    let list: BTreeSet<&str> = list.lines().collect();
    let mut needed = Vec::new();
    taken_in(&root().join("src"), &mut needed);
    assert!(needed.len() > 20, "{needed:?}");
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let links = readme.split("](").skip(1);
    let links = links.filter_map(|rest| rest.split([')', '#']).next());
    needed.extend(links.map(|link| root().join(link)));
    let top = root().canonicalize().unwrap();
    for path in needed {
        let path = path.canonicalize().unwrap();
        let name = path.strip_prefix(&top).unwrap().to_str().unwrap();
        assert!(list.contains(name), "{name} is not in the package");
    }
    for folder in ["tests/", ".ci/", "python/", "benches/"] {
        assert!(!list.iter().any(|name| name.starts_with(folder)));
    }
    let sources = list.iter().filter(|name| name.starts_with("src/"));
    assert!(sources.count() > 300);
    let lengths = list
        .iter()
        .filter_map(|name| fs::metadata(root().join(name)).ok());
    let bytes: u64 = lengths.map(|file| file.len()).sum();
    assert!(bytes < LARGEST_PACKAGE, "{bytes} bytes");
}

/// What is told twice is the same: the version of both crates, and the tool that makes wheels.
#[test]
fn both_packages_agree() {
    let line = |file: &str, start: &str| {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let found = text.lines().find(|line| line.starts_with(start));
        found
            .unwrap_or_else(|| panic!("{file}: {start}"))
            .to_owned()
    };
    for (start, files) in [
        ("version = ", ["Cargo.toml", "python/Cargo.toml"]),
        ("license = ", ["Cargo.toml", "python/pyproject.toml"]),
        ("maturin==", [".ci/dist.txt", "python/requirements.txt"]),
    ] {
        let [one, other] = files.map(|file| line(file, start));
        assert_eq!(one, other, "{files:?}");
    }
}
