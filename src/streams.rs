//! Standard output and standard error: what is lost on the one is an error, what is lost on the other is not.
//!
//! A reader that has gone away (`mdrun energy ... | head`) has had what it wanted. Anything else that keeps
//! a result from standard output (a full disk) is told, and the exit code says so. An error that cannot be written to
//! standard error still has its exit code.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use serde_json::Value;

use crate::{Error, Result};

/// Prints text on standard output, all of it.
///
/// # Errors
/// Some of it is lost, though someone is there to read it.
pub fn print(text: &str) -> Result<()> {
    let fault = |e| Error::run(format!("standard output cannot be written: {e}"));
    write(&mut io::stdout().lock(), text.as_bytes()).map_err(fault)
}

/// Prints bytes on standard output, and says whether anyone is still there to read more.
///
/// # Errors
/// As for [`print()`].
pub fn offer(bytes: &[u8]) -> Result<bool> {
    let written = write_all(&mut io::stdout().lock(), bytes);
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::run(format!(
            "standard output cannot be written: {e}"
        ))),
    }
}

/// Prints a value on standard output as one line of JSON.
///
/// # Errors
/// As for [`print()`].
pub fn print_json(value: &Value) -> Result<()> {
    print(&format!("{}\n", json(value)))
}

/// Prints a line on standard error, if anyone can read it.
pub fn tell(text: &str) {
    let line = format!("{text}\n");
    // There is nowhere left to say that it is lost.
    let _ = write(&mut io::stderr().lock(), line.as_bytes());
}

/// Writes all of it and waits until it has left the process.
///
/// # Errors
/// Some of it could not be written; not where the reader has gone away.
pub fn write(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write_all(stream, bytes).or_else(gone)
}

/// Does as [`write()`]; that the reader has gone away is an error.
fn write_all(stream: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    /// Between two tries where the stream is one that does not wait by itself.
    const PAUSE: Duration = Duration::from_millis(1);
    loop {
        let written = match bytes.is_empty() {
            true => stream.flush(),
            false => stream.write(bytes).and_then(|count| match count {
                0 => Err(ErrorKind::WriteZero.into()),
                _ => {
                    bytes = &bytes[count..];
                    Ok(())
                }
            }),
        };
        match written {
            Ok(()) if bytes.is_empty() => return stream.flush(),
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(e) => return Err(e),
        }
    }
}

/// Takes a reader that has gone away for no error.
fn gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    }
}

/// JSON without any control character, those beyond ASCII included, which some terminals obey.
pub fn json(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(char::is_control) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Those of ASCII but one are escaped already; the others stand in strings alone.
        match c.is_control() {
            true => out += &format!("\\u{:04x}", u32::from(c)),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time, and fails now and then as the system may.
    struct Slow {
        taken: Vec<u8>,
        calls: usize,
        last: ErrorKind,
        room: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 3 {
                0 => Err(ErrorKind::Interrupted.into()),
                1 => Err(ErrorKind::WouldBlock.into()),
                _ if self.taken.len() >= self.room => Err(self.last.into()),
                _ => {
                    let count = bytes.len().min(2);
                    self.taken.extend_from_slice(&bytes[..count]);
                    Ok(count)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_is_written_or_the_loss_is_told_unless_nobody_reads() {
        for (room, last, lost) in [
            (100, ErrorKind::Other, false),
            (4, ErrorKind::StorageFull, true),
            (4, ErrorKind::BrokenPipe, false),
        ] {
            let mut stream = Slow {
                taken: Vec::new(),
                calls: 0,
                last,
                room,
            };
            let written = write(&mut stream, b"some text");
            assert_eq!(written.is_err(), lost, "{last:?}");
            assert_eq!(stream.taken.len(), room.min(9));
        }
    }

    #[test]
    fn json_has_no_control_characters_and_reads_back() {
        let value = Value::from("\u{1b}[2J \u{9b}2J \u{7f} \n plain");
        let text = json(&value);
        assert!(!text.contains(char::is_control), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
