//! Lennard-Jones, the closed-form subject of physics tests.
