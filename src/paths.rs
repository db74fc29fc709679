//! Paths as run files mean them.

use std::path::{Component, Path, PathBuf};

use crate::input::path_text;

/// A path relative to `base`, with `dir/..` taken out where `dir` is not a symbolic link, so that
/// messages are short.
pub fn join(base: &Path, path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in base.join(path).components() {
        let before = out.components().next_back();
        match (part, before) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) if !out.is_symlink() => {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    if out.as_os_str().is_empty() {
        out.push(".");
    }
    out
}

/// The path as text that means the same from anywhere.
pub fn absolute(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path_text(&whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_taken_out() {
        let joined =
            |base: &str, path: &str| join(Path::new(base), Path::new(path)).display().to_string();
        assert_eq!(joined("configs", "../trajectories/a"), "trajectories/a");
        assert_eq!(joined("", "../a"), "../a");
        assert_eq!(joined("..", "../a"), "../../a");
        assert_eq!(joined("a/b", "/c/./d"), "/c/d");
        assert_eq!(joined("a", ".."), ".");
        assert_eq!(joined("/", "../a"), "/../a");
    }
}
