//! Read back by others.
