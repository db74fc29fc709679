//! Pairs against brute force.
