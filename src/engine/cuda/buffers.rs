//! The engine's memory on the card, and what the host reads of it.

use std::ops::Range;

use super::block::{DeviceTraits, EngineBlock, EngineSizes, unpack_image};
use super::flat;
use super::systems::DeviceSystems;
use crate::cuda::Device;
use crate::cuda::layout::{Arena, Pointer, bytes_of};
use crate::cuda::memory::{Memory, read_at, write_at};
use crate::engine::Start;
use crate::potential::device::elements;
use crate::{Error, Result};

/// Neighbours of one receiver: id, and image.
pub(super) type ActiveRow = Vec<(usize, [i32; 3])>;

/// Everything of the engine's on the card, but for snapshots.
pub(super) struct Buffers {
    pub block: EngineBlock,
    sizes: EngineSizes,
    /// What kernels were last told of systems.
    told: Vec<DeviceTraits>,
    /// Keeps alive what the addresses point to.
    fixed: Vec<Memory>,
    list: Vec<Memory>,
}

/// Forecasts what systems take (bytes), pairs not counted.
pub(super) fn bytes_of_systems(sizes: &EngineSizes) -> usize {
    bytes_of(EngineBlock::SYSTEMS, sizes).saturating_add(bytes_of(EngineBlock::ATOMS, sizes))
}

impl Buffers {
    /// Takes room for the atoms of systems; gradients of pairs come in `parts` parts.
    pub fn new(
        device: &Device,
        start: &Start,
        systems: &DeviceSystems,
        parts: usize,
    ) -> Result<Self> {
        let system = &start.system;
        let sizes = systems.sizes(parts);
        let mut block = EngineBlock {
            atoms: sizes.atoms as u32,
            cells: sizes.cells as u32,
            acted: u32::from(sizes.terms > 0),
            own_baths: u32::from(!start.groups.baths.is_empty()),
            ..EngineBlock::default()
        };
        let mut arena = Arena::new(device);
        arena.place(&mut block, EngineBlock::SYSTEMS, &sizes)?;
        arena.place(&mut block, EngineBlock::ATOMS, &sizes)?;
        let buffers = Self {
            block,
            sizes,
            told: Vec::new(),
            fixed: arena.finish(),
            list: Vec::new(),
        };
        let elements = elements(&system.species);
        let number = |z: &u8| elements.partition_point(|e| e < z) as u32;
        let species: Vec<u32> = system.species.iter().map(number).collect();
        let ids: Vec<u32> = (0..block.atoms).collect();
        buffers.write(device, block.species, &species)?;
        buffers.write(device, block.id, &ids)?;
        buffers.write(device, block.slot, &ids)?;
        buffers.write(device, block.mass, &start.groups.signed(&system.masses))?;
        let whose = |count: fn(&DeviceTraits) -> Range<u32>| -> Vec<u32> {
            let members = systems.traits.iter().zip(0..);
            members
                .flat_map(|(own, member)| count(own).map(move |_| member))
                .collect()
        };
        buffers.write(device, block.member, &whose(|own| own.first..own.end))?;
        let blocks = whose(|own| own.first_block..own.end_block);
        buffers.write(device, block.block_member, &blocks)?;
        let acting = &systems.terms;
        if sizes.terms > 0 {
            buffers.write(device, block.terms, &acting.terms)?;
            buffers.write(device, block.term_atoms, &acting.atoms)?;
            buffers.write(device, block.term_places, &acting.places)?;
        }
        let (temperatures, frictions) = start.groups.own_baths(system.len());
        buffers.write(device, block.own_kt, &temperatures)?;
        buffers.write(device, block.own_friction, &frictions)?;
        Ok(buffers)
    }

    /// Copies the start's positions and velocities to the card.
    pub fn put(&self, device: &Device, start: &Start) -> Result<()> {
        let (positions, velocities) = (self.block.pos, self.block.vel);
        self.write(device, positions, &flat(&start.positions))?;
        self.write(device, velocities, &flat(&start.velocities))
    }

    /// Has kernels told what of systems does not change in a block of steps, if it has changed; their block of constants is
    /// still to be set.
    pub fn describe(&mut self, device: &Device, systems: &DeviceSystems) -> Result<()> {
        if self.told == systems.traits {
            return Ok(());
        }
        self.block.alone = systems.traits[0];
        if systems.several {
            self.write(device, self.block.traits, &systems.traits)?;
        }
        self.told.clone_from(&systems.traits);
        Ok(())
    }

    /// The memory that a pointer of the block points to.
    pub fn memory<T>(&self, at: Pointer<T>) -> Option<&Memory> {
        let mut all = self.fixed.iter().chain(&self.list);
        all.find(|memory| memory.address() == at.address())
    }

    /// Copies values to where a pointer of the block points to, and waits for the copy.
    pub fn write<T: Copy>(&self, device: &Device, at: Pointer<T>, values: &[T]) -> Result<()> {
        let room = self.memory(at).map_or(0, Memory::bytes);
        write_at(&device.stream, at.address(), room, values)
    }

    /// Forecasts what a list of `pairs` pairs takes (bytes).
    pub fn bytes_of_pairs(&self, pairs: usize) -> usize {
        bytes_of(EngineBlock::LIST, &self.sizes(pairs))
    }

    fn sizes(&self, pairs: usize) -> EngineSizes {
        EngineSizes {
            pairs,
            ..self.sizes
        }
    }

    /// Makes room for a list of `pairs` pairs; what was in it is gone.
    pub fn make_room(&mut self, device: &Device, pairs: usize) -> Result<()> {
        self.list.clear();
        self.block.list_capacity = 0;
        let mut arena = Arena::new(device);
        let sizes = self.sizes(pairs);
        arena.place(&mut self.block, EngineBlock::LIST, &sizes)?;
        self.list = arena.finish();
        let block = &mut self.block;
        block.draft_image = block.push.cast();
        block.draft_col = block.pair.cast();
        block.list_capacity = pairs as u32;
        Ok(())
    }

    /// The pairs of the list: ids of receiver and neighbour, image of the neighbour.
    pub fn read_pairs(&self, device: &Device) -> Result<Vec<(usize, usize, [i32; 3])>> {
        let (p, stream) = (&self.block, &device.stream);
        let n = p.atoms as usize;
        let (mut ids, mut rows) = (vec![0u32; n], vec![0u32; n + 1]);
        // SAFETY: lengths as allocated in the table of atoms.
        unsafe {
            read_at(stream, p.id.address(), &mut ids)?;
            read_at(stream, p.rows.address(), &mut rows)?;
        }
        let count = (rows[n] as usize).min(p.list_capacity as usize);
        let (mut col, mut image) = (vec![0u32; count], vec![0i64; count]);
        // SAFETY: no longer than allocated in the table of the list.
        unsafe {
            read_at(stream, p.col.address(), &mut col)?;
            read_at(stream, p.image.address(), &mut image)?;
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
        let (p, stream) = (&self.block, &device.stream);
        let mut ids = vec![0u32; p.atoms as usize];
        // SAFETY: as long as allocated in the table of atoms.
        unsafe { read_at(stream, p.id.address(), &mut ids)? };
        let lost = || Error::run("CUDA: a row of the pairs is outside of the list".to_owned());
        let row = |&receiver: &usize| {
            let (mut slot, mut ends, mut active) = ([0u32], [0u32; 2], [0u32]);
            if receiver >= ids.len() {
                return Err(lost());
            }
            // SAFETY: these arrays have an entry for each atom, rows one more; what the device holds of them
            // is checked before it is used.
            unsafe {
                read_at(stream, p.slot.at(receiver), &mut slot)?;
                if slot[0] >= p.atoms {
                    return Err(lost());
                }
                let slot = slot[0] as usize;
                read_at(stream, p.rows.at(slot), &mut ends)?;
                read_at(stream, p.active.at(slot), &mut active)?;
            }
            let [start, end] = ends;
            if start > end || end > p.list_capacity || active[0] > end - start {
                return Err(lost());
            }
            let mut pairs = vec![[0u32; 2]; active[0] as usize];
            let mut images = vec![0i64; (end - start) as usize];
            // SAFETY: both ranges lie within the list, as seen above.
            unsafe {
                read_at(stream, p.pair.at(start as usize), &mut pairs)?;
                read_at(stream, p.image.at(start as usize), &mut images)?;
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
        let all = self.fixed.iter().chain(&self.list);
        all.map(Memory::bytes).sum()
    }
}
