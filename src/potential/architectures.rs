//! The list of networks whose files are told by their tensors.
//!
//! PaiNN, with its reference in Burn's tensors and its repulsion, stands beside this list (`crate::assemble`).

use safetensors::SafeTensors;

use super::network::Architecture;
use super::{schnet, student};

/// Those that are known, but for PaiNN.
const ARCHITECTURES: [Architecture; 2] = [student::ARCHITECTURE, schnet::ARCHITECTURE];

/// The architecture of a safetensors file, if it is one of the list.
pub fn architecture(bytes: &[u8]) -> Option<Architecture> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let tensors = header.tensors();
    let names: Vec<&str> = tensors.keys().map(String::as_str).collect();
    ARCHITECTURES.into_iter().find(|a| (a.recognises)(&names))
}
