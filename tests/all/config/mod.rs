//! Run files, good and bad.
