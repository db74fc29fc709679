//! Where models are: a file by its path, or a name, which is looked for beside the run file, in the data folders, and
//! in the program itself, which has the models of `models/` inside.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::input::{self, unreadable};
use crate::paths::{absolute, join};
use crate::{Error, Result, memory};

/// The ending of a model file.
const ENDING: &str = "safetensors";

/// Most bytes of hyper-parameters beside a model.
const MOST_BESIDE: u64 = 1 << 20;

/// A model inside the program.
#[derive(Debug, PartialEq, Eq)]
pub struct Embedded {
    /// What run files call it.
    pub name: &'static str,
    /// The bytes of its file.
    bytes: &'static [u8],
}

/// The models inside the program; the first is what `mdrun bench` measures where none is named.
pub static EMBEDDED: [Embedded; 2] = [
    Embedded {
        name: "painn_hcno_gfn2",
        bytes: include_bytes!("../models/painn_hcno_gfn2.safetensors"),
    },
    Embedded {
        name: "painn_organic_gfn2",
        bytes: include_bytes!("../models/painn_organic_gfn2.safetensors"),
    },
];

/// A model that has been found; nothing of it is read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelFile {
    /// A plain file.
    Path(PathBuf),
    /// A model inside the program.
    Embedded(&'static Embedded),
}

impl ModelFile {
    /// Finds what `text` names, a path relative to `base` or a name: that is one without `/` and without an ending.
    ///
    /// A name is `NAME.safetensors` (or a file that is called just that) in `base`, else in a [data folder](folders),
    /// else a model inside the program.
    ///
    /// # Errors
    /// There is no such model, or something other than a file is in its place.
    pub fn find(text: &Path, base: &Path) -> Result<Self> {
        let Some(name) = name_of(text) else {
            let path = join(base, text);
            return match std::fs::metadata(&path) {
                Ok(_) => plain(path),
                Err(fault) => Err(Error::input(format!(
                    "{}: {}{}",
                    path.display(),
                    unreadable(&fault),
                    hint(text)
                ))),
            };
        };
        let file = format!("{name}.{ENDING}");
        let folders = folders();
        let beside = join(base, Path::new(&file));
        // What cannot be looked at counts as there: then the error says so.
        if !matches!(beside.try_exists(), Ok(false)) {
            return plain(beside);
        }
        // A home of somebody else, as containers have it, is no obstacle.
        let bare = join(base, text);
        let mut further =
            std::iter::once(bare).chain(folders.iter().map(|folder| folder.join(&file)));
        if let Some(path) = further.find(|path| path.is_file()) {
            return Ok(Self::Path(path));
        }
        let embedded = EMBEDDED.iter().find(|model| model.name == name);
        embedded.map(Self::Embedded).ok_or_else(|| {
            Error::input(format!(
                "no model is called {name:?}{} models inside this program: {}; {file} is neither beside the run file \
                 ({}) nor in {}; a file elsewhere is named by its path",
                nearest(name, &folders),
                names().join(", "),
                beside.display(),
                list(&folders)
            ))
        })
    }

    /// The bytes of the model.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<Cow<'static, [u8]>> {
        match self {
            Self::Embedded(model) => Ok(Cow::Borrowed(model.bytes)),
            Self::Path(path) => {
                // What does not fit into memory is no model for this machine.
                memory::read(path, 1).map(Cow::Owned).map_err(|e| {
                    Error::input(format!("{}: the model cannot be read: {e}", path.display()))
                })
            }
        }
    }

    /// The text of the `.json` file of the same name beside the model, where there is one: hyper-parameters of models whose
    /// own file does not have them.
    ///
    /// # Errors
    /// It cannot be read, or is not text.
    pub fn beside(&self) -> Result<Option<String>> {
        let Self::Path(path) = self else {
            return Ok(None);
        };
        let beside = path.with_extension("json");
        if beside == *path || !beside.is_file() {
            return Ok(None);
        }
        let fault = |e: String| Error::input(format!("{}: {e}", beside.display()));
        let bytes = input::read(&beside, MOST_BESIDE).map_err(|e| fault(unreadable(&e)))?;
        let text =
            String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8 text".to_owned()))?;
        Ok(Some(text))
    }

    /// What a resolved run file calls it, wherever that is read: its whole path, or the name of a model inside the program.
    pub fn whole_name(&self) -> String {
        match self {
            Self::Path(path) => absolute(path),
            Self::Embedded(model) => model.name.to_owned(),
        }
    }

    /// What run files call it: a whole path, or the name of a model inside the program.
    pub fn path(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Embedded(model) => Path::new(model.name),
        }
    }
}

/// For people.
impl fmt::Display for ModelFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Embedded(model) => f.write_str(model.name),
        }
    }
}

/// The names of the models inside the program.
pub fn names() -> [&'static str; EMBEDDED.len()] {
    EMBEDDED.each_ref().map(|model| model.name)
}

/// The folders in which models are looked for by name, in this order: `$MDRUN_DATA/models`,
/// `$XDG_DATA_HOME/mdrun/models` (`~/.local/share/mdrun/models` where that is not set), and `../share/mdrun/models`
/// from the folder of the program, where `make install` puts them.
pub fn folders() -> Vec<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let own = set("MDRUN_DATA").map(PathBuf::from);
    let data = set("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/share")));
    // Links lead to the folder that the program was installed into.
    let program = std::env::current_exe().and_then(std::fs::canonicalize).ok();
    let installed = program
        .as_deref()
        .and_then(|program| Some(program.parent()?.parent()?.join("share/mdrun")));
    let mut found: Vec<PathBuf> = [own, data.map(|data| data.join("mdrun")), installed]
        .into_iter()
        .flatten()
        .map(|folder| folder.join("models"))
        .collect();
    found.dedup();
    found
}

/// The name of a model, if the text is one and not a path.
fn name_of(text: &Path) -> Option<&str> {
    let name = text.to_str()?;
    let is_name = !name.contains('/') && text.file_name().is_some() && text.extension().is_none();
    is_name.then_some(name)
}

/// A file that can be read, not a folder or a device.
fn plain(path: PathBuf) -> Result<ModelFile> {
    let fault = |what: &str| Error::input(format!("{}: {what}", path.display()));
    let metadata = std::fs::metadata(&path).map_err(|e| fault(&unreadable(&e)))?;
    if !metadata.is_file() {
        return Err(fault("is not a file; name a .safetensors file"));
    }
    Ok(ModelFile::Path(path))
}

/// What to say where a file of that name is inside the program.
fn hint(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    match EMBEDDED.iter().find(|model| Some(model.name) == stem) {
        Some(model) => format!(
            "; {:?} without an ending names the one inside this program",
            model.name
        ),
        None => String::new(),
    }
}

/// The known name that is most like a misspelt one.
fn nearest(name: &str, folders: &[PathBuf]) -> String {
    let mut known: Vec<String> = names().map(str::to_owned).to_vec();
    for folder in folders {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries.map(|entry| PathBuf::from(entry.file_name()));
        known.extend(
            files
                .filter(|file| file.extension().is_some_and(|ending| ending == ENDING))
                .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())),
        );
    }
    let near = crate::error::nearest(name, known.iter().map(String::as_str));
    near.map_or_else(
        || ";".to_owned(),
        |near| format!("; did you mean {near:?}?"),
    )
}

/// Folders in words.
fn list(folders: &[PathBuf]) -> String {
    let shown: Vec<String> = (folders.iter())
        .map(|folder| folder.display().to_string())
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_neither_slash_nor_ending() {
        for (text, name) in [
            ("painn_hcno_gfn2", Some("painn_hcno_gfn2")),
            ("x", Some("x")),
            ("x.safetensors", None),
            ("./x", None),
            ("folder/x", None),
            ("x/", None),
            ("..", None),
            (".", None),
        ] {
            assert_eq!(name_of(Path::new(text)), name, "{text}");
        }
    }

    /// A model beside the run file comes before one inside the program, and one that is no file is an error.
    #[test]
    fn beside_the_run_file_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let name = Path::new(EMBEDDED[0].name);
        let find = || ModelFile::find(name, folder.path());
        let beside = folder.path().join(format!("{}.{ENDING}", name.display()));
        std::fs::create_dir(&beside).unwrap();
        let message = find().unwrap_err().to_string();
        assert!(message.contains("is not a file"), "{message}");
        std::fs::remove_dir(&beside).unwrap();
        std::fs::write(&beside, "").unwrap();
        assert_eq!(find().unwrap(), ModelFile::Path(beside));
    }
}
