//! The engine on the CPU's memory: phase space in f64, any [`crate::potential::Potential`].

/// Owns phase space, forces and pairs in host memory.
pub struct HostEngine;
