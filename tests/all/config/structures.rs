//! Structures in all formats, read back.
