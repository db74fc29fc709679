//! Files that users name: opened only where they are plain files, and read no farther than is sensible.
//!
//! A device, a pipe or a socket never ends, or waits for someone; what a program is given may be any of them, by
//! way of a link too.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Deserializer, Serializer};

/// What a path that is no UTF-8 begins with as text.
const ADDRESS: &str = "file://";

/// Opens a plain file, or a link to one, for reading; with its length (bytes).
///
/// # Errors
/// It is not there, is not a plain file, or may not be read.
pub fn open(path: &Path) -> io::Result<(File, u64)> {
    // Before it is opened: some devices act when they are.
    plain(&fs::metadata(path)?)?;
    // Nor is a pipe waited for that has taken its place meanwhile.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    plain(&found)?;
    Ok((file, found.len()))
}

/// Reads a plain file of `most` bytes at most.
///
/// # Errors
/// As for [`open`]; or it is longer.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, length) = open(path)?;
    let mut bytes = Vec::new();
    if length <= most {
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    if length > most || bytes.len() as u64 > most {
        return Err(io::Error::new(
            ErrorKind::FileTooLarge,
            format!("it has more than {most} bytes, which is more than any such file needs"),
        ));
    }
    Ok(bytes)
}

/// The path as text that reads back as the same path ([`path_of`]): itself where it is UTF-8, else a `file://`
/// address, whose `%` codes are its bytes (RFC 8089).
pub fn path_text(path: &Path) -> String {
    if let Some(text) = path.to_str() {
        return text.to_owned();
    }
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut text = ADDRESS.to_owned();
    for &byte in whole.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'_' | b'-' | b'~' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text
}

/// The path that a text names: as it is, or as a `file://` address, in which names that are no UTF-8 can be
/// written too.
pub fn path_of(text: &str) -> PathBuf {
    let plain = || PathBuf::from(text);
    let Some(coded) = text.strip_prefix(ADDRESS).filter(|p| p.starts_with('/')) else {
        return plain();
    };
    let mut bytes = Vec::new();
    let mut rest = coded.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = rest.split_at_checked(2);
        let value = digits.and_then(|(two, after)| {
            rest = after;
            u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()
        });
        match value {
            Some(byte) => bytes.push(byte),
            None => return plain(),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Serializes a path as [`path_text`].
///
/// # Errors
/// Those of the serializer.
pub fn serialize_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path_text(path))
}

/// Deserializes a path from [`path_text`].
///
/// # Errors
/// It is no text.
pub fn deserialize_path<'d, D: Deserializer<'d>>(deserializer: D) -> Result<PathBuf, D::Error> {
    String::deserialize(deserializer).map(|text| path_of(&text))
}

/// Deserializes a path that may be left out from [`path_text`].
///
/// # Errors
/// It is no text.
pub fn deserialize_some_path<'d, D: Deserializer<'d>>(
    deserializer: D,
) -> Result<Option<PathBuf>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| path_of(&text)))
}

fn plain(found: &Metadata) -> io::Result<()> {
    if found.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a directory"));
    }
    match found.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a plain file",
        )),
    }
}

/// Why a file cannot be read, for people.
pub(crate) fn unreadable(fault: &io::Error) -> String {
    match fault.kind() {
        io::ErrorKind::NotFound => {
            "no such file; paths in a run file are relative to it, those on the command line to the current folder".to_owned()
        }
        io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => format!("cannot be read: {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_back_whatever_their_bytes() {
        let wild = OsString::from_vec((1..=255).filter(|b| *b != b'/').collect());
        let wild = Path::new("/tmp").join(wild).join("a file");
        let text = path_text(&wild);
        assert!(text.starts_with("file:///tmp/%01"), "{text}");
        assert_eq!(path_of(&text), wild);
        for plain in [
            "/tmp/J\u{f6}rg/50%.xyz",
            "a b",
            "file:",
            "file://%4",
            "file:///%zz",
        ] {
            assert_eq!(path_of(plain), Path::new(plain));
            assert_eq!(path_text(Path::new(plain)), plain);
        }
        let relative = OsString::from_vec(b"J\xf6rg".to_vec());
        let back = path_of(&path_text(Path::new(&relative)));
        assert_eq!(back, std::path::absolute(Path::new(&relative)).unwrap());
    }

    #[test]
    fn only_plain_files_are_read_and_only_so_far() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "12345").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 5).unwrap(), b"12345");
        assert_eq!(read(&file, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
        let kind = |path: &str| read(Path::new(path), 5).unwrap_err().kind();
        assert_eq!(kind("/dev/zero"), ErrorKind::InvalidInput);
        assert_eq!(kind("/"), ErrorKind::IsADirectory);
        assert_eq!(kind("/nowhere"), ErrorKind::NotFound);
    }
}
