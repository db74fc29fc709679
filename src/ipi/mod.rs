//! The protocol of i-PI (Kapil et al., Comput. Phys. Commun. 236, 214 (2019)), by which one program moves atoms and another one
//! computes their forces, over a socket.
//!
//! `message` is what is said, as bytes; `address`, `connection` and `listener` are sockets; `client` answers a server with a
//! force field, through memory that both have (`shared`) where a server has some; `server` is a force field that asks a
//! client. The server speaks first, always: it moves the atoms, and it listens.

mod address;
mod client;
mod connection;
mod listener;
mod message;
mod server;
mod shared;

pub use address::Address;
pub use client::{CheckRoom, Farewell, Served, Session};
pub use connection::Connection;
pub use message::{Inbox, Message, Outbox};
pub use server::Remote;
