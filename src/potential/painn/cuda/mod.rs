//! PaiNN on a card, in f32 and less, with an analytic backward pass: from the pairs within the cutoff to their gradients.

mod block;
mod buffers;
mod choice;
mod division;
mod eight;
mod launch;
mod messages;
mod numbers;
mod packs;
mod products;
mod shape;
mod streams;
mod tables;

use std::sync::Arc;

use self::buffers::NetworkBuffers;
use self::eight::CardInt8;
use self::launch::Launches;
use self::shape::{MESSAGES, NETWORK, STAGES_AND_KERNELS};
use super::{Int8Weights, Layer, Spec, Weights};
use crate::cuda::Device;
use crate::cuda::compiler::Part;
use crate::cuda::launch::{LoadedKernels, Size};
use crate::cuda::memory::Memory;
use crate::potential::device::{
    BoundPotential, DevicePotential, DeviceView, Outputs, check_numbers,
};
use crate::potential::{About, Precision, Processor};
use crate::{Error, Result};

pub use self::choice::Choice;
pub use self::division::Division;
pub use self::messages::{Messages, Teams};
pub use self::numbers::CardNumbers;
pub use self::shape::Shape;
pub use self::tables::Splines;

/// Under so many atoms a change between kernels takes longer than more cache saves.
const SHORT_STEP: usize = 5000;
/// What the kernels in 16 bits keep of a pair (bytes).
const SPOT_BYTES: usize = 16;

/// Numbers that there are kernels in.
const NUMBERS: [Precision; 5] = [
    Precision::F32,
    Precision::Tf32,
    Precision::Bf16,
    Precision::F16,
    Precision::Int8,
];

/// A model to be evaluated on a card.
#[derive(Clone)]
pub struct CudaPainn<'a> {
    spec: &'a Spec,
    weights: &'a Weights,
    choice: Option<Choice>,
    precision: Precision,
    int8: Option<Arc<Int8Weights>>,
}

impl<'a> CudaPainn<'a> {
    /// Checks that the kernels leave nothing of a model out.
    ///
    /// # Errors
    /// Its vector layers have a bias.
    pub fn check(weights: &Weights) -> Result<()> {
        let has_bias = |layer: &Layer| !layer.mix.bias.is_empty();
        match weights.layers.iter().any(has_bias) {
            true => Err(Error::input(
                "the model's vector layers have a bias, which the kernels on a card leave out",
            )),
            false => Ok(()),
        }
    }

    /// A model whose kernels are chosen for the card and the number of atoms.
    pub fn new(spec: &'a Spec, weights: &'a Weights) -> Self {
        Self {
            spec,
            weights,
            choice: None,
            precision: Precision::F32,
            int8: None,
        }
    }

    /// Computes in these numbers instead of f32.
    pub fn in_numbers(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Computes with these weights in 8 bits.
    pub fn in_int8(self, int8: Arc<Int8Weights>) -> Self {
        Self {
            precision: Precision::Int8,
            int8: Some(int8),
            ..self
        }
    }

    /// Its weights in 8 bits, where those are asked for.
    fn int8(&self) -> Result<Option<CardInt8>> {
        match (self.precision, &self.int8) {
            (Precision::Int8, Some(int8)) => CardInt8::new(self.weights, int8).map(Some),
            (Precision::Int8, None) => Err(Error::run(
                "weights in 8 bits are not found yet for these atoms",
            )),
            _ => Ok(None),
        }
    }

    /// Checks that there are kernels in its numbers.
    ///
    /// # Errors
    /// There are none.
    pub fn check_numbers(&self) -> Result<()> {
        check_numbers(&self.spec.words(), &NUMBERS, self.precision)
    }

    /// Chooses the kernels by hand, to measure or test them.
    pub fn with(self, choice: Choice) -> Self {
        Self {
            choice: Some(choice),
            ..self
        }
    }
}

impl DevicePotential for CudaPainn<'_> {
    fn cutoff(&self) -> f64 {
        self.spec.cutoff
    }

    fn about(&self, card: Processor) -> About {
        About {
            potential: self.spec.words(),
            arithmetic: self.precision.to_string(),
            implementation: "fused CUDA kernels".to_owned(),
            approximation: String::new(),
            place: card,
        }
    }

    fn demand(&self, atoms: usize) -> usize {
        // One that cannot be had is refused when it is bound.
        let numbers = CardNumbers::of(self.precision).unwrap_or(CardNumbers::Single);
        buffers::demand(atoms, self.spec, self.weights, numbers)
    }

    fn bind(&self, device: &Device, view: &DeviceView<'_>) -> Result<Box<dyn BoundPotential>> {
        self.check_numbers()?;
        let numbers = CardNumbers::of(self.precision)?;
        let int8 = self.int8()?;
        let spec = self.spec;
        let weights = int8.as_ref().map_or(self.weights, |int8| &int8.widened);
        let Some(last) = weights.readout.last().filter(|_| spec.layers > 0) else {
            return Err(Error::input(format!(
                "PaiNN on a card takes a model with an interaction and a readout, not {} interactions and {} readout layers",
                spec.layers,
                weights.readout.len()
            )));
        };
        Self::check(weights)?;
        let atoms = view.species.len();
        let chosen = || Choice::for_card(device.card, spec, weights, view.chosen_for, numbers);
        let choice = self.choice.unwrap_or_else(chosen);
        let shape = Shape::new(spec, weights, choice, view.watched);
        let buffers =
            NetworkBuffers::new(device, view.species, spec, weights, int8.as_ref(), &shape)?;
        Ok(Box::new(BoundCudaPainn {
            engine: view.source.to_owned(),
            heads: buffers.heads(),
            buffers,
            shape,
            atoms,
            processors: device.card.processors,
            device: device.clone(),
            spots: None,
            bias: (last.bias.first()).map_or(0.0, |b| b * spec.energy_scale),
            spec: spec.clone(),
        }))
    }
}

/// A model with its memory on a card.
struct BoundCudaPainn {
    /// The text that declares the engine's block.
    engine: String,
    buffers: NetworkBuffers,
    heads: Vec<(usize, usize)>,
    shape: Shape,
    atoms: usize,
    processors: u32,
    device: Device,
    /// What the kernels in 16 bits keep of each pair: where on the splines it lies.
    spots: Option<Memory>,
    /// What the network's energy of each atom leaves out (eV).
    bias: f64,
    spec: Spec,
}

impl BoundPotential for BoundCudaPainn {
    fn parts(&self) -> Vec<Part> {
        self.shape.parts(&self.engine)
    }

    fn prepare(&self, program: &mut LoadedKernels) -> Result<()> {
        program.set(NETWORK, &self.buffers.bytes())?;
        if self.shape.choice.messages.staged() {
            let bytes = self.shape.table_bytes();
            (MESSAGES.iter()).try_for_each(|name| program.allow_shared(name, bytes))?;
        }
        if self.shape.choice.division.stages() {
            for (stage, names) in STAGES_AND_KERNELS {
                let bytes = self.shape.stage_bytes(stage);
                (names.iter()).try_for_each(|name| program.allow_shared(name, bytes))?;
            }
        }
        Ok(())
    }

    fn short_steps(&self) -> bool {
        self.shape.choice.division.stages() && self.atoms < SHORT_STEP
    }

    fn gradient_parts(&self) -> usize {
        self.shape.slices()
    }

    fn offset(&self, species: &[u8]) -> f64 {
        self.bias * species.len() as f64 + self.spec.offset(species)
    }

    fn pair_bytes(&self) -> usize {
        match self.shape.choice.numbers.narrow() {
            true => SPOT_BYTES,
            false => 0,
        }
    }

    fn make_room(&mut self, pairs: usize) -> Result<()> {
        if self.pair_bytes() > 0 {
            // What there was is given back before more is taken.
            self.spots = None;
            let spots = self.device.zeros(pairs * SPOT_BYTES)?;
            self.buffers.keep_spots_in(&spots);
            self.spots = Some(spots);
        }
        Ok(())
    }

    fn see(
        &mut self,
        program: &mut LoadedKernels,
        _block: &dyn Fn(Outputs) -> Vec<u8>,
    ) -> Result<()> {
        match self.spots {
            Some(_) => program.set(NETWORK, &self.buffers.bytes()),
            None => Ok(()),
        }
    }

    fn queue(&self, program: &LoadedKernels) -> Result<()> {
        let launches = Launches {
            program,
            shape: &self.shape,
            atoms: self.atoms,
            processors: self.processors,
            heads: &self.heads,
        };
        launches.network()
    }

    fn queue_energies(&self, program: &LoadedKernels) -> Result<()> {
        program.go(c"energies", Size::warps(self.atoms), [])
    }

    fn memory(&self) -> usize {
        self.buffers.total() + self.spots.as_ref().map_or(0, Memory::bytes)
    }
}
