//! Burn on CUDA: whether there is a device to run on, and matrix products in full f32.

use burn::tensor::{DType, Tensor, TensorPrimitive};
use burn_cuda::Cuda;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::launch_naive;
use cubek::std::InputBinding;

use super::model::Platform;
use crate::cuda;
use crate::{Error, Result};

/// The name of CUDA device `index`, if Burn can run on it. Loads libraries, but does not open the
/// device.
///
/// # Errors
/// What is missing: the driver, a device of this index, the run-time compiler, or the headers that it needs. Burn would panic
/// in their place.
pub fn device_name(index: usize) -> Result<String> {
    let refused = |error: Error| error.within("Burn cannot run on CUDA here");
    let name = cuda::name(index).map_err(refused)?;
    cuda::check_headers().map_err(refused)?;
    Ok(name)
}

impl Platform for Cuda {
    // One stream of work: threads would each open their own.
    const THREADS: bool = false;

    /// Burn's own product rounds the factors of an f32 product to TF32, which has 10 bits, to use the
    /// tensor cores, and cannot be told otherwise; so the kernel is chosen here.
    fn product<const D: usize>(a: Tensor<Self, D>, b: Tensor<Self, D>) -> Tensor<Self, D> {
        let mut shape: [usize; D] = a.dims();
        let (left, right) = (a.dims(), b.dims());
        for k in 0..D - 2 {
            shape[k] = left[k].max(right[k]);
        }
        shape[D - 1] = right[D - 1];
        let out: Tensor<Self, D> = Tensor::empty(shape, (&a.device(), DType::F32));
        let [a, b, out] = [a, b, out].map(|t| t.into_primitive().tensor());
        let number = DType::F32.into();
        let numbers = MatmulElems::from_globals(&MatmulGlobalElems {
            lhs: number,
            rhs: number,
            out: number,
        });
        // One kernel by name: to choose among all of cubek's would compile them all into this crate, which
        // takes longer than everything else in it. One thread an element, in plain f32.
        let [lhs, rhs] = [&a, &b].map(|t| InputBinding::new(t.clone().binding(), number));
        let launched =
            launch_naive::launch_ref(&out.client, lhs, rhs, out.clone().binding(), &numbers);
        let refusal = match launched {
            Ok(()) => return Tensor::from_primitive(TensorPrimitive::Float(out)),
            Err(error) => error,
        };
        // Caught where the potential is evaluated, as are Burn's own panics.
        panic!("no kernel takes a product of {left:?} and {right:?}: {refusal:?}")
    }
}

/// Runs something on the device; Burn panics where a device fails.
///
/// # Errors
/// It panicked.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    outcome.unwrap_or_else(|panic| {
        let text = (panic.downcast_ref::<String>().map(String::as_str))
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Error::run(format!(
            "the CUDA device failed: {}",
            text.unwrap_or("no reason is known")
        )))
    })
}
