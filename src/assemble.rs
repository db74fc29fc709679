//! Plan to simulation: the only file that names concrete engines, potentials and reporters together.
