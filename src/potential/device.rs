//! Potentials whose pairs, forces and energies stay on a card: pairs in, gradients of pairs and energies of atoms out.
//!
//! Such a potential sees what the engine has in its block of constants `E` ([`DeviceView::source`] declares it): for atoms by
//! slot `species`; for pairs within the cutoff `rows`, `active`, `geometry`, `pair`. It writes `push`, and, when it is asked for,
//! `energy`. It knows no velocity and no thermostat.

pub(in crate::potential) mod layered;
pub(in crate::potential) mod readout;

use std::ops::Range;

use crate::cuda::Device;
use crate::cuda::compiler::Part;
use crate::cuda::launch::LoadedKernels;
use crate::cuda::layout::Pointer;
use crate::potential::{About, Precision, Processor};
use crate::{Error, Result};

/// The elements of a system in ascending order: `species` of the block `E` counts in them.
pub use crate::core::elements::kinds as elements;

/// Checks the numbers that a network is to be computed in against those that its kernels have; `what` names it.
///
/// # Errors
/// They are none of them.
pub fn check_numbers(what: &str, have: &[Precision], asked: Precision) -> Result<()> {
    if have.contains(&asked) {
        return Ok(());
    }
    let have: Vec<&str> = have.iter().map(|one| one.name()).collect();
    Err(Error::input(format!(
        "{what}: on a GPU it is computed in {}, not in {asked}: set precision = \"f32\"",
        have.join(" or ")
    )))
}

/// A potential that can be evaluated on a card.
pub trait DevicePotential: Send {
    /// Range (angstrom): atoms farther apart do not interact directly.
    fn cutoff(&self) -> f64;

    /// What computes it on this card.
    fn about(&self, card: Processor) -> About;

    /// Forecasts what `atoms` atoms will take at least (bytes), without weights and pairs.
    fn demand(&self, atoms: usize) -> usize;

    /// Takes memory for atoms of these species on a card and fills it.
    ///
    /// # Errors
    /// The potential does not know an element, or there is no room on the card.
    fn bind(&self, device: &Device, view: &DeviceView<'_>) -> Result<Box<dyn BoundPotential>>;
}

/// What a potential is bound to.
pub struct DeviceView<'a> {
    /// The C++ text that declares the block `E`, to begin each part with.
    pub source: &'a str,
    /// Atomic number of each atom.
    pub species: &'a [u8],
    /// The atoms of each system, one behind another; kernels of `source` know of one alone, or of several.
    pub systems: &'a [Range<usize>],
    /// Number of atoms that kernels are chosen for: with the same choice, an atom's bits do not depend on how many there are.
    pub chosen_for: usize,
    /// Whether a tool watches shared memory: see [`Making`](crate::engine::cuda::Making).
    pub watched: bool,
}

/// Where a potential writes to, in the engine's block of constants.
#[derive(Debug, Clone, Copy)]
pub struct Outputs {
    /// Gradients of pairs.
    pub push: Pointer<[f32; 4]>,
    /// What each atom adds to the energy (eV), by slot.
    pub energy: Pointer<f64>,
}

/// A potential with its memory on a card.
pub trait BoundPotential: Send {
    /// Parts of its kernels.
    fn parts(&self) -> Vec<Part>;

    /// Sets what its kernels need once they are loaded.
    ///
    /// # Errors
    /// The device failed.
    fn prepare(&self, program: &mut LoadedKernels) -> Result<()>;

    /// Whether steps are so short that all kernels share one split of the memory between cache and shared.
    fn short_steps(&self) -> bool {
        false
    }

    /// Parts in which the gradient of a pair comes: entries of `push` that are added up.
    fn gradient_parts(&self) -> usize;

    /// What is to be added to the energies of atoms of these species (eV).
    fn offset(&self, species: &[u8]) -> f64;

    /// Makes room for as many pairs, where it keeps something for each.
    ///
    /// # Errors
    /// There is none.
    fn make_room(&mut self, _pairs: usize) -> Result<()> {
        Ok(())
    }

    /// Memory that it keeps for each pair (bytes).
    fn pair_bytes(&self) -> usize {
        0
    }

    /// Is told of a change of the engine's block of constants, which `program` has already: for one that keeps kernels of
    /// its own, or blocks of constants that change with it. `block` gives the engine's block with other outputs.
    ///
    /// # Errors
    /// The device failed.
    fn see(
        &mut self,
        _program: &mut LoadedKernels,
        _block: &dyn Fn(Outputs) -> Vec<u8>,
    ) -> Result<()> {
        Ok(())
    }

    /// Starts what turns the present pairs into their gradients.
    ///
    /// # Errors
    /// The device failed.
    fn queue(&self, program: &LoadedKernels) -> Result<()>;

    /// Starts what computes the energy of each atom, behind [`BoundPotential::queue`] of the same pairs.
    ///
    /// # Errors
    /// The device failed.
    fn queue_energies(&self, program: &LoadedKernels) -> Result<()>;

    /// Whether it is a committee, whose members are apart.
    fn has_spread(&self) -> bool {
        false
    }

    /// Starts what writes the two numbers of [`Spread`](crate::core::Spread), force and energy, to an address, behind
    /// [`BoundPotential::queue_energies`]; those of each further system `stride` numbers (f64) on; nothing where there is none.
    ///
    /// # Errors
    /// The device failed.
    fn queue_spread(&self, _program: &LoadedKernels, _address: u64, _stride: usize) -> Result<()> {
        Ok(())
    }

    /// Memory in use on the card (bytes).
    fn memory(&self) -> usize;
}
