//! Energies and forces against the reference data.
