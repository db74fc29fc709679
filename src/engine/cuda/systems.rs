//! The systems of an engine, one or several: which atoms, cells and blocks of threads are whose, and what each has of its own.

use std::ops::Range;

use super::block::{DeviceMember, DeviceState, DeviceTraits, EngineSizes, OBSERVE_ATOMS};
use super::program::DeviceProgram;
use super::terms::ActingTerms;
use crate::core::rng::Noise;
use crate::core::{Cell, ChainState, Kept, Mat3, Member, PistonState};
use crate::engine::{Limits, Start};
use crate::{Error, Result};

/// The strain of a cell that is what it was.
const UNSTRAINED: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// Cells for as many atoms of a system alone: a power of two.
fn cells_alone(atoms: usize) -> usize {
    atoms.next_power_of_two().clamp(1 << 12, 1 << 22)
}

/// Cells for as many atoms of one of several systems: a power of two.
fn cells_of_one(atoms: usize) -> usize {
    atoms.next_power_of_two().min(1 << 22)
}

/// The systems of an engine.
pub(super) struct DeviceSystems {
    /// Whether the kernels know of several.
    pub several: bool,
    /// The systems, in the order of their atoms.
    pub members: Vec<Member>,
    /// What of each does not change in a block of steps.
    pub traits: Vec<DeviceTraits>,
    /// What acts on them beside the potential.
    pub terms: ActingTerms,
    /// What the card last said of each.
    pub states: Vec<DeviceMember>,
    /// Steps of its own after which each came to rest, if it has.
    pub stopped: Vec<Option<u64>>,
    /// Whether steps were taken since the card was last asked.
    pub behind: bool,
    /// Whether the card does not have what is known here.
    pub ahead: bool,
    /// Squared displacement of an atom (square angstrom) before pairs may be missing, in a cell that is not strained.
    room: f64,
}

impl DeviceSystems {
    /// The systems of a start, each of which draws noise of its own, with pairs of a `skin` (angstrom).
    pub fn new(start: &Start, noises: &[Noise], skin: f64, several: bool) -> Self {
        let members = start.members.all().to_vec();
        let (mut block, mut cell) = (0, 0);
        let mut traits = Vec::with_capacity(members.len());
        for (member, noise) in members.iter().zip(noises) {
            let atoms = member.atoms.len();
            let blocks = atoms.div_ceil(OBSERVE_ATOMS) as u32;
            let cells = match several {
                true => cells_of_one(atoms),
                false => cells_alone(atoms),
            } as u32;
            let noise = noise.of_replica(member.replica);
            let [seed, replica] = noise.key();
            traits.push(DeviceTraits {
                first: member.atoms.start as u32,
                end: member.atoms.end as u32,
                first_block: block,
                end_block: block + blocks,
                first_cell: cell,
                cell_capacity: cells,
                periodic: member.cell.periodic().map(u32::from),
                seed,
                replica,
                noise_start: noise.start(),
                total_mass: match start.groups.anchors(member.atoms.clone()) {
                    // Has no flight of its own: all of its motion is thermal.
                    true => f64::INFINITY,
                    false => start.system.masses[member.atoms.clone()].iter().sum(),
                },
                ..DeviceTraits::default()
            });
            block += blocks;
            cell += cells;
        }
        let terms = ActingTerms::of(&start.groups, &members);
        for (own, range) in traits.iter_mut().zip(&terms.ranges) {
            (own.first_term, own.end_term) = (range.start as u32, range.end as u32);
        }
        let mut systems = Self {
            several,
            terms,
            states: vec![DeviceMember::default(); members.len()],
            stopped: vec![None; members.len()],
            members,
            traits,
            behind: false,
            ahead: true,
            room: 0.25 * skin * skin,
        };
        systems.renew();
        for k in 0..systems.traits.len() {
            systems.limit(k, &Limits::default());
        }
        systems
    }

    /// Has each system count its steps from its own on: it has taken so many when the engine has taken none.
    pub fn begin_at(&mut self, steps: impl IntoIterator<Item = u64>) {
        for (own, step) in self.traits.iter_mut().zip(steps) {
            own.ahead = step;
            // The count of steps wraps around, as the noise does.
            own.noise_start = own.noise_start.wrapping_add(step);
        }
    }

    /// Lengths of the arrays, without pairs.
    pub fn sizes(&self, parts: usize) -> EngineSizes {
        let last = self.traits.last().copied().unwrap_or_default();
        EngineSizes {
            atoms: last.end as usize,
            members: self.traits.len(),
            observed: last.end_block as usize,
            cells: (last.first_cell + last.cell_capacity) as usize,
            pairs: 0,
            parts,
            terms: self.terms.terms.len(),
            term_atoms: self.terms.atoms.len(),
        }
    }

    /// Lengths of the arrays of a system alone, without pairs.
    pub fn sizes_alone(atoms: usize) -> EngineSizes {
        EngineSizes {
            atoms,
            members: 1,
            observed: atoms.div_ceil(OBSERVE_ATOMS),
            cells: cells_alone(atoms),
            pairs: 0,
            parts: 0,
            terms: 0,
            term_atoms: 0,
        }
    }

    /// Lengths of the arrays that one of several systems adds, with so many pairs whose gradients come in so many parts.
    pub fn sizes_of_one(atoms: usize, pairs: usize, parts: usize) -> EngineSizes {
        EngineSizes {
            cells: cells_of_one(atoms),
            pairs,
            parts,
            ..Self::sizes_alone(atoms)
        }
    }

    /// The atoms of each.
    pub fn ranges(&self) -> Vec<Range<usize>> {
        self.members.iter().map(|m| m.atoms.clone()).collect()
    }

    /// Atoms of the largest.
    pub fn largest(&self) -> usize {
        let sizes = self.members.iter().map(|member| member.atoms.len());
        sizes.max().unwrap_or(0)
    }

    /// Sets what is checked of one after every step.
    pub fn limit(&mut self, k: usize, limits: &Limits) {
        let own = &mut self.traits[k];
        own.force_limit2 = limits.force.map_or(f64::INFINITY, |f| f * f);
        own.contact_limit = limits.contact.unwrap_or(0.0);
        own.kinetic_limit = limits.kinetic.unwrap_or(f64::INFINITY);
        own.held_mass = limits.held_mass.unwrap_or(f64::INFINITY);
        [own.least, own.most] = limits.volume.unwrap_or([0.0, f64::INFINITY]);
    }

    /// Sets the temperature and the degrees of freedom of one.
    pub fn warm(&mut self, k: usize, program: &DeviceProgram) {
        self.traits[k].kt = program.kt.unwrap_or(0.0);
        self.traits[k].degrees = program.degrees;
    }

    /// Steps that one has taken when the engine has taken `step`.
    pub fn step_of(&self, k: usize, step: u64) -> u64 {
        self.stopped[k].unwrap_or_else(|| step.wrapping_add(self.traits[k].ahead))
    }

    /// Brings one to rest when the engine has taken `step` steps, if it does not rest already.
    pub fn stop(&mut self, k: usize, step: u64) {
        self.stopped[k] = Some(self.step_of(k, step));
        self.ahead = true;
    }

    /// The pairs are those of the present cells and positions.
    pub fn renew(&mut self) {
        for state in &mut self.states {
            (state.strain, state.slack2) = (UNSTRAINED, self.room);
        }
    }

    /// Squared displacement (square angstrom) that atoms have before pairs may be missing: the least of all.
    pub fn slack2(&self) -> f64 {
        let slacks = self.states.iter().map(|state| state.slack2);
        slacks.fold(self.room, f64::min)
    }

    /// Goes back to what systems were.
    pub fn go_back(&mut self, members: &[Member]) {
        self.members.clone_from_slice(members);
        // The rate of work is that of another state.
        self.states
            .iter_mut()
            .for_each(|state| state.pull_known = 0);
        (self.behind, self.ahead) = (false, true);
    }

    /// Has limits of some be ignored, and no flag be raised.
    pub fn mute(&mut self, which: &[usize]) {
        for state in &mut self.states {
            state.raised = 0;
        }
        for &k in which {
            self.states[k].muted = 1;
        }
        self.ahead = true;
    }

    /// Has the states say what is known here, with no flag raised and no limit ignored; whether the card has to be told.
    pub fn set(&mut self) -> bool {
        let told = std::mem::replace(&mut self.ahead, false);
        if !told && self.several {
            return false;
        }
        let known = self.members.iter().zip(&self.stopped);
        for (state, (member, stopped)) in self.states.iter_mut().zip(known) {
            let kept = &member.kept;
            *state = DeviceMember {
                resting: u32::from(stopped.is_some()),
                heat: kept.heat,
                work: kept.work,
                response: std::array::from_fn(|a| std::array::from_fn(|b| kept.response[(a, b)])),
                chain: kept.chain.positions,
                chain_velocity: kept.chain.velocities,
                piston_rate: kept.piston.rate,
                piston_chain: kept.piston.chain.positions,
                piston_chain_velocity: kept.piston.chain.velocities,
                cell: rows(&member.cell),
                strain: state.strain,
                slack2: state.slack2,
                rested_at: stopped.unwrap_or(0),
                pulled: kept.pulled,
                pull_rate: state.pull_rate,
                pull_step: state.pull_step,
                pull_known: state.pull_known,
                ..DeviceMember::default()
            };
        }
        true
    }

    /// Takes over what the card says of each.
    ///
    /// # Errors
    /// A cell is none any more.
    pub fn follow(&mut self, step: u64) -> Result<()> {
        self.behind = false;
        for (state, member) in self.states.iter().zip(&mut self.members) {
            member.kept = Kept {
                heat: state.heat,
                work: state.work,
                pulled: state.pulled,
                response: Mat3::from_fn(|a, b| state.response[a][b]),
                chain: ChainState {
                    positions: state.chain,
                    velocities: state.chain_velocity,
                },
                piston: PistonState {
                    rate: state.piston_rate,
                    chain: ChainState {
                        positions: state.piston_chain,
                        velocities: state.piston_chain_velocity,
                    },
                },
            };
            if rows(&member.cell) != state.cell {
                let vectors = Mat3::from_fn(|k, a| state.cell[k][a]);
                member.cell = Cell::new(vectors, member.cell.periodic())
                    .map_err(|e| Error::run(format!("step {step}: {e}")))?;
            }
        }
        Ok(())
    }
}

impl DeviceState {
    /// The count of steps: all done up to `step`, none to be begun from `until` on.
    pub fn counted(step: u64, until: u64, reach: u32) -> Self {
        let empty = until <= step;
        Self {
            begun: step,
            opened: step,
            done: step,
            until,
            reach,
            drift_removed: step,
            // A block of steps checks what they lead to; an empty one the present.
            checked: if empty { u64::MAX } else { step },
            ..Self::default()
        }
    }
}

/// Lattice vectors as the card has them.
fn rows(cell: &Cell) -> [[f64; 3]; 3] {
    [0, 1, 2].map(|k| cell.vector(k).into())
}
