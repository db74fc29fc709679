//! Sockets: a connection that waits without end for the peer, and heeds a flag while it does.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Address;
use crate::{Error, Result};

/// Between two looks at the flag.
const LOOK: Duration = Duration::from_millis(100);
/// Between two tries to reach a server.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for one machine to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A connection with a peer. Reading and writing wait for the peer, and fail once the flag is set.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    stop: Arc<AtomicBool>,
}

/// A socket of either kind.
#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Connection {
    /// Connects with the server at an address; where there is none yet, tries again for as long as `patience`.
    ///
    /// # Errors
    /// There is no server, or `stop` was set.
    pub fn open(address: &Address, patience: Duration, stop: &Arc<AtomicBool>) -> Result<Self> {
        let began = Instant::now();
        loop {
            let fault = match Socket::connect(address) {
                Ok(socket) => {
                    return Self::of(socket, Arc::clone(stop))
                        .map_err(|e| unreachable(address, &e));
                }
                Err(fault) => fault,
            };
            // A name that means no machine, or a folder that may not be entered, will not change.
            let may_come = matches!(
                fault.kind(),
                ErrorKind::NotFound
                    | ErrorKind::ConnectionRefused
                    | ErrorKind::TimedOut
                    | ErrorKind::WouldBlock
            );
            if !may_come || began.elapsed() >= patience || stop.load(Ordering::Acquire) {
                return Err(unreachable(address, &fault));
            }
            thread::sleep(PAUSE);
        }
    }

    /// A connection over a socket.
    ///
    /// # Errors
    /// The socket cannot be told how to wait.
    pub(super) fn of(socket: Socket, stop: Arc<AtomicBool>) -> io::Result<Self> {
        match &socket {
            Socket::Unix(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(LOOK))?;
                stream.set_write_timeout(Some(LOOK))?;
            }
            Socket::Tcp(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(LOOK))?;
                stream.set_write_timeout(Some(LOOK))?;
            }
        }
        Ok(Self { socket, stop })
    }

    /// Tries again what the peer is not ready for, until the flag is set.
    fn wait(&self, mut act: impl FnMut(&Socket) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match act(&self.socket) {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.stop.load(Ordering::Acquire) {
                        return Err(io::Error::other("asked to end"));
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

impl Read for &Connection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.wait(|socket| match socket {
            Socket::Unix(stream) => (&*stream).read(into),
            Socket::Tcp(stream) => (&*stream).read(into),
        })
    }
}

impl Read for Connection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&*self).read(into)
    }
}

impl Write for &Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(|socket| match socket {
            Socket::Unix(stream) => (&*stream).write(bytes),
            Socket::Tcp(stream) => (&*stream).write(bytes),
        })
    }

    /// Sockets keep nothing back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket {
    fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) | Address::Shared(path) => {
                UnixStream::connect(path).map(Self::Unix)
            }
            Address::Tcp { host, port } => {
                let mut last = io::Error::other("the name means no machine");
                for place in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&place, ANSWER) {
                        Ok(stream) => return Ok(Self::Tcp(stream)),
                        Err(fault) => last = fault,
                    }
                }
                Err(last)
            }
        }
    }
}

fn unreachable(address: &Address, fault: &io::Error) -> Error {
    Error::run(format!("no server can be reached at {address}: {fault}"))
}
