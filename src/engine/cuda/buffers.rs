//! What the kernels see: the structures of `kernels/params.cu`, field by field, and the memory behind them.

use super::compile::{Division, Shape};
use super::device::{Device, Memory, read_at};
use super::products::{self, Product};
use super::tables::{self, SpeciesTables, padded};
use super::{packs, streams};
use crate::core::{Cell, Mat3, System};
use crate::potential::painn::{Linear, Spec, Weights};
use crate::{Error, Result};

/// Number of operators that one program may have.
pub(super) const MOST_OPS: usize = 16;
/// Numbers that a snapshot sums over atoms.
pub(super) const OBSERVED: usize = 16;
/// Atoms that a block of the kernels that sum them takes, a warp each.
pub(super) const OBSERVE_BLOCK: usize = 8;
/// Numbers (f64) of an atom on its way to another slot.
const RECORD: usize = 11;

/// A structure of plain numbers and addresses, which has no padding.
pub(super) trait Plain: Copy {}
impl Plain for Params {}
impl Plain for LayerParams {}
impl Plain for HeadParams {}

/// The bytes of a structure.
fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: `Plain` types have no padding, so all their bytes are initialised.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// `Op` of the kernels.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct DeviceOp {
    pub kind: u32,
    pub unused: u32,
    pub a: f64,
    pub b: f64,
}

/// `State` of the kernels.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct State {
    pub begun: u64,
    pub done: u64,
    pub until: u64,
    pub halt: u32,
    pub pending: u32,
    pub ticket: u32,
    pub muted: u32,
    pub pairs: u32,
    pub reach: u32,
    pub drift_removed: u64,
    pub checked: u64,
    pub heat: f64,
}

/// `Params` of the kernels up to the layers.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Params {
    pub atoms: u32,
    pub list_capacity: u32,
    pub cell_capacity: u32,
    pub species_count: u32,
    pub seed: u32,
    pub replica: u32,
    pub before: u32,
    pub after: u32,
    pub ops: [DeviceOp; MOST_OPS],
    pub cell: [[f64; 3]; 3],
    pub inverse: [[f64; 3]; 3],
    pub height: [f64; 3],
    pub periodic: [u32; 3],
    pub remove_drift: u32,
    pub cutoff: f64,
    pub range: f64,
    pub slack2: f64,
    pub force_limit2: f64,
    pub contact_limit: f64,
    pub kinetic_limit: f64,
    pub total_mass: f64,
    pub held_mass: f64,
    pub noise_start: u64,
    state: u64,
    grid: u64,
    pos: u64,
    vel: u64,
    force: u64,
    heat: u64,
    mass: u64,
    built: u64,
    species: u64,
    id: u64,
    slot: u64,
    rows: u64,
    col: u64,
    rev: u64,
    image: u64,
    draft_col: u64,
    draft_image: u64,
    row_count: u64,
    active: u64,
    geometry: u64,
    pair: u64,
    opposite: u64,
    push: u64,
    cell_of: u64,
    cell_start: u64,
    cell_fill: u64,
    cell_atoms: u64,
    wrap: u64,
    scratch: u64,
    sums: u64,
    embedding: u64,
    first_context: u64,
    q: u64,
    q1: u64,
    mu1: u64,
    grad_q: u64,
    grad_mu: [u64; 2],
    head_out: u64,
    pub knots_per_length: f32,
    weights_unit: f32,
}

impl Params {
    /// Cell, cutoff and skin (angstrom).
    pub fn describe_box(&mut self, cell: &Cell, cutoff: f64, skin: f64) {
        let inverse = cell.vectors().try_inverse().unwrap_or_else(Mat3::identity);
        for a in 0..3 {
            for b in 0..3 {
                self.cell[a][b] = cell.vectors()[(a, b)];
                self.inverse[a][b] = inverse[(a, b)];
            }
            self.height[a] = cell.height(a);
            self.periodic[a] = u32::from(cell.periodic()[a]);
        }
        self.cutoff = cutoff;
        self.range = cutoff + skin;
        self.slack2 = 0.25 * skin * skin;
    }
}

/// `Layer` of the kernels.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct LayerParams {
    context1: u64,
    context1_bias: u64,
    context2: u64,
    context2_bias: u64,
    mix: u64,
    update1: u64,
    update1_bias: u64,
    update2: u64,
    update2_bias: u64,
    context1_t: u64,
    context2_t: u64,
    mix_t: u64,
    update1_t: u64,
    update2_t: u64,
    table: u64,
    mu: u64,
    x: u64,
    h: u64,
    vw: u64,
    norm: u64,
    dot: u64,
    k: u64,
    b: u64,
    c: u64,
    forward: u64,
    backward: u64,
    epsilon: f32,
    unused: f32,
}

/// `Head` of the kernels.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct HeadParams {
    weight: u64,
    bias: u64,
    weight_t: u64,
    h: u64,
    inputs: u32,
    outputs: u32,
}

/// Neighbours of one receiver: id, and image.
pub(super) type ActiveRow = Vec<(usize, [i32; 3])>;

/// Everything on the card.
pub(super) struct Buffers {
    pub params: Params,
    layers: Vec<LayerParams>,
    heads: Vec<HeadParams>,
    /// Keeps alive what the addresses point to.
    fixed: Vec<Memory>,
    list: Vec<Memory>,
    pub state: Memory,
    pub positions: Memory,
    pub velocities: Memory,
    pub masses: Memory,
    pub sums: Memory,
}

/// Allocates and keeps.
struct Keeper<'a> {
    device: &'a Device,
    kept: Vec<Memory>,
}

impl Keeper<'_> {
    /// The address of room for so many numbers of type `T`.
    fn room<T>(&mut self, count: usize) -> Result<u64> {
        self.keep(self.device.zeros(count * size_of::<T>())?)
    }

    /// The address of a copy.
    fn copy<T: Copy>(&mut self, values: &[T]) -> Result<u64> {
        self.keep(self.device.copy_of(values)?)
    }

    fn keep(&mut self, memory: Memory) -> Result<u64> {
        let address = memory.address();
        self.kept.push(memory);
        Ok(address)
    }
}

impl Buffers {
    /// Room for so many atoms, with a model's weights in it.
    pub fn new(
        device: &Device,
        system: &System,
        spec: &Spec,
        weights: &Weights,
        shape: &Shape,
    ) -> Result<Self> {
        let n = system.len();
        let mut keeper = Keeper {
            device,
            kept: Vec::new(),
        };
        let k = &mut keeper;
        let state = device.zeros(size_of::<State>())?;
        let (positions, velocities) = (device.zeros(24 * n)?, device.zeros(24 * n)?);
        let masses = device.copy_of(&system.masses)?;
        let sums = device.zeros((n.div_ceil(OBSERVE_BLOCK) + 1) * OBSERVED * 8)?;
        let mut params = Params {
            atoms: n as u32,
            cell_capacity: n.next_power_of_two().clamp(1 << 12, 1 << 22) as u32,
            state: state.address(),
            pos: positions.address(),
            vel: velocities.address(),
            mass: masses.address(),
            sums: sums.address(),
            ..Params::default()
        };
        place_atoms(k, &mut params, n)?;
        let tables = SpeciesTables::new(&system.species, spec, weights)?;
        params.species_count = (tables.embedding.len() / padded(spec.features)) as u32;
        params.species = k.copy(&tables.index)?;
        params.embedding = k.copy(&tables.embedding)?;
        params.first_context = k.copy(&tables.context)?;
        let f = padded(spec.features);
        for (to, width) in [
            (&mut params.q, f),
            (&mut params.q1, f),
            (&mut params.mu1, 3 * f),
            (&mut params.grad_q, f),
        ] {
            *to = k.room::<f32>(n * width)?;
        }
        params.grad_mu = [k.room::<f32>(n * 3 * f)?, k.room::<f32>(n * 3 * f)?];
        params.weights_unit = streams::unit(weights);
        params.knots_per_length = (shape.splines.intervals as f64 / spec.cutoff) as f32;
        let layers = (0..spec.layers)
            .map(|l| place_layer(k, n, l, spec, weights, shape))
            .collect::<Result<Vec<_>>>()?;
        let heads = place_heads(k, n, spec, weights, &mut params)?;
        Ok(Self {
            params,
            layers,
            heads,
            fixed: keeper.kept,
            list: Vec::new(),
            state,
            positions,
            velocities,
            masses,
            sums,
        })
    }

    /// Makes room for a list of so many pairs; what was in it is gone.
    pub fn make_room(&mut self, device: &Device, pairs: usize, slices: usize) -> Result<()> {
        self.list.clear();
        let mut k = Keeper {
            device,
            kept: Vec::new(),
        };
        let p = &mut self.params;
        p.col = k.room::<u32>(pairs)?;
        p.rev = k.room::<u32>(pairs)?;
        p.image = k.room::<i64>(pairs)?;
        // The drafts of a build live where the pushes of a step do.
        p.push = k.room::<f32>(pairs * slices * 4)?;
        p.geometry = k.room::<f32>(pairs * 4)?;
        p.pair = k.room::<u32>(pairs * 2)?;
        p.opposite = k.room::<u32>(pairs)?;
        p.draft_image = p.push;
        p.draft_col = p.pair;
        p.list_capacity = pairs as u32;
        self.list = k.kept;
        Ok(())
    }

    /// The parameters as the kernels lay them out.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = bytes_of(&self.params).to_vec();
        for layer in &self.layers {
            bytes.extend(bytes_of(layer));
        }
        for head in &self.heads {
            bytes.extend(bytes_of(head));
        }
        if self.heads.is_empty() {
            bytes.extend(bytes_of(&HeadParams::default()));
        }
        bytes
    }

    /// Widths of the hidden layers of the readout, as (inputs, outputs).
    pub fn heads(&self) -> Vec<(usize, usize)> {
        (self.heads.iter())
            .map(|h| (h.inputs as usize, h.outputs as usize))
            .collect()
    }

    /// The pairs of the list: ids of receiver and neighbour, image of the neighbour.
    pub fn read_pairs(&self, device: &Device) -> Result<Vec<(usize, usize, [i32; 3])>> {
        let (p, stream) = (&self.params, &device.stream);
        let n = p.atoms as usize;
        let (mut ids, mut rows) = (vec![0u32; n], vec![0u32; n + 1]);
        // SAFETY: lengths as allocated in `place_atoms`.
        unsafe {
            read_at(stream, p.id, &mut ids)?;
            read_at(stream, p.rows, &mut rows)?;
        }
        let count = (rows[n] as usize).min(p.list_capacity as usize);
        let (mut col, mut image) = (vec![0u32; count], vec![0i64; count]);
        // SAFETY: no longer than allocated in `make_room`.
        unsafe {
            read_at(stream, p.col, &mut col)?;
            read_at(stream, p.image, &mut image)?;
        }
        let row = |i: usize| rows[i] as usize..rows[i + 1] as usize;
        let pair = |i: usize, at: usize| {
            (
                ids[i] as usize,
                ids[col[at] as usize] as usize,
                unpack_image(image[at]),
            )
        };
        Ok((0..n)
            .flat_map(|i| row(i).map(move |at| (i, at)))
            .map(|(i, at)| pair(i, at))
            .collect())
    }

    /// The pairs within the cutoff that the last evaluation worked with, of some receivers (ids): id and
    /// image of each neighbour.
    pub fn read_active(&self, device: &Device, receivers: &[usize]) -> Result<Vec<ActiveRow>> {
        let (p, stream) = (&self.params, &device.stream);
        let mut ids = vec![0u32; p.atoms as usize];
        // SAFETY: as long as allocated in `place_atoms`.
        unsafe { read_at(stream, p.id, &mut ids)? };
        let lost = || Error::run("CUDA: a row of the pairs is outside of the list".to_owned());
        let row = |&receiver: &usize| {
            let (mut slot, mut ends, mut active) = ([0u32], [0u32; 2], [0u32]);
            if receiver >= ids.len() {
                return Err(lost());
            }
            // SAFETY: these arrays have an entry for each atom, rows one more; what the device holds of them
            // is checked before it is used.
            unsafe {
                read_at(stream, p.slot + 4 * receiver as u64, &mut slot)?;
                if slot[0] >= p.atoms {
                    return Err(lost());
                }
                let slot = u64::from(slot[0]);
                read_at(stream, p.rows + 4 * slot, &mut ends)?;
                read_at(stream, p.active + 4 * slot, &mut active)?;
            }
            let [start, end] = ends;
            if start > end || end > p.list_capacity || active[0] > end - start {
                return Err(lost());
            }
            let mut pairs = vec![[0u32; 2]; active[0] as usize];
            let mut images = vec![0i64; (end - start) as usize];
            // SAFETY: both ranges lie within the list, as seen above.
            unsafe {
                read_at(stream, p.pair + 8 * u64::from(start), &mut pairs)?;
                read_at(stream, p.image + 8 * u64::from(start), &mut images)?;
            }
            let neighbor = |&[slot, place]: &[u32; 2]| {
                let id = *ids.get(slot as usize)?;
                let image = *images.get(place.checked_sub(start)? as usize)?;
                Some((id as usize, unpack_image(image)))
            };
            let found: Option<Vec<_>> = pairs.iter().map(neighbor).collect();
            found.ok_or_else(lost)
        };
        receivers.iter().map(row).collect()
    }

    /// Memory of the list of pairs (bytes).
    pub fn list_bytes(&self) -> usize {
        self.list.iter().map(Memory::bytes).sum()
    }

    /// Memory in use on the card (bytes).
    pub fn total(&self) -> usize {
        let own = [
            &self.state,
            &self.positions,
            &self.velocities,
            &self.masses,
            &self.sums,
        ];
        (self.fixed.iter().chain(&self.list).chain(own))
            .map(Memory::bytes)
            .sum()
    }
}

/// An image as the kernels pack it.
fn unpack_image(packed: i64) -> [i32; 3] {
    /// As `IMAGE_BIAS` of the kernels.
    const BIAS: i64 = 1 << 20;
    [42, 21, 0].map(|s| (((packed >> s) & (2 * BIAS - 1)) - BIAS) as i32)
}

/// Arrays with one entry per atom or cell.
fn place_atoms(k: &mut Keeper<'_>, p: &mut Params, n: usize) -> Result<()> {
    /// Bytes of the kernels' `Grid`, rounded up.
    const GRID: usize = 128;
    let ids: Vec<u32> = (0..n as u32).collect();
    p.grid = k.room::<u8>(GRID)?;
    p.force = k.room::<f64>(3 * n)?;
    p.heat = k.room::<f64>(n)?;
    p.built = k.room::<f64>(3 * n)?;
    p.id = k.copy(&ids)?;
    p.slot = k.copy(&ids)?;
    p.rows = k.room::<u32>(n + 1)?;
    p.row_count = k.room::<u32>(n)?;
    p.active = k.room::<u32>(n)?;
    p.cell_of = k.room::<u32>(n)?;
    p.cell_start = k.room::<u32>(p.cell_capacity as usize + 1)?;
    p.cell_fill = k.room::<u32>(p.cell_capacity as usize)?;
    p.cell_atoms = k.room::<u32>(n)?;
    p.wrap = k.room::<i64>(n)?;
    p.scratch = k.room::<f64>(n * RECORD)?;
    Ok(())
}

/// Weights of one layer, both ways round, and room for what it computes.
fn place_layer(
    k: &mut Keeper<'_>,
    n: usize,
    l: usize,
    spec: &Spec,
    weights: &Weights,
    shape: &Shape,
) -> Result<LayerParams> {
    let (old, f) = (spec.features, padded(spec.features));
    let layer = &weights.layers[l];
    let mut both = |linear: &Linear, groups: [usize; 2]| -> Result<[u64; 3]> {
        let weight = tables::spread(linear, groups, [old; 2], [f; 2]);
        let transposed = tables::transposed(&weight, groups[0] * f);
        let bias = tables::spread_bias(linear, groups[0], old, f);
        Ok([k.copy(&weight)?, k.copy(&bias)?, k.copy(&transposed)?])
    };
    let context1 = both(&layer.context[0], [1, 1])?;
    let context2 = both(&layer.context[1], [3, 1])?;
    let mix = both(&layer.mix, [2, 1])?;
    let update1 = both(&layer.update[0], [1, 2])?;
    let update2 = both(&layer.update[1], [3, 1])?;
    let table = k.copy(&tables::filter_table(layer, spec, shape.splines))?;
    let mut pack = |products: Vec<Product>| {
        if shape.division == Division::Strips {
            return k.copy(&streams::of_stage(f, &products, streams::unit(weights)));
        }
        k.copy(&packs::of_stage(f, &products))
    };
    let [forward, backward] = match (shape.division.stages(), l + 1 < spec.layers) {
        (false, _) => [0; 2],
        (true, false) => [pack(products::forward(l, spec, weights))?, 0],
        (true, true) => [
            pack(products::forward(l, spec, weights))?,
            pack(products::backward(l, spec, weights))?,
        ],
    };
    let mut room = |width: usize| k.room::<f32>(n * width * f);
    // The first layer has no vectors coming in, and its context is a table of species.
    let later = usize::from(l > 0);
    Ok(LayerParams {
        context1: context1[0],
        context1_bias: context1[1],
        context1_t: context1[2],
        context2: context2[0],
        context2_bias: context2[1],
        context2_t: context2[2],
        mix: mix[0],
        mix_t: mix[2],
        update1: update1[0],
        update1_bias: update1[1],
        update1_t: update1[2],
        update2: update2[0],
        update2_bias: update2[1],
        update2_t: update2[2],
        table,
        mu: room(3 * later)?,
        x: room(3 * later)?,
        h: room(later)?,
        vw: room(6)?,
        norm: room(1)?,
        dot: room(1)?,
        k: room(1)?,
        b: room(1)?,
        c: room(1)?,
        forward,
        backward,
        epsilon: spec.epsilon[l] as f32,
        unused: 0.0,
    })
}

/// The readout; its last layer gives eV, without its bias, which the host adds.
fn place_heads(
    k: &mut Keeper<'_>,
    n: usize,
    spec: &Spec,
    weights: &Weights,
    params: &mut Params,
) -> Result<Vec<HeadParams>> {
    let mut heads = Vec::new();
    let hidden = weights.readout.len().saturating_sub(1);
    for linear in &weights.readout[..hidden] {
        let (inputs, outputs) = (padded(linear.inputs), padded(linear.outputs));
        let weight = tables::spread(
            linear,
            [1, 1],
            [linear.outputs, linear.inputs],
            [outputs, inputs],
        );
        heads.push(HeadParams {
            weight: k.copy(&weight)?,
            bias: k.copy(&tables::spread_bias(linear, 1, linear.outputs, outputs))?,
            weight_t: k.copy(&tables::transposed(&weight, outputs))?,
            h: k.room::<f32>(n * outputs)?,
            inputs: inputs as u32,
            outputs: outputs as u32,
        });
    }
    if let Some(last) = weights.readout.last() {
        let mut scaled = last.clone();
        scaled
            .weight
            .iter_mut()
            .for_each(|w| *w *= spec.energy_scale);
        let row = tables::spread(&scaled, [1, 1], [1, last.inputs], [1, padded(last.inputs)]);
        params.head_out = k.copy(&row)?;
    }
    Ok(heads)
}
