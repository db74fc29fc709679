//! The run file: read, checked, and resolved into a [`plan::Plan`] in internal units.

pub mod plan;
