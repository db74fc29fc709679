//! Snapshots: gathered on the card in the order of ids, between two steps, and copied to the host while the card
//! goes on.
//!
//! What is gathered goes to memory of its own, which the steps that follow do not touch; a second stream waits until
//! it is there and copies it to page-locked memory of the host. A snapshot that is taken waits for that copy alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cudarc::driver::CudaEvent;

use super::CudaEngine;
use super::block::{DeviceState, OBSERVE_ATOMS, OBSERVE_GROUPS, OBSERVED};
use super::launch::Kernels;
use crate::Result;
use crate::core::{Fields, Mat3, Observables, Snapshot, Spread, Vec3};
use crate::cuda::WARP;
use crate::cuda::device::Device;
use crate::cuda::fault::failed;
use crate::cuda::launch::Size;
use crate::cuda::memory::{Memory, Pinned};
use crate::engine::Pending;

/// Numbers of one atom in all arrays.
const NUMBERS: usize = 9;
/// Numbers ahead of the arrays: what is summed over atoms, then the spread of a committee.
const AHEAD: usize = OBSERVED + 2;

impl Kernels {
    /// Sums what is observed over all atoms; the sums go to `address`, and the spread of a committee behind them.
    fn observe(&self, address: u64) -> Result<()> {
        self.potential.queue_energies(&self.program)?;
        self.sum_observed(address, false)?;
        let behind = address + (OBSERVED * size_of::<f64>()) as u64;
        self.potential.queue_spread(&self.program, behind)
    }

    /// Sums what a barostat looks at, where kernels read it: the energy among it is an old one. Then settles the work of a
    /// strain, if `settles`.
    pub fn observe_pressure(&self, settles: bool) -> Result<()> {
        self.sum_observed(self.observed, settles)
    }

    fn sum_observed(&self, address: u64, settles: bool) -> Result<()> {
        let blocks = self.atoms.div_ceil(OBSERVE_ATOMS).max(1) as u32;
        let threads = OBSERVE_ATOMS as u32 * WARP;
        self.program
            .go(c"observe", Size::flat(blocks, threads), [])?;
        let (mut blocks, mut address, mut settles) = (blocks as i32, address, i32::from(settles));
        let mut args = [
            std::ptr::from_mut(&mut blocks).cast(),
            std::ptr::from_mut(&mut address).cast(),
            std::ptr::from_mut(&mut settles).cast(),
        ];
        let size = Size::flat(1, (OBSERVE_GROUPS * OBSERVED) as u32);
        self.program.launch(c"observe_all", size, &mut args)
    }

    /// Copies arrays to `address`, one behind the other, each in the order of ids; or back.
    pub fn exchange(&self, want: Fields, address: u64, out: bool) -> Result<()> {
        let name = if out { c"to_ids" } else { c"from_ids" };
        let bits = arrays(want).map(i32::from);
        let (mut which, mut address) = (bits[0] + 2 * bits[1] + 4 * bits[2], address);
        let mut args = [
            std::ptr::from_mut(&mut which).cast(),
            std::ptr::from_mut(&mut address).cast(),
        ];
        self.program
            .launch(name, Size::each(self.atoms, 256), &mut args)
    }

    /// Sets the state of the run, in the stream's order.
    pub fn set_state(&self, mut state: DeviceState) -> Result<()> {
        let mut args = [std::ptr::from_mut(&mut state).cast()];
        self.program
            .launch(c"set_state", Size::flat(1, 1), &mut args)
    }
}

/// Which arrays are wanted, in the order of the kernels.
fn arrays(want: Fields) -> [bool; 3] {
    [want.positions, want.velocities, want.forces]
}

/// Forecasts the bytes of one snapshot.
pub(super) fn bytes_of(atoms: usize) -> usize {
    atoms
        .saturating_mul(NUMBERS)
        .saturating_add(AHEAD)
        .saturating_mul(8)
}

/// Room for one snapshot: sums, then the arrays wanted.
struct Room {
    card: Memory,
    host: Pinned,
    /// All of it is on the card.
    gathered: CudaEvent,
    /// All of it is on the host.
    copied: CudaEvent,
}

impl Room {
    fn new(device: &Device, atoms: usize) -> Result<Self> {
        let bytes = bytes_of(atoms);
        Ok(Self {
            card: device.zeros(bytes)?,
            host: device.pinned(bytes)?,
            gathered: device.event()?,
            copied: device.event()?,
        })
    }

    /// Starts to gather the present state and to copy it.
    fn fill(&self, device: &Device, kernels: &Kernels, want: Fields) -> Result<()> {
        let wanted = arrays(want).map(usize::from).iter().sum::<usize>();
        let sums = AHEAD * size_of::<f64>();
        // A snapshot that was not taken may still be on its way.
        (device.stream.wait(&self.copied)).map_err(failed("waiting for a copy"))?;
        kernels.observe(self.card.address())?;
        if wanted > 0 {
            kernels.exchange(want, self.card.address() + sums as u64, true)?;
        }
        (self.gathered.record(&device.stream)).map_err(failed("recording an event"))?;
        (device.copies.wait(&self.gathered)).map_err(failed("waiting for a kernel"))?;
        let bytes = sums + 24 * kernels.atoms * wanted;
        self.host.fetch(&self.card, bytes, &device.copies)?;
        (self.copied.record(&device.copies)).map_err(failed("recording an event"))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Nothing is freed that a copy reads or writes. A failure is that of the work itself, told elsewhere.
        let _ = self.copied.synchronize();
    }
}

/// Rooms for snapshots: one, and one more for each that is under way at the same time.
pub(super) struct Rooms {
    rooms: Vec<Arc<Room>>,
    atoms: usize,
}

impl Rooms {
    pub fn new(device: &Device, atoms: usize) -> Result<Self> {
        let rooms = vec![Arc::new(Room::new(device, atoms)?)];
        Ok(Self { rooms, atoms })
    }

    /// One that no snapshot lies in.
    fn free(&mut self, device: &Device) -> Result<Arc<Room>> {
        // A room is shared by clones that are made here, so one that has none gets none meanwhile; `get_mut` sees all
        // that another thread has read of it before.
        let free = |room: &mut Arc<Room>| Arc::get_mut(room).is_some();
        if let Some(place) = self.rooms.iter_mut().position(free) {
            return Ok(Arc::clone(&self.rooms[place]));
        }
        let room = Arc::new(Room::new(device, self.atoms)?);
        self.rooms.push(Arc::clone(&room));
        Ok(room)
    }

    /// Memory on the card (bytes).
    pub fn bytes(&self) -> usize {
        self.rooms.iter().map(|room| room.card.bytes()).sum()
    }
}

/// A snapshot on its way.
struct Underway {
    room: Arc<Room>,
    /// What is known of it: no sums and no arrays.
    snapshot: Snapshot,
    want: Fields,
    atoms: usize,
    /// What the energies of atoms leave out (eV).
    offset: f64,
    has_spread: bool,
    /// Where the engine counts its pairs.
    pairs: Arc<AtomicU64>,
}

impl Pending for Underway {
    fn take(self: Box<Self>) -> Result<Snapshot> {
        (self.room.copied.synchronize()).map_err(failed("a kernel"))?;
        let wanted = arrays(self.want);
        let count = AHEAD + 3 * self.atoms * wanted.map(usize::from).iter().sum::<usize>();
        // SAFETY: the copy is done, and the room is not given to another snapshot while this one is here.
        let numbers = unsafe { self.room.host.values::<f64>(count) };
        let (o, arrays) = numbers.split_at(AHEAD);
        self.pairs.store(o[15] as u64, Ordering::Relaxed);
        let mut snapshot = self.snapshot;
        let observables = &mut snapshot.observables;
        observables.potential = o[0] + self.offset;
        observables.kinetic = o[1];
        observables.momentum = Vec3::new(o[3], o[4], o[5]);
        observables.strain_derivative = Mat3::from_row_slice(&o[6..15]);
        observables.spread = self.has_spread.then(|| Spread {
            force: o[OBSERVED],
            energy: o[OBSERVED + 1],
        });
        let mut parts = arrays.chunks_exact((3 * self.atoms).max(1));
        let places = [
            &mut snapshot.positions,
            &mut snapshot.velocities,
            &mut snapshot.forces,
        ];
        for (place, _) in places.into_iter().zip(wanted).filter(|(_, wanted)| *wanted) {
            let part = parts.next().unwrap_or_default();
            *place = part.chunks_exact(3).map(Vec3::from_column_slice).collect();
        }
        Ok(snapshot)
    }
}

impl CudaEngine {
    /// Starts to take the present state.
    pub(super) fn start_snapshot(&mut self, want: Fields) -> Result<Box<dyn Pending>> {
        if self.stale {
            self.evaluate()?;
        }
        let room = self.rooms.free(&self.device)?;
        room.fill(&self.device, &self.kernels, want)?;
        Ok(Box::new(Underway {
            room,
            snapshot: self.present(),
            want,
            atoms: self.kernels.atoms,
            offset: self.kernels.potential.offset(),
            has_spread: self.kernels.potential.has_spread(),
            pairs: Arc::clone(&self.pairs),
        }))
    }

    /// What is known of the present state without asking the card.
    fn present(&self) -> Snapshot {
        let (member, time) = (&self.member, self.step as f64 * self.timestep);
        Snapshot {
            observables: Observables {
                kept: member.kept,
                ..Observables::default()
            },
            ..Snapshot::blank(self.step, time, member.cell.clone())
        }
    }

    /// The present state, at once.
    pub(super) fn look(&mut self, want: Fields) -> Result<Snapshot> {
        self.start_snapshot(want)?.take()
    }
}
