//! CUDA C++ to machine code, by NVRTC, each source for itself and all at the same time.

use std::ffi::{CStr, CString};

use cudarc::nvrtc::{result, sys};
use sha2::{Digest, Sha256};

use super::cache;
use crate::{Error, Result};

/// What every source begins with: names of types, vectors of floats, sums of a warp, and how kernels follow each other.
pub const BASE: &str = include_str!("base.cu");

/// Kernels that are compiled together.
#[derive(Debug, Clone)]
pub struct Part {
    /// Their CUDA C++.
    pub source: String,
    /// Kernels whose prologue may run before the kernel ahead of them is done.
    pub early: &'static [&'static CStr],
    /// Kernels that wait until all that came before is done.
    pub waiting: &'static [&'static CStr],
    /// Blocks of constants that the host sets.
    pub constants: &'static [&'static CStr],
}

#[cfg(test)]
impl Part {
    /// Checks that its code has every kernel and block of constants that is looked for in it.
    pub(crate) fn assert_complete(&self, code: &[u8]) {
        let has = |bytes: &[u8]| code.windows(bytes.len()).any(|window| window == bytes);
        for name in self.early.iter().chain(self.waiting) {
            let section = [b".text.", name.to_bytes_with_nul()].concat();
            assert!(has(&section), "{name:?} is not in its part");
        }
        for name in self.constants {
            let symbol = [b"\0", name.to_bytes_with_nul()].concat();
            assert!(has(&symbol), "{name:?} is not in its part");
        }
    }
}

/// Machine code of all parts for a compute capability (90 for 9.0), from the cache where it is there, and whether all of it was.
///
/// # Errors
/// There is no compiler library, or it refuses a source.
pub fn compile(parts: &[Part], capability: u32) -> Result<(Vec<Vec<u8>>, bool)> {
    let target = Target::find(capability)?;
    let built: Vec<Result<(Vec<u8>, bool)>> = std::thread::scope(|scope| {
        let jobs: Vec<_> = (parts.iter())
            .map(|part| scope.spawn(|| target.build(&part.source)))
            .collect();
        let lost = || Error::run("the kernel compiler's thread ended early");
        (jobs.into_iter())
            .map(|job| job.join().unwrap_or_else(|_| Err(lost())))
            .collect()
    });
    let mut codes = Vec::new();
    let mut cached = true;
    for part in built {
        let (code, kept) = part?;
        codes.push(code);
        cached &= kept;
    }
    Ok((codes, cached))
}

/// Compiles a source for the oldest card that is served, without keeping what comes of it.
#[cfg(test)]
pub(crate) fn check(source: &str) -> Result<()> {
    Target::find(80)?.translate(source).map(|_| ())
}

/// Whether an error is that there is no compiler, on a machine that need not have one.
#[cfg(test)]
pub(crate) fn excused(error: &Error) -> bool {
    let required = ["MDRUN_REQUIRE_GPU", "MDRUN_REQUIRE_NVRTC"];
    let missing = error.to_string().contains("no CUDA compiler library");
    let excused = missing && required.iter().all(|name| std::env::var_os(name).is_none());
    if excused {
        eprintln!("skipped: {error}");
    }
    excused
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
