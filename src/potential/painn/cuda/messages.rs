//! How the message kernels divide their work.

/// Degrees of splines.
pub(super) const QUADRATIC: usize = 2;
pub(super) const CUBIC: usize = 3;
pub(super) const QUINTIC: usize = 5;
/// Most intervals of cubic splines that are read through the cache where a model needs no more: so many that they cost no time.
const DIRECT_INTERVALS: usize = 480;

/// Warps of a message kernel's block, and how many of them share an atom's row of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Teams {
    /// Warps of a block.
    pub warps: usize,
    /// Warps of a team, 1 to 8.
    pub team: usize,
}

/// How the message kernels divide their work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    /// Splines of few reads are taken through the cache, a block is a team of warps.
    Direct {
        /// Degree of the splines.
        degree: usize,
        /// Warps of a team on the way forward.
        forward: usize,
        /// Warps of a team on the way back, where a warp needs more registers.
        backward: usize,
        /// Blocks that are to fit on a multiprocessor.
        blocks: usize,
    },
    /// Splines are kept in shared memory, and a block takes a stretch of neighbouring atoms.
    Staged {
        /// Degree of the splines: quintic ones take a quarter of the room of cubic ones.
        degree: usize,
        /// Most intervals that they have where the model needs no more.
        most: usize,
        /// Teams of the way forward.
        forward: Teams,
        /// Teams of the way back.
        backward: Teams,
        /// Blocks on a multiprocessor.
        blocks: usize,
    },
}

impl Messages {
    /// Whether splines are kept in shared memory.
    pub(super) fn staged(self) -> bool {
        matches!(self, Self::Staged { .. })
    }

    /// Degree of the splines.
    pub(super) fn degree(self) -> usize {
        match self {
            Self::Direct { degree, .. } | Self::Staged { degree, .. } => degree,
        }
    }

    /// Most intervals of the splines where the model needs no more.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Direct { .. } => DIRECT_INTERVALS,
            Self::Staged { most, .. } => most,
        }
    }

    /// Teams forward and backward.
    pub(super) fn teams(self) -> (Teams, Teams) {
        match self {
            Self::Staged {
                forward, backward, ..
            } => (forward, backward),
            Self::Direct {
                forward, backward, ..
            } => {
                let block = |team| Teams { warps: team, team };
                (block(forward), block(backward))
            }
        }
    }

    /// Blocks that are to fit on a multiprocessor.
    pub(super) fn blocks(self) -> usize {
        match self {
            Self::Direct { blocks, .. } | Self::Staged { blocks, .. } => blocks,
        }
    }
}
