//! The network in Burn's tensors: slow, short, and written as the papers have it, so that the fused engines can be
//! judged by it, in f32 and in f64, on the CPU and on CUDA.

mod adjoint;
mod autodiff;
#[cfg(feature = "cuda")]
mod cuda;
mod evaluate;
mod layout;
mod model;
mod passes;

pub use autodiff::by_autodiff;
pub use evaluate::{BurnDevice, bytes_needed, cuda_device, potential};
