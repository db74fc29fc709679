//! Kernels as they are loaded on a card, and their launches.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};
use std::sync::Arc;

use cudarc::driver::{CudaGraph, CudaStream, result, sys};

use super::WARP;
use super::compiler::{Part, compile};
use super::device::Device;
use super::fault::failed;
use super::memory::write_at;
use crate::{Error, Result};

/// Blocks and threads of one launch.
#[derive(Clone, Copy)]
pub struct Size {
    /// Blocks along both directions.
    pub grid: [u32; 2],
    /// Threads of a block.
    pub threads: u32,
    /// Shared memory of a block beside what the kernel declares (bytes).
    pub shared: u32,
}

impl Size {
    /// Blocks in a row.
    pub fn flat(blocks: u32, threads: u32) -> Self {
        Self {
            grid: [blocks.max(1), 1],
            threads,
            shared: 0,
        }
    }

    /// A thread each for `count`.
    pub fn each(count: usize, threads: u32) -> Self {
        Self::flat((count as u32).div_ceil(threads), threads)
    }

    /// A warp each for `count`.
    pub fn warps(count: usize) -> Self {
        Self::flat((count as u32).div_ceil(256 / WARP), 256)
    }
}

/// Recorded work of one stream, to be replayed.
pub struct Graph(CudaGraph);

// SAFETY: a graph is no thread's own; what the driver forbids is its use by two threads at once, and it is not `Sync`.
unsafe impl Send for Graph {}

impl Graph {
    /// Starts the recorded work once more.
    ///
    /// # Errors
    /// The device failed.
    pub fn replay(&self) -> Result<()> {
        (self.0.launch()).map_err(failed("replaying a graph"))
    }
}

/// Loaded kernels of one card.
pub struct LoadedKernels {
    stream: Arc<CudaStream>,
    /// Each with whether its prologue may run early.
    functions: HashMap<&'static CStr, (sys::CUfunction, bool)>,
    /// Each with the blocks of constants that it has.
    modules: Vec<(sys::CUmodule, &'static [&'static CStr])>,
    /// The constants that the kernels have.
    constants: HashMap<&'static CStr, Vec<u8>>,
}

// SAFETY: functions and modules belong to the device's context, not to a thread: whoever calls makes the device its
// thread's first, as the engine does at every call. They are not changed after loading but through `&mut`.
unsafe impl Send for LoadedKernels {}

impl LoadedKernels {
    /// Compiles and loads parts.
    ///
    /// # Errors
    /// The compiler or the driver refuses one.
    pub fn load(device: &Device, parts: &[Part]) -> Result<Self> {
        let (codes, _) = compile(parts, device.card.capability)?;
        device.bind()?;
        let mut program = Self {
            stream: device.stream.clone(),
            functions: HashMap::new(),
            modules: Vec::new(),
            constants: HashMap::new(),
        };
        for (part, mut image) in parts.iter().zip(codes) {
            // Code for the driver's own compiler is text that must end with a zero.
            image.push(0);
            // SAFETY: the image is what NVRTC made.
            let module = unsafe { result::module::load_data(image.as_ptr().cast()) }
                .map_err(failed("loading the kernels"))?;
            program.modules.push((module, part.constants));
            let early = part.early.iter().map(|&name| (name, device.overlap));
            let waiting = part.waiting.iter().map(|&name| (name, false));
            for (name, follows) in early.chain(waiting) {
                // SAFETY: the module is loaded.
                let function = unsafe { result::module::get_function(module, name.into()) }
                    .map_err(failed("finding a kernel"))?;
                if program
                    .functions
                    .insert(name, (function, follows))
                    .is_some()
                {
                    let name = name.to_string_lossy();
                    return Err(Error::run(format!("the kernel {name} is in two parts")));
                }
            }
        }
        Ok(program)
    }

    /// Lets a kernel take as much shared memory.
    ///
    /// # Errors
    /// The card has less.
    pub fn allow_shared(&self, name: &CStr, bytes: u32) -> Result<()> {
        use sys::CUfunction_attribute_enum as A;
        let most = A::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        set_attribute(self.find(name)?.0, most, bytes as i32)
    }

    /// Gives all kernels that start early one split of the memory between cache and shared: a change of it waits for the kernel
    /// before.
    ///
    /// # Errors
    /// The driver failed.
    pub fn prefer_shared(&self) -> Result<()> {
        use sys::CUfunction_attribute_enum as A;
        let carveout = A::CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT;
        (self.functions.values().filter(|function| function.1))
            .try_for_each(|function| set_attribute(function.0, carveout, 100))
    }

    fn find(&self, name: &CStr) -> Result<(sys::CUfunction, bool)> {
        let missing = || {
            Error::run(format!(
                "the kernel {} was not compiled",
                name.to_string_lossy()
            ))
        };
        self.functions.get(name).copied().ok_or_else(missing)
    }

    /// Copies a block of constants to where each part that has it reads it, if it has changed.
    ///
    /// # Errors
    /// A part has another size of it, or the device failed.
    pub fn set(&mut self, name: &'static CStr, bytes: &[u8]) -> Result<()> {
        if self.constants.get(name).is_some_and(|old| old == bytes) {
            return Ok(());
        }
        self.constants.remove(name);
        for (module, _) in self.modules.iter().filter(|m| m.1.contains(&name)) {
            // SAFETY: the module is loaded; the copy is checked against the symbol's size.
            let (address, room) =
                unsafe { result::module::get_global(*module, CString::from(name)) }
                    .map_err(failed("finding the kernels' constants"))?;
            if room != bytes.len() {
                return Err(Error::run(format!(
                    "the kernels take {room} bytes of constants {}, not {}",
                    name.to_string_lossy(),
                    bytes.len()
                )));
            }
            write_at(&self.stream, address, room, bytes)?;
        }
        self.constants.insert(name, bytes.to_vec());
        Ok(())
    }

    /// Starts a kernel with its parameters.
    ///
    /// # Errors
    /// There is no such kernel, or the device failed.
    pub fn launch(&self, name: &CStr, size: Size, args: &mut [*mut c_void]) -> Result<()> {
        let (function, follows) = self.find(name)?;
        let mut attribute = sys::CUlaunchAttribute {
            id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            pad: [0; 4],
            value: sys::CUlaunchAttributeValue {
                programmaticStreamSerializationAllowed: 1,
            },
        };
        let config = sys::CUlaunchConfig {
            gridDimX: size.grid[0],
            gridDimY: size.grid[1],
            gridDimZ: 1,
            blockDimX: size.threads,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: size.shared,
            hStream: self.stream.cu_stream(),
            attrs: &mut attribute,
            numAttrs: u32::from(follows),
        };
        // SAFETY: arguments match the kernel's parameters, and outlive the call, which copies them.
        unsafe { sys::cuLaunchKernelEx(&config, function, args.as_mut_ptr(), std::ptr::null_mut()) }
            .result()
            .map_err(failed("starting a kernel"))
    }

    /// Starts a kernel whose parameters are integers.
    ///
    /// # Errors
    /// As for [`LoadedKernels::launch`].
    pub fn go<const N: usize>(&self, name: &CStr, size: Size, mut values: [i32; N]) -> Result<()> {
        let mut args = values.each_mut().map(|v| std::ptr::from_mut(v).cast());
        self.launch(name, size, &mut args)
    }

    /// Records what `work` starts, to be replayed.
    ///
    /// # Errors
    /// The device failed.
    pub fn record(&self, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        use sys::CUgraphInstantiate_flags as G;
        use sys::CUstreamCaptureMode as M;
        self.stream
            .begin_capture(M::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            .map_err(failed("recording a graph"))?;
        let done = work();
        let graph = self
            .stream
            .end_capture(G::CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY)
            .map_err(failed("recording a graph"));
        done?;
        let graph = graph?.ok_or_else(|| Error::run("CUDA: recording a graph gave none"))?;
        Ok(Graph(graph))
    }
}

fn set_attribute(
    function: sys::CUfunction,
    attribute: sys::CUfunction_attribute,
    value: i32,
) -> Result<()> {
    // SAFETY: the function is loaded.
    unsafe { result::function::set_function_attribute(function, attribute, value) }
        .map_err(failed("asking for shared memory"))
}

impl Drop for LoadedKernels {
    fn drop(&mut self) {
        let _ = self.stream.context().bind_to_thread();
        for &(module, _) in &self.modules {
            // SAFETY: loaded once, unloaded once. A failure is of no consequence: the context ends soon.
            let _ = unsafe { result::module::unload(module) };
        }
    }
}
