//! Numbers that stay on a card for others to use there, and numbers on a card that are others'.

use std::sync::Arc;

use cudarc::driver::{CudaContext, result};

use super::device::check;
use super::fault::failed;
use super::memory::Memory;
use crate::Result;

/// Numbers (f64) on a card, row after row. They are all there, and nothing writes to them any more.
#[derive(Clone)]
pub struct CardArray {
    memory: Arc<Memory>,
    /// Bytes of the memory before the first number.
    before: usize,
    shape: Vec<usize>,
    index: usize,
}

impl CardArray {
    /// The numbers of such a shape in memory of CUDA device `index`, so many bytes from its start.
    pub(crate) fn new(memory: Arc<Memory>, before: usize, shape: &[usize], index: usize) -> Self {
        let array = Self {
            memory,
            before,
            shape: shape.to_vec(),
            index,
        };
        assert!(
            before + array.bytes() <= array.memory.bytes(),
            "arrays stay inside"
        );
        array
    }

    /// Where they begin on the card.
    pub fn address(&self) -> u64 {
        self.memory.address() + self.before as u64
    }

    /// How many there are along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The CUDA device.
    pub fn index(&self) -> usize {
        self.index
    }

    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f64>()
    }
}

/// Copies bytes on CUDA device `index` that are not this program's, once all is done that the legacy default stream waits for.
///
/// # Errors
/// There is no such device, or it failed.
///
/// # Safety
/// So many bytes lie at the address, and stay there.
pub unsafe fn copy_of_others(index: usize, address: u64, bytes: usize) -> Result<Vec<u8>> {
    let mut copy = vec![0; bytes];
    if bytes == 0 {
        return Ok(copy);
    }
    check(index)?;
    let context = CudaContext::new(index).map_err(failed("opening the device"))?;
    (context.bind_to_thread()).map_err(failed("choosing the device"))?;
    // SAFETY: as the caller says; the destination is as long as the copy.
    unsafe { result::memcpy_dtoh_sync(&mut copy, address) }
        .map_err(failed("copying from the device"))?;
    Ok(copy)
}
