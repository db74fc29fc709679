//! What the fused engines of networks share on the processor: SIMD lanes, matrix products, splines of filters, rows of pairs,
//! threads. Each architecture writes its messages and atom-wise layers with these.

#![allow(
    clippy::needless_range_loop,
    reason = "kernels index small arrays in step: axes, filters, lanes"
)]

use crate::core::elements::symbol;
use crate::potential::{About, Precision, Processor};
use crate::{Error, Result};

pub(in crate::potential) mod affine;
pub(in crate::potential) mod gemm;
pub(in crate::potential) mod lane;
pub(in crate::potential) mod memory;
mod order;
pub(in crate::potential) mod pool;
pub(in crate::potential) mod readout;
pub(in crate::potential) mod rows;
pub(in crate::potential) mod slices;
pub(in crate::potential) mod spline;

pub use spline::{Curves, SplineError};

/// Atoms of a block in the atom-wise stages: two register tiles of 12 rows, six for vectors.
pub(in crate::potential) const ATOMS_PER_BLOCK: usize = 24;

/// Fewest atoms for each thread: below, threads cost more than they save.
pub(in crate::potential) const ATOMS_PER_THREAD: usize = 4;

/// Instructions to compute with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// 512-bit vectors.
    Avx512,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// Whatever the compiler makes of arrays (NEON, SSE2).
    Portable,
}

impl Isa {
    /// All that this processor has, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw");
            let narrow = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if wide && narrow {
                found.push(Self::Avx512);
            }
            if narrow {
                found.push(Self::Avx2);
            }
        }
        found.push(Self::Portable);
        found
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2",
            Self::Portable if cfg!(target_arch = "aarch64") => "NEON",
            Self::Portable => "portable SIMD",
        }
    }
}

/// Calls a function of a lane type, `bind::<lane>(arguments)`, for numbers and instructions.
macro_rules! with_lanes {
    ($precision:expr, $isa:expr, $bind:ident($($argument:expr),*)) => {
        match ($precision, $isa) {
            #[cfg(target_arch = "x86_64")]
            (Precision::F32, Isa::Avx512) => $bind::<std::arch::x86_64::__m512>($($argument),*),
            #[cfg(target_arch = "x86_64")]
            (Precision::F32, Isa::Avx2) => $bind::<std::arch::x86_64::__m256>($($argument),*),
            (Precision::F32, _) => $bind::<lane::Wide<f32, 8>>($($argument),*),
            #[cfg(target_arch = "x86_64")]
            (Precision::F64, Isa::Avx512) => $bind::<std::arch::x86_64::__m512d>($($argument),*),
            #[cfg(target_arch = "x86_64")]
            (Precision::F64, Isa::Avx2) => $bind::<std::arch::x86_64::__m256d>($($argument),*),
            (Precision::F64, _) => $bind::<lane::Wide<f64, 4>>($($argument),*),
            (other, _) => Err(fused::not_on_the_host(other)),
        }
    };
}

/// Implements what is compiled for a processor's feature for all lane types: `$functions!(lane, "features")`.
macro_rules! for_each_lane {
    ($functions:ident) => {
        $functions!($crate::potential::fused::lane::Wide<f32, 8>);
        $functions!($crate::potential::fused::lane::Wide<f64, 4>);
        #[cfg(target_arch = "x86_64")]
        const _: () = {
            use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};
            $functions!(__m512, "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma");
            $functions!(__m512d, "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma");
            $functions!(__m256, "avx2,fma");
            $functions!(__m256d, "avx2,fma");
        };
    };
}

pub(in crate::potential) use {for_each_lane, with_lanes};

/// Checks that networks, PaiNN among them, are computed in these numbers on the processor.
///
/// # Errors
/// They are not.
pub fn check_precision(precision: Precision) -> Result<()> {
    match precision {
        Precision::F64 | Precision::F32 | Precision::Int8 => Ok(()),
        other => Err(not_on_the_host(other)),
    }
}

/// Why networks, or those that are no PaiNN, are not computed in these numbers on the processor, and what to set.
pub(in crate::potential) fn not_on_the_host(precision: Precision) -> Error {
    if precision == Precision::Int8 {
        return Error::input(
            "networks but PaiNN are computed in f64 or f32 on the CPU, not in int8: set precision = \"f32\"",
        );
    }
    Error::input(format!(
        "networks are computed in f64, f32 and, of PaiNN, int8 on the CPU, not in {precision}, which takes a GPU's tensor \
         cores: set precision = \"f32\", or compute on a GPU \
         ([device] kind = \"cuda:0\", --device cuda:0)"
    ))
}

/// Checks that the processor has the instructions.
///
/// # Errors
/// It has not.
pub(in crate::potential) fn check_instructions(isa: Isa) -> Result<()> {
    match Isa::available().contains(&isa) {
        true => Ok(()),
        false => Err(Error::input(format!(
            "this processor has no {}",
            isa.name()
        ))),
    }
}

/// The indices of atoms' species among those present, which come with them in ascending order.
pub(in crate::potential) fn species_indices(species: &[u8]) -> (Vec<u8>, Vec<u32>) {
    let mut present = species.to_vec();
    present.sort_unstable();
    present.dedup();
    let index = |z: &u8| present.binary_search(z).map_or(0, |k| k as u32);
    let indices = species.iter().map(index).collect();
    (present, indices)
}

/// The indices of atoms' species among those `present`, which a network is packed for.
///
/// # Errors
/// One is not among them.
pub(in crate::potential) fn indices_among(present: &[u8], species: &[u8]) -> Result<Vec<u32>> {
    let index = |z: &u8| match present.binary_search(z) {
        Ok(k) => Ok(k as u32),
        Err(_) => Err(Error::input(format!(
            "the network is bound to no atom of {}",
            symbol(*z)
        ))),
    };
    species.iter().map(index).collect()
}

/// What a fused engine is, in words.
pub(in crate::potential) fn about(
    potential: String,
    precision: Precision,
    error: SplineError,
    isa: Isa,
    threads: usize,
) -> About {
    About {
        potential,
        arithmetic: precision.to_string(),
        implementation: "fused".to_owned(),
        approximation: format!(
            "filters as quintic splines, errors at most {:.0e} of a filter and {:.0e} of a slope",
            error.value, error.slope
        ),
        place: Processor::Cpu {
            instructions: Some(isa.name()),
            threads: Some(threads.max(1)),
        },
    }
}
