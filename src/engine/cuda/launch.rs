//! Kernels and the order in which they run: one evaluation of the network, one step, one build of the pairs.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};

use cudarc::driver::{CudaGraph, result, sys};

use super::buffers::Buffers;
use super::compile::{Division, Shape};
use super::device::{Device, failed, write_at};
use super::names::{self, MESSAGES, STAGES};
use super::packs::{cluster, largest};
use super::tables::{SLICE, Splines};
use crate::{Error, Result};

const GEMM_THREADS: u32 = 256;
const STAGE_THREADS: u32 = 256;
/// Under so many atoms a change between kernels takes longer than more cache saves.
const SHORT_STEP: usize = 5000;
pub(super) const WARP: u32 = 32;

/// Blocks and threads of one launch.
#[derive(Clone, Copy)]
pub(super) struct Size {
    grid: [u32; 2],
    threads: u32,
    shared: u32,
}

impl Size {
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
    fn warps(count: usize) -> Self {
        Self::flat((count as u32).div_ceil(256 / WARP), 256)
    }
}

/// What a step has besides forces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Extras {
    /// Noise, whose heat is summed.
    pub heat: bool,
    /// Removal of the drift.
    pub drift: bool,
    /// A limit on the kinetic energy.
    pub kinetic: bool,
}

/// The loaded kernels for one system.
pub(super) struct Kernels {
    functions: HashMap<&'static CStr, (sys::CUfunction, bool)>,
    modules: Vec<sys::CUmodule>,
    /// The parameters that the kernels have.
    params: Vec<u8>,
    shape: Shape,
    pub atoms: usize,
    heads: Vec<(usize, usize)>,
    processors: u32,
    cell_capacity: usize,
}

impl Kernels {
    /// Loads compiled parts.
    pub fn load(
        device: &Device,
        parts: &[Vec<u8>],
        shape: Shape,
        buffers: &Buffers,
    ) -> Result<Self> {
        device.bind()?;
        let mut kernels = Self {
            functions: HashMap::new(),
            modules: Vec::new(),
            params: Vec::new(),
            shape,
            atoms: buffers.params.atoms as usize,
            heads: buffers.heads(),
            processors: device.card.processors,
            cell_capacity: buffers.params.cell_capacity as usize,
        };
        let names = names::of_parts(&kernels.shape);
        for (part, names) in parts.iter().zip(names) {
            // Code for the driver's own compiler is text that must end with a zero.
            let mut image = part.clone();
            image.push(0);
            // SAFETY: the image is what NVRTC made.
            let module = unsafe { result::module::load_data(image.as_ptr().cast()) }
                .map_err(failed("loading the kernels"))?;
            kernels.modules.push(module);
            for name in names {
                // SAFETY: the module is loaded.
                let function = unsafe { result::module::get_function(module, name.into()) }
                    .map_err(failed("finding a kernel"))?;
                let follows = device.overlap && names::follows(name);
                kernels.functions.insert(name, (function, follows));
            }
        }
        kernels.allow_shared()?;
        Ok(kernels)
    }

    /// Lets kernels take as much shared memory as they need.
    fn allow_shared(&self) -> Result<()> {
        use sys::CUfunction_attribute_enum as A;
        let mut needs = Vec::new();
        if self.shape.staged {
            needs.extend(
                MESSAGES
                    .iter()
                    .map(|&name| (name, table_bytes(self.shape.splines))),
            );
        }
        if self.shape.division.stages() {
            needs.extend(STAGES.iter().map(|&name| (name, self.stage_bytes())));
        }
        for (name, bytes) in needs {
            let (function, _) = self.find(name)?;
            // SAFETY: the function is loaded.
            unsafe {
                result::function::set_function_attribute(
                    function,
                    A::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                    bytes as i32,
                )
            }
            .map_err(failed("asking for shared memory"))?;
        }
        // One split of the memory between cache and shared for all of a short step: a change waits for the kernel before.
        let short = self.shape.division.stages() && self.atoms < SHORT_STEP;
        for &(function, _) in self.functions.values().filter(|f| short && f.1) {
            // SAFETY: the function is loaded.
            unsafe {
                let carveout = A::CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT;
                result::function::set_function_attribute(function, carveout, 100)
            }
            .map_err(failed("asking for shared memory"))?;
        }
        Ok(())
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

    /// Copies the parameters to where each part of the kernels reads them, if they have changed.
    pub fn set_params(&mut self, device: &Device, buffers: &Buffers) -> Result<()> {
        device.bind()?;
        let bytes = buffers.bytes();
        if bytes == self.params {
            return Ok(());
        }
        self.params.clear();
        for &module in &self.modules {
            // SAFETY: the module is loaded; the copy is checked against the symbol's size.
            let (address, room) =
                unsafe { result::module::get_global(module, CString::from(c"P")) }
                    .map_err(failed("finding the kernels' parameters"))?;
            if room != bytes.len() {
                return Err(Error::run(format!(
                    "the kernels take {room} bytes of parameters, not {}",
                    bytes.len()
                )));
            }
            write_at(&device.stream, address, room, &bytes)?;
        }
        self.params = bytes;
        Ok(())
    }

    /// A kernel with its parameters.
    pub fn launch(
        &self,
        device: &Device,
        name: &CStr,
        size: Size,
        args: &mut [*mut c_void],
    ) -> Result<()> {
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
            hStream: device.stream.cu_stream(),
            attrs: &mut attribute,
            numAttrs: u32::from(follows),
        };
        // SAFETY: arguments match the kernel's parameters, and outlive the call, which copies them.
        unsafe { sys::cuLaunchKernelEx(&config, function, args.as_mut_ptr(), std::ptr::null_mut()) }
            .result()
            .map_err(failed("starting a kernel"))
    }

    /// A kernel whose parameters are integers.
    pub fn go<const N: usize>(
        &self,
        device: &Device,
        name: &CStr,
        size: Size,
        mut values: [i32; N],
    ) -> Result<()> {
        let mut args = values.each_mut().map(|v| std::ptr::from_mut(v).cast());
        self.launch(device, name, size, &mut args)
    }

    /// A matrix product of the atom-wise layers: components, groups and outputs as in `layers.cu`.
    fn product(
        &self,
        device: &Device,
        name: &CStr,
        l: usize,
        shape: [usize; 3],
        wide: bool,
    ) -> Result<()> {
        let [components, groups, outputs] = shape;
        let (channels, atoms) = if let Division::Tiles { shrink } = self.shape.division {
            let wide = wide && groups == 1 && self.shape.features.is_multiple_of(64);
            let atoms = if components == 1 { 128 } else { 64 };
            (if wide { 64 } else { 32 }, atoms / shrink)
        } else {
            (8, 16)
        };
        let size = Size {
            grid: [
                (outputs / channels) as u32,
                self.atoms.div_ceil(atoms) as u32,
            ],
            threads: GEMM_THREADS,
            shared: 0,
        };
        self.go(device, name, size, [l as i32])
    }

    fn message(
        &self,
        device: &Device,
        name: &CStr,
        l: usize,
        [warps, team]: [usize; 2],
    ) -> Result<()> {
        let slices = (self.shape.features / SLICE) as u32;
        let size = if self.shape.staged {
            let threads = warps as u32 * WARP;
            let blocks = self.processors * self.shape.message_blocks as u32;
            let chunks = (blocks / slices).max(1);
            Size {
                grid: [chunks * slices, 1],
                threads,
                shared: table_bytes(self.shape.splines),
            }
        } else {
            Size::flat(self.atoms as u32 * slices, team as u32 * WARP)
        };
        self.go(device, name, size, [l as i32])
    }

    fn stage_bytes(&self) -> u32 {
        let shape = &self.shape;
        if shape.division == Division::Strips {
            return strip_bytes(shape.features);
        }
        stage_bytes(
            shape.features,
            shape.head_out,
            shape.division.shared_weights(),
        )
    }

    /// All products between two messages, by clusters that share strips of 16 atoms as in `stages.cu`, or by blocks that
    /// have strips to themselves as in `strips.cu`.
    fn stage(&self, device: &Device, name: &CStr, l: usize) -> Result<()> {
        let shape = &self.shape;
        let strips = self.atoms.div_ceil(16) as u32;
        let (grid, threads) = if shape.division == Division::Strips {
            // A warp for each 16 channels, and one that fetches weights.
            let warps = shape.features as u32 / 16 + 1;
            ([strips, 1], warps * WARP)
        } else {
            ([cluster(shape.features) as u32, strips], STAGE_THREADS)
        };
        let size = Size {
            grid,
            threads,
            shared: self.stage_bytes(),
        };
        self.go(device, name, size, [l as i32])
    }

    /// Pairs within the cutoff, network forward and backward, forces.
    pub fn network(&self, device: &Device) -> Result<()> {
        self.go(device, c"measure", Size::warps(self.atoms), [])?;
        if self.shape.division.stages() {
            self.fused_layers(device)?;
        } else {
            self.forward(device)?;
            self.readout(device)?;
            self.backward(device)?;
        }
        self.go(device, c"sum_forces", Size::warps(self.atoms), [])
    }

    fn fused_layers(&self, device: &Device) -> Result<()> {
        let last = self.shape.layers - 1;
        for l in 0..=last {
            self.message_into(device, l)?;
            let name = if l < last {
                c"atoms_forward"
            } else {
                c"atoms_turn"
            };
            self.stage(device, name, l)?;
        }
        for l in (0..last).rev() {
            self.message_back(device, l + 1)?;
            self.stage(device, c"atoms_backward", l)?;
        }
        self.message_back(device, 0)
    }

    fn message_into(&self, device: &Device, l: usize) -> Result<()> {
        let name = if l == 0 { c"message_first" } else { c"message" };
        self.message(device, name, l, self.shape.forward())
    }

    fn message_back(&self, device: &Device, l: usize) -> Result<()> {
        if l == 0 {
            return self.message(device, c"message_back_first", l, self.shape.forward());
        }
        self.message(device, c"message_back", l, self.shape.backward())
    }

    fn forward(&self, device: &Device) -> Result<()> {
        let f = self.shape.features;
        for l in 0..self.shape.layers {
            if l > 0 {
                self.product(device, c"context1", l, [1, 1, f], true)?;
                self.product(device, c"context2", l, [1, 3, f], true)?;
            }
            self.message_into(device, l)?;
            self.product(device, c"mix", l, [3, 2, f], true)?;
            self.product(device, c"update1", l, [1, 1, f], true)?;
            self.product(device, c"update2", l, [1, 3, f], true)?;
        }
        Ok(())
    }

    fn backward(&self, device: &Device) -> Result<()> {
        let f = self.shape.features;
        for l in (0..self.shape.layers).rev() {
            self.product(device, c"update2_back", l, [1, 1, f], true)?;
            self.product(device, c"update1_back", l, [1, 2, f], true)?;
            self.product(device, c"mix_back", l, [3, 1, f], true)?;
            self.message_back(device, l)?;
            if l > 0 {
                self.product(device, c"context2_back", l, [1, 1, f], true)?;
                self.product(device, c"context1_back", l, [1, 1, f], true)?;
            }
        }
        Ok(())
    }

    fn readout(&self, device: &Device) -> Result<()> {
        if self.heads.is_empty() {
            let size = Size::each(self.atoms * self.shape.features, 256);
            return self.go(device, c"head_linear", size, []);
        }
        for (l, &(_, outputs)) in self.heads.iter().enumerate() {
            self.product(device, c"head_forward", l, [1, 1, outputs], false)?;
        }
        for (l, &(inputs, _)) in self.heads.iter().enumerate().rev() {
            self.product(device, c"head_back", l, [1, 1, inputs], false)?;
        }
        Ok(())
    }

    fn advance(&self, device: &Device, finish: bool, begin: bool) -> Result<()> {
        let args = [i32::from(finish), i32::from(begin)];
        self.go(device, c"advance", Size::each(self.atoms, 128), args)
    }

    /// Completes the step that was begun, as far as it was; checks what is checked after a step.
    pub fn finish(&self, device: &Device, extras: Extras) -> Result<()> {
        self.advance(device, true, false)?;
        if extras.drift || extras.kinetic {
            self.between(device, extras)?;
            // Turns what the check raised into a halt.
            self.advance(device, false, false)?;
        }
        Ok(())
    }

    /// What happens between two steps, where it involves all atoms.
    fn between(&self, device: &Device, extras: Extras) -> Result<()> {
        if extras.drift {
            self.go(device, c"sum_momentum", Size::flat(1, 1024), [])?;
            self.go(device, c"remove_drift", Size::each(self.atoms, 128), [])?;
        }
        if extras.kinetic {
            self.go(device, c"check_kinetic", Size::flat(1, 1024), [])?;
        }
        Ok(())
    }

    /// Completes one step and takes the next up to its forces.
    pub fn step(&self, device: &Device, extras: Extras) -> Result<()> {
        if extras.drift || extras.kinetic {
            self.advance(device, true, false)?;
            self.between(device, extras)?;
            self.advance(device, false, true)?;
        } else {
            self.advance(device, true, true)?;
        }
        if extras.heat {
            self.go(device, c"sum_heat", Size::flat(1, 1024), [])?;
        }
        self.network(device)
    }

    /// Sorts atoms into cells and counts their pairs.
    pub fn count(&self, device: &Device) -> Result<()> {
        let each = Size::each(self.atoms, 256);
        self.go(device, c"make_grid", Size::flat(1, 1024), [])?;
        self.go(
            device,
            c"clear_cells",
            Size::each(self.cell_capacity, 256),
            [],
        )?;
        self.go(device, c"count_cells", each, [])?;
        self.go(device, c"scan_cells", Size::flat(1, 1024), [])?;
        self.go(device, c"fill_cells", each, [])?;
        self.go(device, c"sort_out", each, [])?;
        self.go(device, c"sort_in", each, [])?;
        self.go(device, c"count_pairs", Size::warps(self.atoms), [])?;
        self.go(device, c"scan_pairs", Size::flat(1, 1024), [])
    }

    /// Fills the list, in canonical order.
    pub fn fill(&self, device: &Device) -> Result<()> {
        for name in [c"fill_pairs", c"sort_pairs", c"match_pairs"] {
            self.go(device, name, Size::warps(self.atoms), [])?;
        }
        Ok(())
    }

    /// Records what `work` starts, to be replayed.
    pub fn record(&self, device: &Device, work: impl FnOnce() -> Result<()>) -> Result<CudaGraph> {
        use sys::CUgraphInstantiate_flags as G;
        use sys::CUstreamCaptureMode as M;
        let stream = &device.stream;
        stream
            .begin_capture(M::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            .map_err(failed("recording a graph"))?;
        let done = work();
        let graph = stream
            .end_capture(G::CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY)
            .map_err(failed("recording a graph"));
        done?;
        graph?.ok_or_else(|| Error::run("CUDA: recording a graph gave none"))
    }
}

impl Drop for Kernels {
    fn drop(&mut self) {
        for &module in &self.modules {
            // SAFETY: loaded once, unloaded once. A failure is of no consequence: the context ends soon.
            let _ = unsafe { result::module::unload(module) };
        }
    }
}

/// Shared memory of a slice's splines (bytes).
pub(super) fn table_bytes(splines: Splines) -> u32 {
    (splines.coefficients() * 3 * SLICE * 4) as u32
}

/// Shared memory that a message kernel of so many warps uses besides the splines, where teams have several: four vectors of
/// a slice from each forward, six from half as many warps backward (bytes).
pub(super) fn team_bytes(warps: usize) -> u32 {
    (warps * 4 * 8 * 16) as u32
}

/// Shared memory of a fused stage, as in `stages.cu`: boards, a block's own inputs, parts and results of products, and its
/// weights if they are to be there (bytes).
pub(super) fn stage_bytes(features: usize, head_out: usize, weights: bool) -> u32 {
    const ROWS: usize = 16;
    let cluster = cluster(features);
    let (unit, board, tile) = (ROWS * features / cluster, ROWS * features, 8 * ROWS * 8);
    let own = unit * 6usize.saturating_sub(cluster).max(3);
    let places = 3 * board + own + 2 * tile + (2 * board).max(4 * tile);
    let weights = if weights {
        largest(features, head_out)
    } else {
        0
    };
    ((places + weights) * 4) as u32
}

/// Shared memory of a block of `strips.cu`: 28 times as many numbers as its 16 atoms have features (bytes).
pub(super) fn strip_bytes(features: usize) -> u32 {
    (28 * 16 * features * 4) as u32
}
