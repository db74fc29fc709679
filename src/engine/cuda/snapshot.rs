//! Snapshots: gathered on the card in the order of ids, between two steps, and copied to the host while the card
//! goes on.
//!
//! What is gathered goes to memory of its own, which the steps that follow do not touch; a second stream waits until
//! it is there and copies it to page-locked memory of the host. A snapshot that is taken waits for that copy alone.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cudarc::driver::CudaEvent;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::CudaEngine;
use super::block::{DeviceMember, DeviceState, OBSERVE_ATOMS, OBSERVE_GROUPS, OBSERVED};
use super::launch::Kernels;
use crate::core::{Fields, Mat3, Member, Observables, Snapshot, Spread, Vec3};
use crate::cuda::WARP;
use crate::cuda::device::Device;
use crate::cuda::fault::failed;
use crate::cuda::launch::Size;
use crate::cuda::memory::{Memory, Pinned};
use crate::engine::{Pending, PendingBatch};
use crate::{Error, Result};

/// Numbers of one atom in all arrays.
const NUMBERS: usize = 9;
/// Numbers ahead of the arrays: what is summed over atoms, then the spread of a committee.
const AHEAD: usize = OBSERVED + 2;

impl Kernels {
    /// Sums what is observed over the atoms of each system; the sums of one after another go to `address`, each with the spread
    /// of a committee behind them.
    fn observe(&self, address: u64) -> Result<()> {
        self.potential.queue_energies(&self.program)?;
        self.sum_observed((address, AHEAD), false)?;
        let behind = address + (OBSERVED * size_of::<f64>()) as u64;
        (self.potential).queue_spread(&self.program, behind, AHEAD)
    }

    /// Sums what a barostat looks at, where kernels read it: the energy among it is an old one. Then settles the work of a
    /// strain, if `settles`.
    pub fn observe_pressure(&self, settles: bool) -> Result<()> {
        self.sum_observed((self.observed, OBSERVED), settles)
    }

    /// Sums go to an address, those of a further system so many numbers on.
    fn sum_observed(&self, (address, stride): (u64, usize), settles: bool) -> Result<()> {
        let threads = OBSERVE_ATOMS as u32 * WARP;
        self.program
            .go(c"observe", Size::flat(self.blocks as u32, threads), [])?;
        let (mut address, mut stride, mut settles) = (address, stride as i32, i32::from(settles));
        let mut args = [
            std::ptr::from_mut(&mut address).cast(),
            std::ptr::from_mut(&mut stride).cast(),
            std::ptr::from_mut(&mut settles).cast(),
        ];
        let size = Size::flat(self.members as u32, (OBSERVE_GROUPS * OBSERVED) as u32);
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

    /// Sets the state of the run, and that of a system alone, in the stream's order.
    pub fn set_state(&self, mut state: DeviceState, mut alone: DeviceMember) -> Result<()> {
        let mut args = [
            std::ptr::from_mut(&mut state).cast(),
            std::ptr::from_mut(&mut alone).cast(),
        ];
        self.program
            .launch(c"set_state", Size::flat(1, 1), &mut args)
    }
}

/// Which arrays are wanted, in the order of the kernels.
fn arrays(want: Fields) -> [bool; 3] {
    [want.positions, want.velocities, want.forces]
}

/// Forecasts the bytes of one snapshot of systems of so many atoms in all.
pub(super) fn bytes_of(atoms: usize, members: usize) -> usize {
    let ahead = members.saturating_mul(AHEAD);
    (atoms.saturating_mul(NUMBERS))
        .saturating_add(ahead)
        .saturating_mul(8)
}

/// Where the first bytes of what is gathered of atoms go on the card: memory, bytes before them, and how many they are.
#[derive(Clone, Copy)]
pub(super) struct Landing<'m> {
    pub memory: &'m Memory,
    pub at: usize,
    pub length: usize,
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
    fn new(device: &Device, bytes: usize) -> Result<Self> {
        Ok(Self {
            card: device.zeros(bytes)?,
            host: device.pinned(bytes)?,
            gathered: device.event()?,
            copied: device.event()?,
        })
    }

    /// Starts to gather the present state and to copy it: to the host, or but for its sums to where they land on the card.
    fn fill(
        &self,
        device: &Device,
        kernels: &Kernels,
        want: Fields,
        landing: Option<Landing<'_>>,
    ) -> Result<()> {
        let wanted = arrays(want).map(usize::from).iter().sum::<usize>();
        let sums = kernels.members * AHEAD * size_of::<f64>();
        // A snapshot that was not taken may still be on its way.
        (device.stream.wait(&self.copied)).map_err(failed("waiting for a copy"))?;
        kernels.observe(self.card.address())?;
        if wanted > 0 {
            kernels.exchange(want, self.card.address() + sums as u64, true)?;
        }
        let mut bytes = sums + 24 * kernels.atoms * wanted;
        if let Some(Landing { memory, at, length }) = landing {
            assert!(sums + length <= bytes, "arrays are no longer than they are");
            let from = self.card.address() + sums as u64;
            // SAFETY: so much was gathered there, and a room waits for its copies before it is dropped; who lends the memory
            // waits for this snapshot.
            unsafe { memory.take(at, from, length, &device.stream) }?;
            bytes = sums;
        }
        (self.gathered.record(&device.stream)).map_err(failed("recording an event"))?;
        (device.copies.wait(&self.gathered)).map_err(failed("waiting for a kernel"))?;
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
    /// Bytes of each.
    bytes: usize,
}

impl Rooms {
    /// For systems of so many atoms in all.
    pub fn new(device: &Device, atoms: usize, members: usize) -> Result<Self> {
        let bytes = bytes_of(atoms, members);
        let rooms = vec![Arc::new(Room::new(device, bytes)?)];
        Ok(Self { rooms, bytes })
    }

    /// One that no snapshot lies in.
    fn free(&mut self, device: &Device) -> Result<Arc<Room>> {
        // A room is shared by clones that are made here, so one that has none gets none meanwhile; `get_mut` sees all
        // that another thread has read of it before.
        let free = |room: &mut Arc<Room>| Arc::get_mut(room).is_some();
        if let Some(place) = self.rooms.iter_mut().position(free) {
            return Ok(Arc::clone(&self.rooms[place]));
        }
        let room = Arc::new(Room::new(device, self.bytes)?);
        self.rooms.push(Arc::clone(&room));
        Ok(room)
    }

    /// Memory on the card (bytes).
    pub fn bytes(&self) -> usize {
        self.rooms.iter().map(|room| room.card.bytes()).sum()
    }
}

/// Snapshots of all systems on their way.
pub(super) struct Underway {
    room: Arc<Room>,
    /// What is known of them: no sums and no arrays.
    known: Vec<Known>,
    want: Fields,
    has_spread: bool,
    /// Where the engine counts its pairs.
    pairs: Arc<AtomicU64>,
}

/// What is known of one system's snapshot ahead of its numbers.
struct Known {
    snapshot: Snapshot,
    /// Its atoms among all.
    atoms: Range<usize>,
    /// What the energies of atoms leave out (eV).
    offset: f64,
}

impl Known {
    /// Fills in what was summed, and the arrays wanted, of which all systems' come one behind another.
    fn filled(
        self,
        sums: &[f64],
        arrays: &[&[f64]],
        (want, has_spread): (Fields, bool),
    ) -> Snapshot {
        let mut snapshot = self.snapshot;
        let observables = &mut snapshot.observables;
        observables.potential = sums[0] + self.offset;
        observables.kinetic = sums[1];
        observables.external = sums[2];
        observables.momentum = Vec3::new(sums[3], sums[4], sums[5]);
        observables.strain_derivative = Mat3::from_row_slice(&sums[6..15]);
        observables.spread = has_spread.then(|| Spread {
            force: sums[OBSERVED],
            energy: sums[OBSERVED + 1],
        });
        let places = [
            &mut snapshot.positions,
            &mut snapshot.velocities,
            &mut snapshot.forces,
        ];
        let own = 3 * self.atoms.start..3 * self.atoms.end;
        let wanted = places.into_iter().zip(self::arrays(want));
        for (place, all) in wanted.filter(|(_, wanted)| *wanted).zip(arrays) {
            let vectors = all[own.clone()].chunks_exact(3);
            *place.0 = vectors.map(Vec3::from_column_slice).collect();
        }
        snapshot
    }
}

impl Underway {
    fn all(self) -> Result<Vec<Snapshot>> {
        let with_pairs = self.with_pairs()?;
        Ok(with_pairs
            .into_iter()
            .map(|(snapshot, _)| snapshot)
            .collect())
    }

    /// Each with the number of its pairs.
    pub fn with_pairs(self) -> Result<Vec<(Snapshot, u64)>> {
        (self.room.copied.synchronize()).map_err(failed("a kernel"))?;
        let sums = AHEAD * self.known.len();
        let atoms = self.known.last().map_or(0, |known| known.atoms.end);
        let wanted = arrays(self.want).map(usize::from).iter().sum::<usize>();
        // SAFETY: the copy is done, and the room is not given to another snapshot while this one is here.
        let numbers = unsafe { self.room.host.values::<f64>(sums + 3 * atoms * wanted) };
        let (sums, arrays) = numbers.split_at(sums);
        let arrays: Vec<&[f64]> = arrays.chunks_exact((3 * atoms).max(1)).collect();
        let own = sums.chunks_exact(AHEAD);
        let pairs: f64 = own.clone().map(|sums| sums[15]).sum();
        self.pairs.store(pairs as u64, Ordering::Relaxed);
        let how = (self.want, self.has_spread);
        let one =
            |(known, sums): (Known, &[f64])| (known.filled(sums, &arrays, how), sums[15] as u64);
        let each: Vec<_> = self.known.into_iter().zip(own).collect();
        Ok(match each.len() {
            1 => each.into_iter().map(one).collect(),
            _ => each.into_par_iter().map(one).collect(),
        })
    }
}

impl Pending for Underway {
    fn take(self: Box<Self>) -> Result<Snapshot> {
        let only = self.all()?.pop();
        only.ok_or_else(|| Error::run("a snapshot of no system"))
    }
}

impl PendingBatch for Underway {
    fn take(self: Box<Self>) -> Result<Vec<Snapshot>> {
        self.all()
    }
}

impl CudaEngine {
    /// Starts to take the present states.
    pub(super) fn start_snapshots(&mut self, want: Fields) -> Result<Underway> {
        self.start_filling(want, None)
    }

    /// Does as [`CudaEngine::start_snapshots`], and leaves the forces on the card.
    pub(super) fn start_landing(&mut self, landing: Landing<'_>) -> Result<Underway> {
        let forces = Fields {
            forces: true,
            ..Fields::NONE
        };
        self.start_filling(forces, Some(landing))
    }

    fn start_filling(&mut self, want: Fields, landing: Option<Landing<'_>>) -> Result<Underway> {
        if self.stale {
            self.evaluate()?;
        }
        self.ask_systems()?;
        let room = self.rooms.free(&self.device)?;
        room.fill(&self.device, &self.kernels, want, landing)?;
        Ok(Underway {
            room,
            known: self.known(),
            // What comes to the host.
            want: match landing {
                Some(_) => Fields::NONE,
                None => want,
            },
            has_spread: self.kernels.potential.has_spread(),
            pairs: Arc::clone(&self.pairs),
        })
    }

    /// Starts to take the present state of the only system.
    pub(super) fn start_snapshot(&mut self, want: Fields) -> Result<Box<dyn Pending>> {
        Ok(Box::new(self.start_snapshots(want)?))
    }

    /// Starts to take the present state of each system.
    pub(super) fn start_batch(&mut self, want: Fields) -> Result<Box<dyn PendingBatch>> {
        Ok(Box::new(self.start_snapshots(want)?))
    }

    /// What is known of the present states without asking the card.
    fn known(&self) -> Vec<Known> {
        let one = |(k, (member, offset)): (usize, (&Member, &f64))| {
            let step = self.systems.step_of(k, self.step);
            let time = self.clock.time(step);
            Known {
                snapshot: Snapshot {
                    observables: Observables {
                        kept: member.kept,
                        ..Observables::default()
                    },
                    ..Snapshot::blank(step, time, member.cell.clone())
                },
                atoms: member.atoms.clone(),
                offset: *offset,
            }
        };
        let members = self.systems.members.iter().zip(&self.offsets);
        members.enumerate().map(one).collect()
    }

    /// The present state of each system, at once.
    pub(super) fn look_at_all(&mut self, want: Fields) -> Result<Vec<Snapshot>> {
        self.start_snapshots(want)?.all()
    }

    /// The present state of one system, at once.
    pub(super) fn look_at(&mut self, k: usize, want: Fields) -> Result<Snapshot> {
        Ok(self.look_at_all(want)?.swap_remove(k))
    }
}
