//! A terminal for a program to write to.

use std::fs::File;
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Runs a command whose output goes to a terminal of so many columns; how it ended, and what was written.
pub fn run(mut command: Command, columns: u16) -> (ExitStatus, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&theirs, size).unwrap();
    let theirs = File::from(theirs);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(theirs.try_clone().unwrap())
        .stderr(theirs)
        .spawn()
        .unwrap();
    // The command holds the terminal's other end; without it, reading ends with the child.
    drop(command);
    let mut written = Vec::new();
    let mut buffer = [0; 4096];
    let mut ours = File::from(ours);
    // The end of a terminal whose other side is closed is an error.
    while let Ok(count @ 1..) = ours.read(&mut buffer) {
        written.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8_lossy(&written).replace("\r\n", "\n");
    (child.wait().unwrap(), text)
}
