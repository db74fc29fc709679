//! What the engine and its kernels share: the block of constants `E` and the structures that it points to, and constants.

use crate::core::MOST_LINKS;
use crate::core::rng::{MOST_ATTEMPTS, Stream};
use crate::cuda::compiler;
use crate::cuda::layout::{DeviceStruct, Pointer, defines};
use crate::device_struct;
use crate::dynamics::MOST_POINTS;
use crate::dynamics::cell_rescaling::MOST_STRAIN;

/// Most operators of one program.
pub(super) const MOST_OPS: usize = 16;
/// Numbers that a snapshot sums over atoms.
pub(super) const OBSERVED: usize = 16;
/// Atoms that a block of the kernels that sum them takes, a warp each.
pub(super) const OBSERVE_ATOMS: usize = 8;
/// Threads that share the blocks' sums of one number.
pub(super) const OBSERVE_GROUPS: usize = 64;
/// Most atoms whose step is one block of threads where all are taken together in its middle.
pub(super) const MOST_TOGETHER: usize = 512;
/// Most parts that a step of a chain of thermostats is cut into.
pub(super) const MOST_PARTS: usize = 5;
/// Numbers (f64) of an atom on its way to another slot.
const RECORD: usize = 11;
/// Bits of a lattice index of an image, so that the order of three packed into 64 bits is lexicographic.
const IMAGE_BITS: usize = 21;
/// Numbers that terms leave for each system: their energy, and their strain derivative.
pub(super) const EXTERNAL: usize = 10;
/// Numbers (f64) of an atom's saved state: position and velocity.
pub(super) const SAVED: usize = 6;

pub(super) mod kind {
    //! Kinds of operators: v += a F / m; r += a v; v = a v + sqrt((1 - a^2) kT / m) xi.
    pub const KICK: u32 = 0;
    pub const DRIFT: u32 = 1;
    pub const NOISE: u32 = 2;
}

pub(super) mod law {
    //! What a term does, as `forcefield::external::ExternalLaw`; walls are planes or spheres, soft or of Lennard-Jones matter.
    pub const PLACES: u32 = 0;
    pub const CENTRE: u32 = 1;
    pub const DISTANCE: u32 = 2;
    pub const FORCE: u32 = 3;
    pub const SOFT_PLANE: u32 = 4;
    pub const HARD_PLANE: u32 = 5;
    pub const SOFT_SPHERE: u32 = 6;
    pub const HARD_SPHERE: u32 = 7;
}

pub(super) mod coupling {
    //! What a cell may do under pressure; all that is none of these.
    pub const ISOTROPIC: u32 = 0;
    pub const ANISOTROPIC: u32 = 1;
    pub const PLANE: u32 = 2;
    pub const TRICLINIC: u32 = 3;
}

pub(super) mod halted {
    //! What `State::halt` and `State::pending` may say, one bit each.
    pub const SKIN: u32 = 1;
    pub const CAPACITY: u32 = 2;
    pub const NONFINITE: u32 = 4;
    pub const FORCE: u32 = 8;
    pub const CONTACT: u32 = 16;
    pub const KINETIC: u32 = 32;
    pub const CELL: u32 = 64;
    pub const FATAL: u32 = NONFINITE | CELL;
    pub const LIMITS: u32 = FORCE | CONTACT | KINETIC;
}

device_struct! {
    /// One operator, of a [`kind`].
    #[derive(PartialEq)]
    pub(super) struct DeviceOp = "Op" {
        kind: u32,
        a: f64,
    }
}

device_struct! {
    /// What a scaling of velocities is given (`dynamics::csvr::Rescaling`).
    pub(super) struct DeviceRescaling = "Velocities" {
        /// Whether there is any, by this or by a chain.
        scaled: u32,
        c: f64,
    }
}

device_struct! {
    /// What a chain of thermostats is given (`dynamics::nose_hoover::ChainMove`).
    pub(super) struct DeviceChain = "Chain" {
        /// Thermostats; none where there is no chain.
        links: u32,
        steps: u32,
        count: u32,
        /// The time of each part of a step.
        parts: [f64; MOST_PARTS],
        relaxation: f64,
    }
}

device_struct! {
    /// What a piston is given (`dynamics::mtk::PistonMove`).
    pub(super) struct DevicePiston = "Piston" {
        /// Whether there is one.
        moves: u32,
        time: f64,
        relaxation: f64,
        pressure: f64,
    }
}

device_struct! {
    /// What a strain of the cell is given (`dynamics::cell_rescaling::CellRescaling`).
    pub(super) struct DeviceBarostat = "Barostat" {
        /// A [`coupling`].
        coupling: u32,
        flight: u32,
        pressure: f64,
        mobility: f64,
    }
}

device_struct! {
    /// A value in the course of a run (`dynamics::Ramp`).
    pub(super) struct DeviceRamp = "Ramp" {
        /// How many there are; none of what does not change.
        points: u32,
        steps: [f64; MOST_POINTS],
        values: [f64; MOST_POINTS],
    }
}

device_struct! {
    /// What of a bath changes in the course of a run (`dynamics::Ramps`), of all systems alike.
    pub(super) struct DeviceRamps = "Ramps" {
        /// Temperature (eV).
        temperature: DeviceRamp,
        /// Pressure (eV / cubic angstrom).
        pressure: DeviceRamp,
    }
}

device_struct! {
    /// What the middle of a step does to all atoms alike.
    pub(super) struct Change = "Change" {
        strained: u32,
        /// Whether a strain is still to be settled: the second half of its work, and the response of the pressure.
        owing: u32,
        /// Mass and pressure of a piston in this step, and its energy at the start of it (eV).
        piston_mass: f64,
        piston_pressure: f64,
        before: f64,
        /// Logarithm of the strain, strain, and its inverse.
        strain: [[f64; 3]; 3],
        stretch: [[f64; 3]; 3],
        shrink: [[f64; 3]; 3],
        /// What the kinetic energy behind a strain presses with, less the pressure tensor ahead of it.
        rise: [[f64; 3]; 3],
        /// Velocity of the centre of mass, from which scaled velocities are counted.
        flight: [f64; 3],
        factor: f64,
    }
}

device_struct! {
    /// The state of a run that all its members share, which the host reads after every block.
    #[derive(Debug)]
    pub(super) struct DeviceState = "State" {
        /// Steps whose first part, up to the forces, was taken.
        begun: u64,
        /// Steps whose operators ahead of what takes all atoms together were taken.
        opened: u64,
        /// Steps completed.
        done: u64,
        /// No step from this one on is begun.
        until: u64,
        /// Flags that stopped the run; nothing moves while they are set.
        halt: u32,
        /// Flags raised since, not yet acted upon.
        pending: u32,
        /// Blocks of the present kernel that have finished.
        ticket: u32,
        /// Pairs in the list, as counted by the last build.
        pairs: u32,
        /// Bits of the largest squared displacement (float) since the build.
        reach: u32,
        /// Steps completed when the drift was last removed.
        drift_removed: u64,
        /// Steps completed when the kinetic energy was last held to its limit.
        checked: u64,
    }
}

device_struct! {
    /// The state of one system, which the host reads after every block.
    #[derive(Debug)]
    pub(super) struct DeviceMember = "Member" {
        /// Whether it takes no steps.
        resting: u32,
        /// Flags that it has raised since its state was set, those of the pairs apart.
        raised: u32,
        /// Whether its limits are ignored.
        muted: u32,
        /// Heat put in since the start of the run's present leg (eV).
        heat: f64,
        /// Work that strains of the cell have done, likewise (eV).
        work: f64,
        /// What the last strain added to the pressure tensor (eV / cubic angstrom).
        response: [[f64; 3]; 3],
        /// Positions and velocities of the chain of thermostats.
        chain: [f64; MOST_LINKS],
        chain_velocity: [f64; MOST_LINKS],
        /// Strain rate of the piston, and its chain.
        piston_rate: f64,
        piston_chain: [f64; MOST_LINKS],
        piston_chain_velocity: [f64; MOST_LINKS],
        /// Lattice vectors as rows (angstrom).
        cell: [[f64; 3]; 3],
        /// Strain of the cell since the build.
        strain: [[f64; 3]; 3],
        /// Square of how far an atom may come from where the strain has left it, before pairs may be missing; negative where
        /// they may be already.
        slack2: f64,
        /// The largest strain that was refused.
        refused: f64,
        /// Velocity of the centre of mass that is being taken out.
        drift: [f64; 3],
        /// Steps after which it came to rest, where it rests.
        rested_at: u64,
        /// Work of terms that move (eV); its rate with steps when it was last looked at, the step, and whether it was.
        pulled: f64,
        pull_rate: f64,
        pull_step: u64,
        pull_known: u32,
    }
}

device_struct! {
    /// What of one system does not change in a block of steps.
    #[derive(Debug, PartialEq)]
    pub(super) struct DeviceTraits = "Traits" {
        /// Its atoms, ids and slots alike: one member lies behind another.
        first: u32,
        end: u32,
        /// Its blocks of `observe`.
        first_block: u32,
        end_block: u32,
        /// The cells that its atoms are sorted into.
        first_cell: u32,
        cell_capacity: u32,
        /// The terms that act on it.
        first_term: u32,
        end_term: u32,
        periodic: [u32; 3],
        degrees: u32,
        /// Of its noise.
        seed: u32,
        replica: u32,
        /// Steps of noise that were drawn before step 0 of the engine's count.
        noise_start: u64,
        /// Steps that it had taken at step 0 of that count.
        ahead: u64,
        /// Temperature (eV).
        kt: f64,
        total_mass: f64,
        /// The total mass where the centre of mass does not count as kinetic energy, else infinite.
        held_mass: f64,
        /// Limits, infinite or zero where there is none.
        force_limit2: f64,
        contact_limit: f64,
        kinetic_limit: f64,
        /// Least and largest volume.
        least: f64,
        most: f64,
    }
}

device_struct! {
    /// What acts on some atoms beside the potential (`forcefield::external::ExternalTerm`).
    #[derive(Debug)]
    pub(super) struct DeviceTerm = "Term" {
        /// A [`law`].
        law: u32,
        /// Its atoms, and the others of a distance: from where to where they stand in the list of numbers.
        first: u32,
        end: u32,
        others_end: u32,
        /// The step from which on it moves.
        origin: u64,
        /// k, or the depth of a wall that is one of Lennard-Jones matter.
        constant: f64,
        /// sigma of such a wall.
        sigma: f64,
        /// Length at rest, or where a wall is.
        length: f64,
        /// A place, a translation, the direction or the centre of a wall, or a force.
        place: [f64; 3],
        /// What is added to places, or to the length, with a step.
        each: [f64; 3],
        longer: f64,
    }
}

device_struct! {
    /// The cells that atoms are sorted into.
    pub(super) struct DeviceGrid = "Grid" {
        /// Fractional coordinates of the corner.
        origin: [f64; 3],
        /// The inverse of the lattice vectors.
        inverse: [[f64; 3]; 3],
        /// Cells per fractional unit.
        scale: [f64; 3],
        count: [i32; 3],
        reach: [i32; 3],
        bits: [i32; 3],
        /// Length of the space-filling curve.
        cells: i32,
    }
}

/// What the lengths of arrays are made of.
#[derive(Clone, Copy)]
pub(super) struct EngineSizes {
    pub atoms: usize,
    /// DeviceSystems.
    pub members: usize,
    /// Blocks of `observe`.
    pub observed: usize,
    /// Cells that there is room for.
    pub cells: usize,
    /// Pairs that there is room for.
    pub pairs: usize,
    /// Parts in which the gradient of a pair comes.
    pub parts: usize,
    /// Terms of all members, and atoms that stand in their lists.
    pub terms: usize,
    pub term_atoms: usize,
}

device_struct! {
    /// Dynamics, atoms and pairs, as kernels see them.
    pub(super) struct EngineBlock = "Engine" {
        atoms: u32,
        list_capacity: u32,
        /// Cells of all members that there is room for.
        cells: u32,
        /// Operators ahead of what takes all atoms together, ahead of the forces, and behind.
        opening: u32,
        before: u32,
        after: u32,
        remove_drift: u32,
        /// Whether terms act on atoms, and whether some of these have baths of their own.
        acted: u32,
        own_baths: u32,
        ops: [DeviceOp; MOST_OPS],
        velocities: DeviceRescaling,
        chain: DeviceChain,
        piston: DevicePiston,
        barostat: DeviceBarostat,
        ramps: DeviceRamps,
        /// Of the potential (angstrom).
        cutoff: f64,
        /// Of the list: cutoff and skin (angstrom).
        range: f64,
        /// The system, where it is alone.
        alone: DeviceTraits,
        /// Drafts of a build, which live where the pushes and pairs of a step do.
        draft_col: Pointer<u32>,
        draft_image: Pointer<i64>,
    }
    /// What there is one of, or one for each system or cell.
    arrays SYSTEMS (EngineSizes) {
        state: Pointer<DeviceState> = |_| 1,
        members: Pointer<DeviceMember> = |s| s.members,
        traits: Pointer<DeviceTraits> = |s| s.members,
        grid: Pointer<DeviceGrid> = |s| s.members,
        change: Pointer<Change> = |s| s.members,
        /// \[members\]\[OBSERVED\], what was last observed for a barostat.
        observed: Pointer<f64> = |s| s.members * OBSERVED,
        /// Whose atoms a block of `observe` sums.
        block_member: Pointer<u32> = |s| s.observed,
        terms: Pointer<DeviceTerm> = |s| s.terms,
        /// Numbers (ids) of their atoms, and a place for each.
        term_atoms: Pointer<u32> = |s| s.term_atoms,
        term_places: Pointer<f64> = |s| 3 * s.term_atoms,
        /// \[members\]\[EXTERNAL\], what terms leave.
        external: Pointer<f64> = |s| s.members * EXTERNAL,
        cell_start: Pointer<u32> = |s| s.cells + 1,
        cell_fill: Pointer<u32> = |s| s.cells,
    }
    /// Entries of atoms, by slot (the order along the space-filling curve) if nothing else is said.
    arrays ATOMS (EngineSizes) {
        pos: Pointer<f64> = |s| 3 * s.atoms,
        vel: Pointer<f64> = |s| 3 * s.atoms,
        force: Pointer<f64> = |s| 3 * s.atoms,
        /// Heat of the present step, until it is summed.
        heat: Pointer<f64> = |s| s.atoms,
        /// Negative of an atom that is frozen.
        mass: Pointer<f64> = |s| s.atoms,
        /// Positions when the pairs were built.
        built: Pointer<f64> = |s| 3 * s.atoms,
        /// Number of the atom's element among those of the system in ascending order.
        species: Pointer<u32> = |s| s.atoms,
        id: Pointer<u32> = |s| s.atoms,
        /// Whose atom it is; by id and by slot.
        member: Pointer<u32> = |s| s.atoms,
        /// By id.
        slot: Pointer<u32> = |s| s.atoms,
        /// The bath of an atom by id: temperature (eV), negative where it is the ensemble's, and friction over that.
        own_kt: Pointer<f64> = |s| s.atoms,
        own_friction: Pointer<f64> = |s| s.atoms,
        /// Where rows of the list start.
        rows: Pointer<u32> = |s| s.atoms + 1,
        row_count: Pointer<u32> = |s| s.atoms,
        /// Pairs of a row within the cutoff at this moment.
        active: Pointer<u32> = |s| s.atoms,
        /// What an atom adds to the energy (eV), when it is asked for.
        energy: Pointer<f64> = |s| s.atoms,
        cell_of: Pointer<u32> = |s| s.atoms,
        cell_atoms: Pointer<u32> = |s| s.atoms,
        wrap: Pointer<i64> = |s| s.atoms,
        scratch: Pointer<f64> = |s| s.atoms * RECORD,
        /// \[blocks\]\[OBSERVED\].
        sums: Pointer<f64> = |s| s.observed * OBSERVED,
        /// The state last saved, by id.
        saved: Pointer<f64> = |s| SAVED * s.atoms,
    }
    /// The list of pairs: rows by slot, each sorted by neighbour id, then image.
    arrays LIST (EngineSizes) {
        col: Pointer<u32> = |s| s.pairs,
        rev: Pointer<u32> = |s| s.pairs,
        image: Pointer<i64> = |s| s.pairs,
        /// \[list\]\[GRADIENT_PARTS\]: per pair t and s, dE/dr = s u + (t - (t.u) u) / d.
        push: Pointer<[f32; 4]> = |s| s.pairs * s.parts,
        /// Of pairs within the cutoff, row i from rows\[i\] on, in the order of the list: unit vector, distance.
        geometry: Pointer<[f32; 4]> = |s| s.pairs,
        /// Slot of the neighbour, place in the list.
        pair: Pointer<[u32; 2]> = |s| s.pairs,
        /// Place in the list of the opposite pair.
        opposite: Pointer<u32> = |s| s.pairs,
    }
}

impl EngineBlock {
    /// Sets cutoff and skin (angstrom).
    pub fn describe_range(&mut self, cutoff: f64, skin: f64) {
        self.cutoff = cutoff;
        self.range = cutoff + skin;
    }
}

/// The C++ text that every part begins with, for one system or for several: constants, structures, the block `E` and functions
/// of it.
pub fn source(several: bool) -> String {
    let flags = [
        ("OP_KICK", kind::KICK),
        ("OP_DRIFT", kind::DRIFT),
        ("FLAG_SKIN", halted::SKIN),
        ("FLAG_CAPACITY", halted::CAPACITY),
        ("FLAG_NONFINITE", halted::NONFINITE),
        ("FLAG_FORCE", halted::FORCE),
        ("FLAG_CONTACT", halted::CONTACT),
        ("FLAG_KINETIC", halted::KINETIC),
        ("FLAG_CELL", halted::CELL),
        ("FLAG_LIMITS", halted::LIMITS),
        ("LAW_PLACES", law::PLACES),
        ("LAW_CENTRE", law::CENTRE),
        ("LAW_DISTANCE", law::DISTANCE),
        ("LAW_FORCE", law::FORCE),
        ("LAW_SOFT_PLANE", law::SOFT_PLANE),
        ("LAW_HARD_PLANE", law::HARD_PLANE),
        ("LAW_SOFT_SPHERE", law::SOFT_SPHERE),
        ("LAW_HARD_SPHERE", law::HARD_SPHERE),
        ("COUPLING_ISOTROPIC", coupling::ISOTROPIC),
        ("COUPLING_ANISOTROPIC", coupling::ANISOTROPIC),
        ("COUPLING_PLANE", coupling::PLANE),
        ("THERMOSTAT_STREAM", Stream::Thermostat as u32),
        ("BAROSTAT_STREAM", Stream::Barostat as u32),
        ("MOST_ATTEMPTS", MOST_ATTEMPTS),
    ];
    let sizes = [
        ("OBSERVED", OBSERVED),
        ("EXTERNAL", EXTERNAL),
        ("OBSERVE_ATOMS", OBSERVE_ATOMS),
        ("OBSERVE_GROUPS", OBSERVE_GROUPS),
        ("MOST_TOGETHER", MOST_TOGETHER),
        ("RECORD", RECORD),
        ("IMAGE_BITS", IMAGE_BITS),
        ("SEVERAL", usize::from(several)),
    ];
    [
        compiler::BASE.to_owned(),
        defines(flags.map(|(name, value)| (name, value as usize))),
        defines(sizes),
        format!("#define MOST_STRAIN {MOST_STRAIN:?}\n"),
        DeviceOp::declaration(),
        DeviceRescaling::declaration(),
        DeviceChain::declaration(),
        DevicePiston::declaration(),
        DeviceBarostat::declaration(),
        DeviceRamp::declaration(),
        DeviceRamps::declaration(),
        Change::declaration(),
        DeviceState::declaration(),
        DeviceMember::declaration(),
        DeviceTraits::declaration(),
        DeviceTerm::declaration(),
        DeviceGrid::declaration(),
        EngineBlock::declaration(),
        include_str!("kernels/engine.cu").to_owned(),
    ]
    .concat()
}

/// Lattice indices of an image, as the kernels pack them.
pub(super) fn unpack_image(packed: i64) -> [i32; 3] {
    let bias = 1_i64 << (IMAGE_BITS - 1);
    let index = |place: usize| ((packed >> (place * IMAGE_BITS)) & (2 * bias - 1)) - bias;
    [2, 1, 0].map(|place| index(place) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The compiler lays out every field where Rust does.
    #[test]
    fn structures_are_laid_out_alike() {
        let probes = [
            DeviceOp::probe(),
            DeviceRescaling::probe(),
            DeviceChain::probe(),
            DevicePiston::probe(),
            DeviceBarostat::probe(),
            DeviceRamp::probe(),
            DeviceRamps::probe(),
            Change::probe(),
            DeviceState::probe(),
            DeviceMember::probe(),
            DeviceTraits::probe(),
            DeviceTerm::probe(),
            DeviceGrid::probe(),
            EngineBlock::probe(),
        ];
        match compiler::check(&(source(false) + &probes.concat())) {
            Err(error) if compiler::excused(&error) => {}
            found => found.unwrap(),
        }
    }

    #[test]
    fn images_are_unpacked() {
        let bias = 1_i64 << 20;
        let packed = ((bias - 3) << 42) | ((bias + 7) << 21) | bias;
        assert_eq!(unpack_image(packed), [-3, 7, 0]);
    }
}
