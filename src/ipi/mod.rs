//! The protocol of i-PI (Kapil et al., Comput. Phys. Commun. 236, 214 (2019)), by which one program moves atoms and another one
//! computes their forces, over a socket.
//!
//! `message` is what is said, as bytes; `address` and `connection` are sockets; `client` answers a server with a force field.
//! The server's side speaks first, always: it is the one that moves the atoms, and it is the one that listens.

mod address;
mod client;
mod connection;
mod message;

pub use address::Address;
pub use client::{CheckRoom, Farewell, Served, Session};
pub use connection::Connection;
pub use message::{Inbox, Message, Outbox};
