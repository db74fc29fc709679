//! The periodic table: symbols and standard masses.
