//! Compiled kernels on disk, in the user's cache folder: the one place of the engines that touches files.
//!
//! Keys name the compiler's version, the card's architecture and a hash of the source, so an entry is never
//! out of date. All of it is best effort: without a folder, room or permission, kernels are compiled anew.

use std::fs;
use std::path::PathBuf;

/// The first bytes of an entry, before its length: tells a whole entry from one cut short.
const MARK: &[u8; 8] = b"mdrun-k1";

/// `$XDG_CACHE_HOME/mdrun/kernels`, by default `~/.cache/mdrun/kernels`.
fn folder() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("mdrun/kernels"))
}

/// The entry of a key, if there is a whole one.
pub(super) fn load(key: &str) -> Option<Vec<u8>> {
    let entry = fs::read(folder()?.join(key)).ok()?;
    let rest = entry.strip_prefix(MARK)?;
    let (length, code) = rest.split_first_chunk::<8>()?;
    (code.len() as u64 == u64::from_le_bytes(*length)).then(|| code.to_vec())
}

/// Keeps an entry: written beside its place and moved there, so that no reader sees half of it.
pub(super) fn store(key: &str, code: &[u8]) {
    let kept = || -> Option<()> {
        let folder = folder()?;
        fs::create_dir_all(&folder).ok()?;
        let draft = folder.join(format!("{key}.{}", std::process::id()));
        let mut entry = MARK.to_vec();
        entry.extend((code.len() as u64).to_le_bytes());
        entry.extend(code);
        fs::write(&draft, entry).ok()?;
        fs::rename(&draft, folder.join(key)).ok()
    };
    // A cache that cannot be written costs a second at the next start, nothing else.
    let _ = kept();
}
