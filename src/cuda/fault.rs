//! Failures of the driver as errors.

use cudarc::driver::DriverError;

use crate::Error;

/// Turns a failure of the driver into an error that says what was tried.
pub(crate) fn failed(what: &'static str) -> impl Fn(DriverError) -> Error {
    move |error| Error::run(format!("CUDA: {what} failed: {error:?}"))
}
