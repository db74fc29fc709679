//! i-PI's protocol: byte by byte, over sockets, and with the programs that others have written for it.

mod costs;
mod garbage;
mod protocol;
mod python;
mod server;
mod shared;
mod sockets;
mod wire;
