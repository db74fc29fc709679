//! Memory of the card, page-locked memory of the host, and copies between them.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::{CudaStream, result, sys};

use super::fault::failed;
use crate::Result;

/// A piece of the card's memory.
pub struct Memory {
    start: sys::CUdeviceptr,
    bytes: usize,
    stream: Arc<CudaStream>,
}

impl Memory {
    /// Owns an allocation, which it frees.
    pub(super) fn new(start: sys::CUdeviceptr, bytes: usize, stream: Arc<CudaStream>) -> Self {
        Self {
            start,
            bytes,
            stream,
        }
    }

    /// Its address on the card.
    pub fn address(&self) -> u64 {
        self.start
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets all of it to zero, in the stream's order.
    pub fn clear(&self) -> Result<()> {
        // SAFETY: the range is this allocation.
        unsafe { result::memset_d8_async(self.start, 0, self.bytes, self.stream.cu_stream()) }
            .map_err(failed("clearing memory"))
    }

    /// Starts a copy of so many bytes at an address of the card, to so many bytes from its start, in the stream's order.
    ///
    /// # Safety
    /// So many bytes lie at the address, and neither of the two is dropped before the copy is done.
    pub unsafe fn take(
        &self,
        at: usize,
        from: u64,
        bytes: usize,
        stream: &CudaStream,
    ) -> Result<()> {
        assert!(at + bytes <= self.bytes, "copies stay inside");
        // SAFETY: the range is of this allocation; the rest is as the caller says.
        unsafe {
            result::memcpy_dtod_async(self.start + at as u64, from, bytes, stream.cu_stream())
        }
        .map_err(failed("copying on the device"))
    }

    /// Copies `values` to its start and waits for the copy.
    pub fn write<T: Copy>(&self, values: &[T]) -> Result<()> {
        write_at(&self.stream, self.start, self.bytes, values)
    }
}

/// Copies `values` to an address, within `room` bytes, and waits for the copy.
pub fn write_at<T: Copy>(stream: &CudaStream, to: u64, room: usize, values: &[T]) -> Result<()> {
    assert!(size_of_val(values) <= room, "writes stay inside");
    // SAFETY: source and destination are as long as the copy.
    unsafe { result::memcpy_htod_async(to, values, stream.cu_stream()) }
        .map_err(failed("copying to the device"))?;
    stream
        .synchronize()
        .map_err(failed("copying to the device"))
}

/// Fills `values` from an address, after all work in the stream.
///
/// # Safety
/// As many values lie at the address.
pub unsafe fn read_at<T: Copy>(stream: &CudaStream, from: u64, values: &mut [T]) -> Result<()> {
    // SAFETY: as the caller says; any bits are a `T` (numbers only).
    unsafe { result::memcpy_dtoh_async(values, from, stream.cu_stream()) }
        .map_err(failed("copying from the device"))?;
    stream.synchronize().map_err(failed("a kernel"))
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A failure to free has no one left to tell; the context reports it to the next call.
        let freed = (self.stream.context().bind_to_thread())
            // SAFETY: allocated by `Device::zeros`, freed here only.
            .and_then(|()| unsafe { result::free_sync(self.start) });
        self.stream.context().record_err(freed);
    }
}

/// Page-locked memory of the host. Nothing reads it before the copy to it is known to be done.
pub struct Pinned {
    start: *mut c_void,
    bytes: usize,
    stream: Arc<CudaStream>,
}

// SAFETY: the allocation is the process's, not a thread's, and only this one frees it.
unsafe impl Send for Pinned {}
// SAFETY: what is shared starts copies, which the driver orders, or reads, while no copy is under way as `values` asks for.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// Owns an allocation of the driver's, which it frees.
    pub(super) fn new(start: *mut c_void, bytes: usize, stream: Arc<CudaStream>) -> Self {
        Self {
            start,
            bytes,
            stream,
        }
    }

    /// Starts a copy of the first `bytes` of `from`, in the order of the work of `stream`. Neither of the two may
    /// be dropped before it is done.
    pub fn fetch(&self, from: &Memory, bytes: usize, stream: &CudaStream) -> Result<()> {
        assert!(bytes <= from.bytes.min(self.bytes), "copies stay inside");
        // SAFETY: both are at least as long as the copy.
        unsafe { sys::cuMemcpyDtoHAsync_v2(self.start, from.start, bytes, stream.cu_stream()) }
            .result()
            .map_err(failed("copying from the device"))
    }

    /// The first `count` values.
    ///
    /// # Safety
    /// No copy to it is under way, and any bits are a `T`.
    pub unsafe fn values<T: Copy>(&self, count: usize) -> &[T] {
        assert!(count * size_of::<T>() <= self.bytes, "reads stay inside");
        // SAFETY: allocated for longer than that, page by page, and set to zero at first; nothing writes, as the
        // caller says.
        unsafe { std::slice::from_raw_parts(self.start.cast(), count) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let freed = (self.stream.context().bind_to_thread())
            // SAFETY: allocated by `Device::pinned`, freed here only.
            .and_then(|()| unsafe { result::free_host(self.start) });
        self.stream.context().record_err(freed);
    }
}
