//! A socket that is listened at, until a client comes.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::Socket;
use super::{Address, Connection};
use crate::{Error, Result};

/// Between two looks for a client.
const PAUSE: Duration = Duration::from_millis(20);
/// A client that was started with its server is there by then.
const SOON: Duration = Duration::from_secs(3);

/// A socket that is listened at. One of the file system is taken away with it.
#[derive(Debug)]
pub(super) enum Listener {
    Unix { socket: UnixListener, path: PathBuf },
    Tcp(TcpListener),
}

impl Listener {
    /// Listens at an address. A socket of the file system whose listener has gone gives way.
    ///
    /// # Errors
    /// Someone else listens there, or may, or it cannot be listened at.
    pub fn open(address: &Address) -> Result<Self> {
        let fault = |e: io::Error| {
            let taken = e.kind() == ErrorKind::AddrInUse;
            let error = Error::input(format!("it cannot be listened at {address}: {e}"));
            match taken {
                true => error.advise("another program has it; choose another one"),
                false => error,
            }
        };
        let listener = match address {
            Address::Shared(path) => {
                return Err(Error::input(format!(
                    "no memory is shared with clients at {}: write unix: in place of shm:",
                    path.display()
                )));
            }
            Address::Unix(path) => {
                remove_left_over(path).map_err(fault)?;
                let socket = UnixListener::bind(path).map_err(fault)?;
                let path = path.clone();
                let listener = Self::Unix { socket, path };
                listener.set_nonblocking().map_err(fault)?;
                listener
            }
            Address::Tcp { host, port } => {
                let socket = TcpListener::bind((host.as_str(), *port)).map_err(fault)?;
                let listener = Self::Tcp(socket);
                listener.set_nonblocking().map_err(fault)?;
                listener
            }
        };
        Ok(listener)
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Unix { socket, .. } => socket.set_nonblocking(true),
            Self::Tcp(socket) => socket.set_nonblocking(true),
        }
    }

    /// Waits for a client; calls `tell` once if none comes at once.
    ///
    /// # Errors
    /// `stop` was set, or the socket failed.
    pub fn accept(&self, stop: &Arc<AtomicBool>, tell: &mut dyn FnMut()) -> io::Result<Connection> {
        let mut told = (Instant::now() + SOON, false);
        loop {
            let came = match self {
                Self::Unix { socket, .. } => socket.accept().map(|(peer, _)| Socket::Unix(peer)),
                Self::Tcp(socket) => socket.accept().map(|(peer, _)| Socket::Tcp(peer)),
            };
            match came {
                Ok(socket) => return Connection::of(socket, Arc::clone(stop)),
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::WouldBlock
                            | ErrorKind::Interrupted
                            | ErrorKind::ConnectionAborted
                    ) => {}
                Err(e) => return Err(e),
            }
            if stop.load(Ordering::Acquire) {
                return Err(io::Error::other("asked to end"));
            }
            if !told.1 && Instant::now() >= told.0 {
                told.1 = true;
                tell();
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix { path, .. } = self {
            // Where it fails, the next one finds that nobody listens.
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes a socket at which nobody listens any more.
fn remove_left_over(path: &Path) -> io::Result<()> {
    let Ok(there) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !there.file_type().is_socket() {
        return Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "something other than a socket is there",
        ));
    }
    match UnixStream::connect(path) {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(ErrorKind::AddrInUse.into()),
    }
}
