//! The compiled half of the Python package `mdrun`: force fields and runs of the library, and its command line.
//!
//! Arrays cross as bytes, which numpy views without copying them, or by DLPack. Whatever takes time is done without holding the interpreter.
//! What users see, with its documentation, is written in Python around it (`mdrun/*.py`).

mod array;
mod atoms;
mod course;
mod desk;
mod dlpack;
mod fault;
mod field;
mod potential;
mod state;

use pyo3::prelude::*;

/// See the documentation of `mdrun`; this is the compiled half of it.
#[pymodule]
mod _mdrun {
    use std::ffi::OsString;
    use std::process::ExitCode;

    use pyo3::prelude::*;

    #[pymodule_export]
    use super::array::{Array, fetch};
    #[pymodule_export]
    use super::course::Course;
    #[pymodule_export]
    use super::potential::Potential;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }

    /// Runs a command line, the name of the program first, and returns its exit code.
    #[pyfunction]
    fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        let code = py.detach(|| mdrun::cli::program(arguments));
        // There is no other way to ask which it is.
        let is = |number: &u8| ExitCode::from(*number) == code;
        (0..=u8::MAX).find(is).unwrap_or(1)
    }
}
