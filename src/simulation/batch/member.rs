//! How far a member of a batch has come, and what happens to it.

use crate::core::Snapshot;
use crate::simulation::Cause;

/// Where a member is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberStage {
    /// In line: it has not begun, or has come to its state and waits to go on.
    Waiting,
    /// In flight.
    Running,
    /// All of its steps are taken.
    Complete,
    /// Something is wrong with it: a limit was broken, pairs are missing, or a reporter ended it.
    Failed,
}

/// How far a member has come.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberCourse {
    /// Where it is.
    pub stage: MemberStage,
    /// Steps taken since it began.
    pub step: u64,
    /// Its state, positions and velocities, where it is not in flight: what it goes on from, or its last one. `None` of one
    /// that has not begun, or that ended in the middle of a block.
    pub state: Option<Snapshot>,
    /// Why it failed, or else the first warning of it.
    pub remark: Option<String>,
}

impl MemberCourse {
    /// A member that has not begun.
    pub fn new() -> Self {
        Self {
            stage: MemberStage::Waiting,
            step: 0,
            state: None,
            remark: None,
        }
    }

    /// Whether it takes no steps any more.
    pub fn has_ended(&self) -> bool {
        matches!(self.stage, MemberStage::Complete | MemberStage::Failed)
    }
}

impl Default for MemberCourse {
    fn default() -> Self {
        Self::new()
    }
}

/// What happens to a member.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MemberEvent<'e> {
    /// It ends as failed.
    Fault(&'e Cause),
    /// A limit was broken that does not end it, or a reporter's alarm.
    Warning(&'e Cause),
    /// A reporter's remark.
    Remark(&'e str),
}
