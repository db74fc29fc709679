//! The learned potential: the files it is read from, and its energies, forces and strain derivative
//! against reference data, finite differences, automatic differentiation and symmetry.

mod bad_models;
mod derivatives;
mod engines;
mod import;
pub mod model_file;
mod model_metadata;
mod own;
mod reference;
mod refusals;
mod strict_models;
mod symmetry;
