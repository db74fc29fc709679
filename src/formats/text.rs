//! The text of a structure file, whichever way it is encoded; bytes that are none are refused.

use std::io::ErrorKind;
use std::path::Path;

use crate::input::unreadable;
use crate::{Error, Result, memory};

/// The text of a file that exists, is a plain file, is not empty, and is text.
///
/// A byte order mark is skipped, and line ends of old Macs become those of today. There is memory for so many `times` the
/// file: the text, and what is read from it.
pub(super) fn read(path: &Path, times: u64) -> Result<String> {
    let bytes = memory::read(path, times).map_err(|e| match e.kind() {
        ErrorKind::IsADirectory => Error::input("is a directory; name a structure file in it"),
        ErrorKind::InvalidInput => Error::input("is not a plain file"),
        _ => Error::input(unreadable(&e)),
    })?;
    decode(&bytes)
}

/// Turns bytes into text.
fn decode(bytes: &[u8]) -> Result<String> {
    if is_utf16(bytes) {
        return Err(Error::input(
            "is text in UTF-16, as some editors of Windows save it; save it as UTF-8",
        ));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::input("the file is empty; a structure is wanted"));
    }
    let binary = |at: usize| {
        Error::input(format!(
            "not text: byte {at} is {:#04x}; the file is binary or damaged",
            bytes[at]
        ))
    };
    let control = |b: &u8| b.is_ascii_control() && !b.is_ascii_whitespace();
    if let Some(at) = bytes.iter().position(control) {
        return Err(binary(at));
    }
    let text = match std::str::from_utf8(bytes) {
        // Latin-1 is met in old files' comments; numbers and symbols are ASCII in every format.
        Err(fault) if !mostly_ascii(bytes) => return Err(binary(fault.valid_up_to())),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    Ok(match text.contains('\n') {
        true => text,
        false => text.replace('\r', "\n"),
    })
}

/// Whether text is in units of two bytes: it begins with their byte order mark, or every other byte of its
/// beginning is zero.
fn is_utf16(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 64;
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    let zeros = |parity: usize| {
        let mut halves = head.iter().skip(parity).step_by(2).peekable();
        halves.peek().is_some() && halves.all(|b| *b == 0)
    };
    head.starts_with(b"\xff\xfe")
        || head.starts_with(b"\xfe\xff")
        || head.len() > 3 && zeros(0) != zeros(1)
}

/// Whether few bytes are not ASCII, as in text with some accents.
fn mostly_ascii(bytes: &[u8]) -> bool {
    let foreign = bytes.iter().filter(|b| !b.is_ascii()).count();
    foreign * 50 < bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_line_ends_are_no_matter() {
        let of = |bytes: &[u8]| decode(bytes).map_err(|e| e.to_string());
        assert_eq!(of(b"\xef\xbb\xbf1\n\n").as_deref(), Ok("1\n\n"));
        assert_eq!(of(b"1\rx\r").as_deref(), Ok("1\nx\n"));
        assert_eq!(of(b"1\r\nx\r\n").as_deref(), Ok("1\r\nx\r\n"));
        let accented = "a line with é in it, which is not much of a line, as accents go";
        assert_eq!(of(accented.as_bytes()).as_deref(), Ok(accented));
        for bytes in [
            &b"\xff\xfe1\0\n\0"[..],
            b"\xfe\xff\0\x31\0\n",
            b"1\0\n\0C\0",
        ] {
            assert!(of(bytes).is_err_and(|e| e.contains("UTF-16")), "{bytes:?}");
        }
        assert!(of(b"\xef\xbb\xbf \n").is_err_and(|e| e.contains("empty")));
        assert!(of(b"3\n\x01").is_err_and(|e| e.contains("byte 2 is 0x01")));
    }
}
