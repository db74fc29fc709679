//! Where a server listens: a socket of the file system, or a port of a machine.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{Error, Result};

/// Where the sockets of i-PI and of everybody who speaks with it are, with the name at the end.
const PREFIX: &str = "/tmp/ipi_";
/// Longest path of a socket (bytes): `sockaddr_un` of Linux has 108, with a zero at the end.
const LONGEST: usize = 107;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket of the file system.
    Unix(PathBuf),
    /// The same, of a server that has its numbers in memory that it shares (i-PI's `mode='shm'`).
    Shared(PathBuf),
    /// A port of a machine.
    Tcp {
        /// Its name or number; without the brackets of IPv6.
        host: String,
        /// From 1.
        port: u16,
    },
}

impl FromStr for Address {
    type Err = Error;

    /// Takes `unix:NAME` and `shm:NAME` (the socket /tmp/ipi_NAME; a NAME with a slash is a path) and `tcp:HOST:PORT`.
    fn from_str(text: &str) -> Result<Self> {
        let wanted = || {
            Error::input(format!(
                "{text:?} is no address of a socket; write unix:NAME, or tcp:HOST:PORT such as tcp:localhost:31415"
            ))
        };
        match text.split_once(':').ok_or_else(wanted)? {
            ("unix", name) => unix("unix", name).map(Address::Unix),
            ("shm", name) => unix("shm", name).map(Address::Shared),
            ("tcp" | "inet", place) => tcp(place).ok_or_else(wanted),
            _ => Err(wanted()),
        }
    }
}

fn unix(kind: &str, name: &str) -> Result<PathBuf> {
    let path = match name {
        "" => {
            return Err(Error::input(format!(
                "{kind}: has no name; write {kind}:NAME, as in the server's input"
            )));
        }
        path if path.contains('/') => path.to_owned(),
        name => format!("{PREFIX}{name}"),
    };
    if path.contains('\0') || path.len() > LONGEST {
        return Err(Error::input(format!(
            "{path:?} cannot be a socket: its path has more than {LONGEST} bytes; give it a shorter one"
        )));
    }
    Ok(PathBuf::from(path))
}

fn tcp(place: &str) -> Option<Address> {
    let (host, port) = place.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port > 0)?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    (!host.is_empty()).then(|| Address::Tcp {
        host: host.to_owned(),
        port,
    })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) | Self::Shared(path) => write!(f, "{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_everybody_has_them() {
        let tcp = |host: &str, port| Address::Tcp {
            host: host.to_owned(),
            port,
        };
        for (text, address, shown) in [
            (
                "unix:water",
                Address::Unix("/tmp/ipi_water".into()),
                "/tmp/ipi_water",
            ),
            ("unix:./here", Address::Unix("./here".into()), "./here"),
            (
                "shm:water",
                Address::Shared("/tmp/ipi_water".into()),
                "/tmp/ipi_water",
            ),
            (
                "unix:a:b",
                Address::Unix("/tmp/ipi_a:b".into()),
                "/tmp/ipi_a:b",
            ),
            (
                "tcp:localhost:31415",
                tcp("localhost", 31415),
                "localhost:31415",
            ),
            (
                "inet:localhost:31415",
                tcp("localhost", 31415),
                "localhost:31415",
            ),
            ("tcp:[::1]:5", tcp("::1", 5), "[::1]:5"),
            (
                "tcp:10.0.0.1:65535",
                tcp("10.0.0.1", 65535),
                "10.0.0.1:65535",
            ),
        ] {
            assert_eq!(text.parse::<Address>().unwrap(), address);
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn others_are_refused_with_what_to_write() {
        for text in [
            "",
            "water",
            "unix",
            "tcp:localhost",
            "tcp:localhost:0",
            "tcp::31415",
            "tcp:localhost:65536",
            "tcp:localhost:-1",
            "http://localhost:80",
            "tcp:localhost:1 ",
        ] {
            let fault = text.parse::<Address>().unwrap_err().to_string();
            assert!(
                fault.contains("write unix:NAME, or tcp:HOST:PORT"),
                "{text}: {fault}"
            );
        }
        let fault = |text: &str| text.parse::<Address>().unwrap_err().to_string();
        assert!(fault("unix:").contains("unix: has no name"));
        assert!(fault("shm:").contains("write shm:NAME"));
        assert!(fault(&format!("unix:{}", "a".repeat(99))).contains("more than 107 bytes"));
        assert!(
            format!("unix:{}", "a".repeat(98))
                .parse::<Address>()
                .is_ok()
        );
    }
}
