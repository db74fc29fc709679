//! Python pickles, protocols 2 to 5, read as plain values.
//!
//! A pickle is a program for a small stack machine that may call any function of Python. Here it is
//! [interpreted](machine) and nothing is ever called: a call becomes an [`PickledObject`] with the path of what would be called
//! and its arguments. Who walks the [`Tree`] knows some paths and refuses the others by name. (Format: the standard
//! library's `pickletools`.)
//!
//! # Limits
//! Every value takes at least a byte of the file, and texts and lists are no longer than what the file has for them, so
//! that a forged size allocates nothing. [`MOST_VALUES`] bounds the whole.

mod machine;
mod tree;

pub use machine::{MOST_VALUES, ReadPickle, read};
pub use tree::{PickleValue, PickledObject, Tree, ValueId};
