//! What to type instead, for those who type something that mdrun does not take.

use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Cli;
use crate::error::nearest;
use crate::formats::read::{is_structure, is_trajectory};
use crate::models;
use crate::report::names;
use crate::{Error, Result};

/// What other programs call a run.
const RUN: [&str; 6] = ["run", "start", "md", "mdrun", "simulate", "exec"];
/// Endings of files with weights.
const MODELS: [&str; 6] = ["safetensors", "pt", "pth", "pkl", "bin", "onnx"];

/// What to say of a command line that clap refuses, where it is close to something that would work.
pub fn of(arguments: &[OsString], error: &clap::Error) -> Option<String> {
    let first = arguments.get(1)?.to_str()?;
    command(first, &arguments[2..], error).or_else(|| structure(&arguments[1..], error))
}

/// What to say of a command that there is not.
fn command(word: &str, rest: &[OsString], error: &clap::Error) -> Option<String> {
    // A second word after what is taken for the run file: clap holds it for a command.
    let stray = matches!(
        error.kind(),
        ErrorKind::UnknownArgument | ErrorKind::ArgumentConflict | ErrorKind::InvalidSubcommand
    );
    if !stray || word.starts_with('-') || Path::new(word).is_file() {
        return None;
    }
    let known = Cli::command();
    let known: Vec<&str> = (known.get_subcommands())
        .filter(|command| !command.is_hide_set())
        .map(|command| command.get_name())
        .collect();
    if known.contains(&word) {
        return None;
    }
    let instead = match nearest(word, known.iter().copied()) {
        _ if RUN.contains(&word) => None,
        Some(near) => Some(near),
        None => return None,
    };
    let typed = (["mdrun"].into_iter().chain(instead))
        .map(str::to_owned)
        .chain(rest.iter().map(|argument| quoted(Path::new(argument))));
    let typed: Vec<String> = typed.collect();
    Some(format!(
        "there is no command {word:?}; type `{}`",
        typed.join(" ")
    ))
}

/// What to say where `mdrun energy` or `mdrun minimize` is given its structure without its option.
fn structure(arguments: &[OsString], error: &clap::Error) -> Option<String> {
    let wrong = matches!(
        error.kind(),
        ErrorKind::UnknownArgument | ErrorKind::MissingRequiredArgument
    );
    let command = arguments.first()?.to_str()?;
    let more = match command {
        "energy" => "",
        "minimize" => " --out minimum.xyz",
        _ => return None,
    };
    if !wrong {
        return None;
    }
    if let Some(ContextValue::String(stray)) = error.get(ContextKind::InvalidArg)
        && stray.starts_with('-')
    {
        return None;
    }
    let rest = &arguments[1..];
    let named = rest.iter().any(|argument| argument == "--structure");
    if named && command == "minimize" {
        // Something else is missing, which the answer names.
        return None;
    }
    let given = |option: &str, ending: fn(&Path) -> bool| {
        let named = rest.iter().position(|argument| argument == option);
        let named = named.and_then(|at| rest.get(at + 1));
        named.or_else(|| rest.iter().find(|argument| ending(Path::new(argument))))
    };
    let structure = given("--structure", is_structure);
    let model = given("--model", is_model);
    let shown = |path: Option<&OsString>, else_: &str| {
        path.map_or_else(|| else_.to_owned(), |path| quoted(Path::new(path)))
    };
    Some(format!(
        "a structure is wanted; type `mdrun {command} --model {} --structure {}{more}` (models inside this program: \
         {}; `mdrun {command} --help` has the other options)",
        shown(model, models::names()[0]),
        shown(structure, "molecule.xyz"),
        models::names().join(", ")
    ))
}

/// Sees to it that a path can be that of a run file, for `mdrun PATH` and `mdrun check PATH`.
///
/// # Errors
/// It is something else by its name: what to type is in the message.
pub fn expect_run_file(path: &Path) -> Result<()> {
    match instead_of_run_file(path) {
        Some(hint) => Err(Error::input(hint)),
        None => Ok(()),
    }
}

fn instead_of_run_file(path: &Path) -> Option<String> {
    let name = path.display();
    if path.is_dir() {
        let run = quoted(path);
        return path.join(names::RECORD).exists().then(|| {
            format!(
                "{name} is the directory of a run, not a run file; `mdrun resume {run}` goes on with it, \
                 `mdrun diagnose {run}` says what is wrong with it"
            )
        });
    }
    if path.file_name().is_some_and(|file| file == names::RECORD) || has_ending(path, &["ckpt"]) {
        let run = match path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            Some(parent) => quoted(parent),
            None => ".".to_owned(),
        };
        return Some(format!(
            "{name} is of a run that has begun, not a run file; `mdrun resume {run}` goes on with it"
        ));
    }
    if is_structure(path) {
        return Some(for_structure(path));
    }
    if is_trajectory(path) {
        return Some(format!(
            "{name} is a trajectory, not a run file: `mdrun CONFIG.toml` with a run file is wanted"
        ));
    }
    if is_model(path) {
        let model = quoted(path);
        return Some(format!(
            "{name} is a model, not a run file, which names it: [potential] model = {:?}. \
             `mdrun energy --model {model} --structure molecule.xyz` computes an energy with it, `mdrun bench --model {model}` \
             times it",
            path.to_string_lossy()
        ));
    }
    let word = path.to_str().filter(|_| !path.exists())?;
    if RUN.contains(&word) {
        return Some(format!(
            "there is no command {word:?}; a run file is all it takes: type `mdrun CONFIG.toml`"
        ));
    }
    let known = Cli::command();
    let known = known.get_subcommands().map(|command| command.get_name());
    let near = nearest(word, known.collect::<Vec<_>>().into_iter())?;
    Some(format!(
        "{word}: no such run file; if the command is meant, type `mdrun {near}`"
    ))
}

/// How to come by a run file for a structure.
fn for_structure(path: &Path) -> String {
    let file = path.with_extension("toml");
    let file = file.file_name().map_or(Path::new("run.toml"), Path::new);
    let (structure, file) = (quoted(path), quoted(file));
    format!(
        "{} is a structure; a run file (TOML) says what to do with it: `mdrun init {structure}` writes one with comments, which \
         `mdrun {file}` runs. Its energy and forces alone: `mdrun energy --model {} --structure {structure}`",
        path.display(),
        models::names()[0],
    )
}

fn is_model(path: &Path) -> bool {
    has_ending(path, &MODELS)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| {
        endings
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_would_split_them() {
        for (path, shown) in [
            ("a/b-c.toml", "a/b-c.toml"),
            ("my run.toml", "'my run.toml'"),
            ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(Path::new(path)), shown);
        }
    }
}
