//! Kernels from source to machine code, by NVRTC, for one model on one card.

use std::ffi::CString;

use cudarc::nvrtc::{result, sys};
use sha2::{Digest, Sha256};

use super::cache;
pub use super::tables::Splines;
use crate::{Error, Result};

const PARAMS: &str = include_str!("kernels/params.cu");
const GEMM: &str = include_str!("kernels/gemm.cu");
const LAYERS: &str = include_str!("kernels/layers.cu");
const STAGES: &str = include_str!("kernels/stages.cu");
const STRIPS: &str = include_str!("kernels/strips.cu");
const MESSAGE: &str = include_str!("kernels/message.cu");
const PAIRS: &str = include_str!("kernels/pairs.cu");
const MOTION: &str = include_str!("kernels/motion.cu");

/// All of them.
#[cfg(test)]
pub(super) const SOURCES: [&str; 8] =
    [PARAMS, GEMM, LAYERS, STAGES, STRIPS, MESSAGE, PAIRS, MOTION];

/// Kernels for all products between two messages.
pub(super) const STAGE_KERNELS: usize = 3;

/// How the products of the atom-wise layers are shared out among blocks. The last two make all products between two
/// messages in one kernel (from compute capability 9.0 on, one hidden layer no wider than those in the readout).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// A kernel for each product, a block for 16 atoms and 8 channels.
    Spread,
    /// A kernel for each product, a block for many atoms and channels.
    Tiles {
        /// What the number of atoms is divided by, 1 or 2.
        shrink: usize,
    },
    /// A cluster of blocks for 16 atoms (32, 64, 128 or 256 features).
    Clusters {
        /// Whether weights are kept in shared memory.
        shared_weights: bool,
    },
    /// A block for 16 atoms (up to 128 features).
    Strips,
}

impl Division {
    /// Whether all products between two messages are one kernel.
    pub(super) fn stages(self) -> bool {
        matches!(self, Self::Clusters { .. } | Self::Strips)
    }

    /// Whether weights are kept in shared memory.
    pub(super) fn shared_weights(self) -> bool {
        matches!(
            self,
            Self::Clusters {
                shared_weights: true
            }
        )
    }

    /// As the kernels know it.
    fn defines(self) -> [(&'static str, usize); 5] {
        let shrink = match self {
            Self::Tiles { shrink } => shrink,
            _ => 1,
        };
        let is = usize::from;
        [
            ("TILED", is(matches!(self, Self::Tiles { .. }))),
            ("TILE_SHRINK", shrink),
            ("FUSED", is(matches!(self, Self::Clusters { .. }))),
            ("SHARED_WEIGHTS", is(self.shared_weights())),
            ("BY_STRIPS", is(self == Self::Strips)),
        ]
    }
}

/// What the kernels are specialised for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Features, a multiple of 32.
    pub features: usize,
    /// Interactions.
    pub layers: usize,
    /// The splines of the filters.
    pub splines: Splines,
    /// Hidden layers of the readout.
    pub heads: usize,
    /// Outputs of the first of them.
    pub head_out: usize,
    /// Widest input or output of a hidden layer of the readout.
    pub head_max: usize,
    /// How the products of the atom-wise layers are shared out.
    pub division: Division,
    /// Warps that share an atom's row of pairs forward, 1 to 8.
    pub forward_team: usize,
    /// The same backward, where a warp needs more registers.
    pub backward_team: usize,
    /// Blocks of the message kernels that are to fit on a multiprocessor: as many as there are of them, or, where the
    /// splines are not in shared memory and each block is a team, more.
    pub message_blocks: usize,
    /// Whether the filters' splines are kept in shared memory.
    pub staged: bool,
    /// Warps of a message kernel's block, forward and backward, where the splines are kept in shared memory.
    pub forward_warps: usize,
    /// As `forward_warps`.
    pub backward_warps: usize,
    /// Whether each thread gives shared memory back for itself, as [`Tuning::watched`](super::Tuning::watched) says.
    pub watched: bool,
}

impl Shape {
    /// Warps of a block and of a team in the message kernels of the way forward.
    pub(super) fn forward(&self) -> [usize; 2] {
        [self.forward_warps, self.forward_team]
    }

    /// The same for the way back.
    pub(super) fn backward(&self) -> [usize; 2] {
        [self.backward_warps, self.backward_team]
    }

    /// The parts that are compiled apart, at the same time, as `names.rs` has them: files, and which of the fused kernels.
    fn parts(&self) -> Vec<(&'static [&'static str], usize)> {
        const ATOMS: &[&str] = &[GEMM, LAYERS, STAGES];
        const BY_STRIPS: &[&str] = &[LAYERS, STRIPS];
        let (files, kinds) = match self.division {
            Division::Strips => (BY_STRIPS, STAGE_KERNELS),
            Division::Clusters { .. } => (ATOMS, STAGE_KERNELS),
            _ => (ATOMS, 1),
        };
        let atoms = (0..kinds).map(|kind| (files, kind));
        let others: [&'static [&'static str]; 3] = [&[MESSAGE], &[PAIRS], &[MOTION]];
        atoms.chain(others.map(|files| (files, 0))).collect()
    }

    /// Source of each part.
    fn sources(&self) -> Vec<String> {
        let define = |(name, value): (&str, usize)| format!("#define {name} {value}\n");
        let all = [
            ("FEATURES", self.features),
            ("LAYERS", self.layers),
            ("KNOTS", self.splines.intervals),
            ("DEGREE", self.splines.degree),
            ("HEADS", self.heads),
            ("HEAD_MAX", self.head_max.max(self.features)),
            ("HEAD_OUT", self.head_out),
            ("FORWARD_TEAM", self.forward_team),
            ("BACKWARD_TEAM", self.backward_team),
            ("MESSAGE_BLOCKS", self.message_blocks),
            ("STAGED", usize::from(self.staged)),
            ("FUSED_BLOCKS", if self.features > 128 { 1 } else { 2 }),
            ("FORWARD_WARPS", self.forward_warps),
            ("BACKWARD_WARPS", self.backward_warps),
            ("WATCHED", usize::from(self.watched)),
        ];
        let head: String = (all.into_iter())
            .chain(self.division.defines())
            .map(define)
            .collect();
        let part = |(files, number): (&[&str], usize)| {
            format!("{head}#define PART {number}\n{PARAMS}{}", files.concat())
        };
        self.parts().into_iter().map(part).collect()
    }

    /// Machine code of all parts for a compute capability (90 for 9.0), from the cache where it is
    /// there, and whether all of it was.
    ///
    /// # Errors
    /// There is no compiler library, or it refuses the source.
    pub fn compile(&self, capability: u32) -> Result<(Vec<Vec<u8>>, bool)> {
        let target = Target::find(capability)?;
        let sources = self.sources();
        let built: Vec<Result<(Vec<u8>, bool)>> = std::thread::scope(|scope| {
            let jobs: Vec<_> = (sources.iter())
                .map(|source| scope.spawn(|| target.build(source)))
                .collect();
            let lost = || Error::run("the kernel compiler's thread ended early");
            (jobs.into_iter())
                .map(|job| job.join().unwrap_or_else(|_| Err(lost())))
                .collect()
        });
        let mut parts = Vec::new();
        let mut cached = true;
        for part in built {
            let (code, kept) = part?;
            parts.push(code);
            cached &= kept;
        }
        Ok((parts, cached))
    }
}

/// A card and the compiler that serves it.
struct Target {
    version: (i32, i32),
    /// `sm_90` for machine code; `compute_90` for portable code, where the compiler is older than the card.
    name: String,
    portable: bool,
}

impl Target {
    fn find(capability: u32) -> Result<Self> {
        // SAFETY: looks a library up by name and loads it if it is there.
        if !unsafe { sys::is_culib_present() } {
            return Err(Error::input(
                "there is no CUDA compiler library: looked for libnvrtc.so.13, libnvrtc.so.12 and \
                 libnvrtc.so on the library path",
            ));
        }
        let ask = |e: result::NvrtcError| {
            Error::run(format!("NVRTC: asking for its version failed: {e:?}"))
        };
        let (mut major, mut minor, mut count) = (0, 0, 0);
        // SAFETY: each call writes the integers it is given, the last one as many as the call before says.
        let known = unsafe {
            sys::nvrtcVersion(&mut major, &mut minor)
                .result()
                .map_err(ask)?;
            sys::nvrtcGetNumSupportedArchs(&mut count)
                .result()
                .map_err(ask)?;
            let mut known = vec![0; count.max(0) as usize];
            sys::nvrtcGetSupportedArchs(known.as_mut_ptr())
                .result()
                .map_err(ask)?;
            known
        };
        let best = (known
            .iter()
            .map(|&k| k as u32)
            .filter(|&k| k <= capability)
            .max())
        .ok_or_else(|| {
            Error::input(format!(
                "NVRTC {major}.{minor} knows no card as old as compute capability {}.{}",
                capability / 10,
                capability % 10
            ))
        })?;
        let portable = best != capability;
        let kind = if portable { "compute" } else { "sm" };
        Ok(Self {
            version: (major, minor),
            name: format!("{kind}_{best}"),
            portable,
        })
    }

    /// Machine code of one source, and whether it came from the cache.
    fn build(&self, source: &str) -> Result<(Vec<u8>, bool)> {
        let (major, minor) = self.version;
        let mut hash = Sha256::new();
        hash.update(format!("{major}.{minor} {}\n", self.name));
        hash.update(source);
        let digest: String = hash
            .finalize()
            .iter()
            .take(16)
            .map(|b| format!("{b:02x}"))
            .collect();
        let key = format!("{}-{digest}", self.name);
        if let Some(code) = cache::load(&key) {
            return Ok((code, true));
        }
        let code = self.translate(source)?;
        cache::store(&key, &code);
        Ok((code, false))
    }

    fn translate(&self, source: &str) -> Result<Vec<u8>> {
        let refuse = |what: &str, log: String| Error::run(format!("NVRTC: {what}: {log}"));
        let text = CString::new(source).map_err(|e| refuse("source", e.to_string()))?;
        let program =
            result::create_program(&text, None).map_err(|e| refuse("source", format!("{e:?}")))?;
        let options = [
            format!("--gpu-architecture={}", self.name),
            "--std=c++17".into(),
        ];
        // SAFETY: `program` is alive until the end of this function.
        let code = unsafe {
            match result::compile_program(program, &options) {
                Ok(()) => self
                    .fetch(program)
                    .map_err(|e| refuse("machine code", format!("{e:?}"))),
                Err(e) => Err(refuse(
                    "compiling the kernels",
                    log(program).unwrap_or_else(|| format!("{e:?}")),
                )),
            }
        };
        // SAFETY: made above, destroyed once.
        let ended = unsafe { result::destroy_program(program) };
        let code = code?;
        ended.map_err(|e| refuse("ending", format!("{e:?}")))?;
        Ok(code)
    }

    /// # Safety
    /// `program` has been compiled.
    unsafe fn fetch(&self, program: sys::nvrtcProgram) -> Result<Vec<u8>, result::NvrtcError> {
        let mut size = 0;
        // SAFETY: the buffer is as long as the library says the code is.
        unsafe {
            if self.portable {
                sys::nvrtcGetPTXSize(program, &mut size).result()?;
                let mut code = vec![0u8; size];
                sys::nvrtcGetPTX(program, code.as_mut_ptr().cast()).result()?;
                return Ok(code);
            }
            sys::nvrtcGetCUBINSize(program, &mut size).result()?;
            let mut code = vec![0u8; size];
            sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()).result()?;
            Ok(code)
        }
    }
}

/// What the compiler said.
///
/// # Safety
/// `program` is alive.
unsafe fn log(program: sys::nvrtcProgram) -> Option<String> {
    // SAFETY: as above.
    let bytes = unsafe { result::get_program_log(program) }.ok()?;
    let bytes: Vec<u8> = bytes
        .into_iter()
        .map(|c| c as u8)
        .filter(|&c| c != 0)
        .collect();
    String::from_utf8(bytes).ok()
}
