//! The card: finding it, what it is, its streams, and what to say where there is none.

use std::path::Path;
use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, CudaStream, result, sys};
use cudarc::nvrtc;

use super::fault::failed;
use super::memory::{Memory, Pinned};
use crate::{Error, Result};

/// Oldest CUDA driver interface that graphs with programmatic launches need.
const OLDEST_DRIVER: i32 = 12_000;
/// Programmatic launches inside captured graphs, from this driver interface on.
const GRAPH_OVERLAP_DRIVER: i32 = 12_030;

/// What was looked for where no GPU can be used.
fn absent(reason: &str) -> Error {
    Error::input(format!(
        "no CUDA device: {reason}. Looked for the driver library (libcuda.so, libcuda.so.1), a driver \
         for CUDA {}.{} or newer, and the compiler library (libnvrtc.so.13, libnvrtc.so.12 or \
         libnvrtc.so on the library path; the Python package nvidia-cuda-nvrtc brings one)",
        OLDEST_DRIVER / 1000,
        OLDEST_DRIVER % 1000 / 10
    ))
}

/// Number of CUDA devices that can be used; an input error that says why where there is none.
///
/// # Errors
/// There is no driver, it is too old, or no compiler library.
pub fn devices() -> Result<usize> {
    // SAFETY: both look a library up by name and load it if it is there.
    let (driver, compiler) = unsafe { (sys::is_culib_present(), nvrtc::sys::is_culib_present()) };
    if !driver {
        return Err(absent("there is no driver library"));
    }
    result::init().map_err(|e| absent(&format!("the driver does not start ({e:?})")))?;
    let version = driver_version()?;
    if version < OLDEST_DRIVER {
        return Err(absent(&format!(
            "the driver is for CUDA {}.{}",
            version / 1000,
            version % 1000 / 10
        )));
    }
    let count = result::device::get_count()
        .map_err(|e| absent(&format!("the driver lists no devices ({e:?})")))?;
    if count <= 0 {
        return Err(absent("the driver lists no devices"));
    }
    if !compiler {
        return Err(absent("there is a GPU but no compiler library"));
    }
    Ok(count as usize)
}

/// Checks that device `index` can be used.
///
/// # Errors
/// As [`devices`], or there is none of this index.
pub fn check(index: usize) -> Result<()> {
    let count = devices()?;
    if index < count {
        return Ok(());
    }
    Err(Error::input(format!(
        "there is no CUDA device {index}: the driver lists {count}, counted from 0"
    )))
}

/// Where CUDA's headers are looked for, unless the variable CUDA_PATH names another place.
const TOOLKITS: [&str; 3] = ["/usr/local/cuda", "/opt/cuda", "/usr/bin/nvcc"];

/// Checks that CUDA's headers are there, which programs that bring kernels of their own do without.
///
/// # Errors
/// They are not, and where they were looked for.
pub fn check_headers() -> Result<()> {
    let there = std::env::var_os("CUDA_PATH").is_some()
        || TOOLKITS.iter().any(|place| Path::new(place).exists());
    if there {
        return Ok(());
    }
    Err(Error::input(format!(
        "CUDA's headers are not installed (looked at {}; set CUDA_PATH to another place)",
        TOOLKITS.join(", ")
    )))
}

/// The name of device `index`, which is not opened.
///
/// # Errors
/// As for [`check`].
pub fn name(index: usize) -> Result<String> {
    check(index)?;
    let device = i32::try_from(index).map_err(|_| absent("its number is too large"))?;
    (result::device::get(device))
        .and_then(result::device::get_name)
        .map_err(failed("asking for the name"))
}

/// What there is of CUDA on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// Version of CUDA that the driver serves; `None` where there is no driver that starts.
    pub driver: Option<(i32, i32)>,
    /// Version of the compiler library; `None` where there is none.
    pub compiler: Option<(i32, i32)>,
    /// Names of the cards.
    pub cards: Vec<String>,
}

/// Looks what there is of CUDA; nothing is opened.
pub fn survey() -> Survey {
    // SAFETY: both look a library up by name and load it if it is there.
    let (driver, compiler) = unsafe { (sys::is_culib_present(), nvrtc::sys::is_culib_present()) };
    let mut found = Survey::default();
    if driver && result::init().is_ok() {
        let version = driver_version().ok();
        found.driver = version.map(|version| (version / 1000, version % 1000 / 10));
        let count = result::device::get_count().unwrap_or(0);
        let cards = (0..count).filter_map(|index| result::device::get(index).ok());
        found.cards = cards
            .filter_map(|card| result::device::get_name(card).ok())
            .collect();
    }
    if compiler {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: writes two integers.
        let asked = unsafe { nvrtc::sys::nvrtcVersion(&mut major, &mut minor) }.result();
        found.compiler = asked.is_ok().then_some((major, minor));
    }
    found
}

fn driver_version() -> Result<i32> {
    let mut version = 0;
    // SAFETY: writes one integer.
    unsafe { sys::cuDriverGetVersion(&mut version) }
        .result()
        .map_err(failed("asking for the driver's version"))?;
    Ok(version)
}

/// What the choice of kernels depends on.
#[derive(Debug, Clone, Copy)]
pub struct Card {
    /// Compute capability, 90 for 9.0.
    pub capability: u32,
    /// Multiprocessors.
    pub processors: u32,
    /// Most shared memory of one block (bytes).
    pub shared: u32,
}

/// One card, with the stream that all work goes through, but for copies that are made beside it.
#[derive(Clone)]
pub struct Device {
    /// For all work but such copies.
    pub stream: Arc<CudaStream>,
    /// For copies to the host that wait for events of the other stream.
    pub copies: Arc<CudaStream>,
    /// Its index, counted from 0.
    pub index: usize,
    /// Name, as the driver has it.
    pub name: String,
    /// What kind of card it is.
    pub card: Card,
    /// Whether a kernel's prologue may run while the one before it ends.
    pub overlap: bool,
}

impl Device {
    /// Opens device `index`.
    ///
    /// # Errors
    /// There is none, or none of this index.
    pub fn open(index: usize) -> Result<Self> {
        use sys::CUdevice_attribute as A;
        check(index)?;
        let context = CudaContext::new(index).map_err(failed("opening the device"))?;
        let attribute = |a| {
            context
                .attribute(a)
                .map_err(failed("asking for an attribute"))
        };
        let (major, minor) = context
            .compute_capability()
            .map_err(failed("asking for the compute capability"))?;
        let capability = (10 * major + minor) as u32;
        if capability < 80 {
            return Err(Error::input(format!(
                "CUDA device {index} has compute capability {major}.{minor}; the kernels need 8.0 or newer"
            )));
        }
        // Streams are put in order here, by events. Otherwise the first one waits for all of the card's work, which
        // fails, and breaks the recording, where another engine of this process is recording a graph.
        // SAFETY: no memory is managed by the context's own bookkeeping.
        unsafe { context.disable_event_tracking() };
        let stream = || context.new_stream().map_err(failed("making a stream"));
        Ok(Self {
            index,
            name: context.name().map_err(failed("asking for the name"))?,
            card: Card {
                capability,
                processors: attribute(A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)? as u32,
                shared: attribute(A::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)? as u32,
            },
            overlap: capability >= 90 && driver_version()? >= GRAPH_OVERLAP_DRIVER,
            stream: stream()?,
            copies: stream()?,
        })
    }

    /// A share of the card for one of `shares` that work side by side: another stream, and so many of its multiprocessors to
    /// choose kernels for.
    ///
    /// # Errors
    /// The driver makes no more streams.
    pub fn share(&self, shares: usize) -> Result<Self> {
        let stream = self.stream.context().new_stream();
        let card = Card {
            processors: (self.card.processors / shares.max(1) as u32).max(1),
            ..self.card
        };
        Ok(Self {
            stream: stream.map_err(failed("making a stream"))?,
            card,
            ..self.clone()
        })
    }

    /// Makes the device that of the calling thread.
    pub fn bind(&self) -> Result<()> {
        let context = self.stream.context();
        context
            .bind_to_thread()
            .map_err(failed("choosing the device"))
    }

    /// The memory (bytes) that is free, and all there is.
    ///
    /// # Errors
    /// The driver does not say.
    pub fn memory(&self) -> Result<[usize; 2]> {
        self.bind()?;
        let (free, all) = result::mem_get_info().map_err(failed("asking for the free memory"))?;
        Ok([free, all])
    }

    /// Waits until all work is done.
    pub fn wait(&self) -> Result<()> {
        self.stream.synchronize().map_err(failed("a kernel"))
    }

    /// A mark in a stream's work.
    pub fn event(&self) -> Result<CudaEvent> {
        let context = self.stream.context();
        context.new_event(None).map_err(failed("making an event"))
    }

    /// Memory of the host that the card can copy to by itself, set to zero.
    pub fn pinned(&self, bytes: usize) -> Result<Pinned> {
        self.bind()?;
        let bytes = bytes.max(16);
        // SAFETY: the pointer is freed by `Pinned` alone.
        let start = unsafe { result::malloc_host(bytes, 0) }.map_err(|error| {
            Error::run(format!(
                "there is no room for {:.1} MiB more of page-locked memory ({error:?})",
                bytes as f64 / f64::from(1 << 20)
            ))
        })?;
        // SAFETY: so many bytes were allocated.
        unsafe { start.cast::<u8>().write_bytes(0, bytes) };
        Ok(Pinned::new(start, bytes, self.stream.clone()))
    }

    /// Memory of at least one byte, set to zero.
    pub fn zeros(&self, bytes: usize) -> Result<Memory> {
        self.bind()?;
        let bytes = bytes.max(16);
        // SAFETY: the pointer is freed by `Memory` alone.
        let start = unsafe { result::malloc_sync(bytes) }.map_err(|error| {
            Error::run(format!(
                "{} has no room for {:.1} MiB more ({error:?}): use a smaller system or a larger card",
                self.name,
                bytes as f64 / f64::from(1 << 20)
            ))
        })?;
        let memory = Memory::new(start, bytes, self.stream.clone());
        memory.clear()?;
        Ok(memory)
    }

    /// Memory that holds a copy of `values`.
    pub fn copy_of<T: Copy>(&self, values: &[T]) -> Result<Memory> {
        let memory = self.zeros(size_of_val(values))?;
        memory.write(values)?;
        Ok(memory)
    }
}
