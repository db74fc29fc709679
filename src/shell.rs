//! Paths as they are typed in a shell.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A path as it is typed in a shell: as it is where that will do, else in quotes. A command before it takes it
/// for a path, whatever it begins with.
pub fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let dot = match bytes.first() {
        Some(b'-') => "./",
        _ => "",
    };
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+:@,".contains(b);
    match path.to_str() {
        Some(text) if !bytes.is_empty() && bytes.iter().all(plain) => format!("{dot}{text}"),
        Some(text) if !text.contains(char::is_control) => {
            format!("'{dot}{}'", text.replace('\'', "'\\''"))
        }
        // What no terminal shows, or is no text, by its number.
        _ => {
            let byte = |b: &u8| match b {
                b'\'' | b'\\' => format!("\\{}", char::from(*b)),
                b' '..=b'~' => char::from(*b).to_string(),
                _ => format!("\\{b:03o}"),
            };
            let text: String = bytes.iter().map(byte).collect();
            format!("$'{dot}{text}'")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    /// A shell takes what is quoted for the very path. Not every one knows `$'...'`: bash is asked.
    #[test]
    fn a_shell_reads_what_was_quoted() {
        for path in [
            &b"trajectories/run_1"[..],
            b"my run",
            b"it's",
            b"~",
            b"$HOME/`ls`/a*b?[c]{d,e}!f;g&h|i>j<k(l)m#n\"o\\p",
            "W\u{e4}sser \u{6c34}".as_bytes(),
            b"a\nb\tc\x1b[31m",
            b"Latin-1 \xe4 'quoted' \\",
            b"=x",
            b"",
        ] {
            let text = quoted(Path::new(OsStr::from_bytes(path)));
            assert!(!text.contains(char::is_control), "{text:?}");
            let command = format!("printf %s {text}");
            let output = std::process::Command::new("bash")
                .args(["-c", &command])
                .output();
            let Ok(output) = output else {
                eprintln!("skipped: there is no bash");
                return;
            };
            assert_eq!(output.stdout, path, "{text}");
        }
        assert_eq!(quoted(Path::new("-run")), "./-run");
        assert_eq!(quoted(Path::new("- run")), "'./- run'");
    }
}
