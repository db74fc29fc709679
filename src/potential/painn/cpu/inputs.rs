//! What the products of a network are applied to: the rows of each, seen between the stages of an evaluation.

use super::ATOMS_PER_BLOCK;
use super::lane::Real;
use super::memory::Shared;
use super::network::Network;
use super::stages::{AtomStage, LaneKernels, Stage};
use super::view::View;
use super::workspace::Workspace;
use crate::Result;
use crate::neighbors::Pairs;
use crate::potential::Evaluation;
use crate::potential::painn::Int8Product;

/// The left factor of a product: a row for each atom, or three of a vector's components.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductInputs {
    /// Numbers of a row; those of a hidden layer of the readout are followed by zeros up to whole slices.
    pub width: usize,
    /// Row-major, \[rows\]\[width\].
    pub rows: Vec<f64>,
}

/// Where the left factor of a product lies.
struct LeftFactor<T> {
    array: Shared<T>,
    count: usize,
    /// Numbers from one row to the next, and before the first.
    stride: usize,
    offset: usize,
    /// Parts of a row, each so wide and padded to so many.
    parts: usize,
    width: usize,
    padded: usize,
}

/// Evaluates up to the energy, one stage after another on this thread, and shows the rows of each product before it.
pub(super) fn visit<V: LaneKernels>(
    network: &Network<V::T>,
    species: Vec<u32>,
    pairs: &Pairs,
    visit: &mut dyn FnMut(Int8Product, &ProductInputs),
) -> Result<()> {
    let atoms = species.len();
    // A row for every atom in the scratch arrays, which stages that are not chained have.
    let blocks = atoms.div_ceil(ATOMS_PER_BLOCK);
    let mut workspace = Workspace::new(network, species, blocks);
    let mut out = Evaluation::zeros(atoms);
    (workspace.rows).prepare(pairs, network.cutoff, 1, &mut out)?;
    let (view, program) = workspace.view(network, pairs, (blocks, false), 1.0, &mut out);
    for &stage in program {
        if let Some((product, rows)) = before(stage, &view) {
            visit(product, &rows.read());
        }
        for task in 0..stage.tasks(&view) {
            // What the first stage finds not to be a pair list is not followed.
            if stage == Stage::Geometry || !view.faulty() {
                // SAFETY: whoever bound the network has checked the processor, `prepare` the sizes; tasks run one after another.
                unsafe { V::task(&view, stage, task, 0) }
            }
        }
        if let Stage::Atoms(AtomStage::Readout, _) = stage {
            for (product, rows) in readout(&view) {
                visit(product, &rows.read());
            }
            break;
        }
    }
    workspace.rows.finish(&mut out).map(drop)
}

/// The product that a stage computes, with what it is applied to; `None` of a stage without, and of the way back.
fn before<T: Real>(stage: Stage, view: &View<'_, T>) -> Option<(Int8Product, LeftFactor<T>)> {
    let Stage::Atoms(stage, layer) = stage else {
        return None;
    };
    let padded = view.network.features;
    let of = |array, per_atom: usize, stride: usize, parts: usize| LeftFactor {
        array,
        count: per_atom * view.atoms,
        stride,
        offset: 0,
        parts,
        width: view.network.width_of_model,
        padded,
    };
    Some(match stage {
        AtomStage::Mix => (Int8Product::Mix(layer), of(view.vectors, 3, padded, 1)),
        AtomStage::UpdateHidden => (
            Int8Product::Update(layer, 0),
            of(view.features, 1, 2 * padded, 2),
        ),
        AtomStage::Update => (Int8Product::Update(layer, 1), of(view.hidden, 1, padded, 1)),
        AtomStage::ContextHidden => (
            Int8Product::Context(layer, 0),
            of(view.features, 1, 2 * padded, 1),
        ),
        AtomStage::Context => (
            Int8Product::Context(layer, 1),
            of(view.hidden, 1, padded, 1),
        ),
        AtomStage::Readout => (Int8Product::Readout(0), of(view.features, 1, 2 * padded, 1)),
        _ => return None,
    })
}

/// The products of the readout behind the first, with what they were applied to.
fn readout<'v, T: Real>(
    view: &'v View<'_, T>,
) -> impl Iterator<Item = (Int8Product, LeftFactor<T>)> + 'v {
    let readout = &view.network.readout;
    (readout.hidden.iter().enumerate()).map(move |(k, hidden)| {
        let rows = LeftFactor {
            array: view.readout,
            count: view.atoms,
            stride: readout.size,
            offset: hidden.offset,
            parts: 1,
            width: hidden.width,
            padded: hidden.width,
        };
        (Int8Product::Readout(k + 1), rows)
    })
}

impl<T: Real> LeftFactor<T> {
    fn read(&self) -> ProductInputs {
        let mut rows = Vec::with_capacity(self.count * self.parts * self.width);
        for row in 0..self.count {
            for part in 0..self.parts {
                let from = row * self.stride + self.offset + part * self.padded;
                // SAFETY: the arrays live, have these rows, and no task is at work.
                rows.extend(
                    (from..from + self.width).map(|at| unsafe { (*self.array.at(at)).to_f64() }),
                );
            }
        }
        ProductInputs {
            width: self.parts * self.width,
            rows,
        }
    }
}
