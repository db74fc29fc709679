//! A batch in host memory: each member has an engine of its own, and the threads of the processor share the members.

use super::{BatchEngine, BatchMember, PendingBatch, ReadyBatch, check_batch};
use crate::Result;
use crate::core::{Fields, Snapshot, System};
use crate::dynamics::Program;
use crate::engine::{Engine, Flags, HostEngine, Limits, Outcome, Statistics};
use crate::forcefield::HostForceField;
use crate::neighbors::Listed;
use crate::potential::{About, Potential};
use crate::workers::heaviest_first;

/// Many [`HostEngine`]s. All steps of one member in a block are one task of one thread, so that threads do not wait for each
/// other in between.
pub struct HostBatch {
    members: Vec<HostMember>,
    threads: usize,
}

struct HostMember {
    engine: HostEngine,
    program: Program,
    /// Whether a broken limit is a fault.
    stop: bool,
    /// Steps taken, now and when it was saved.
    step: u64,
    saved: u64,
    rests: bool,
}

impl HostBatch {
    /// A batch at its start with forces evaluated. `bind` gives the potential of a member's atoms, on one thread; `skin`
    /// (angstrom) is that of the Verlet lists.
    ///
    /// # Errors
    /// Those of [`check_batch`]; of `bind` and of [`HostEngine::of`] for a member, which is named.
    pub fn new(
        members: Vec<BatchMember>,
        skin: f64,
        bind: impl Fn(&System) -> Result<Box<dyn Potential>>,
    ) -> Result<Self> {
        check_batch(&members)?;
        let mut bound = Vec::with_capacity(members.len());
        for (k, member) in members.into_iter().enumerate() {
            let potential = named(k, bind(&member.start.system))?;
            bound.push((member, potential));
        }
        let atoms = |(member, _): &(BatchMember, _)| member.start.system.len();
        let open = |_: &mut (), (member, potential)| HostMember::new(member, potential, skin);
        let members = heaviest_first(bound, atoms, || (), open).into_iter();
        let members = members.enumerate().map(|(k, member)| named(k, member));
        Ok(Self {
            members: members.collect::<Result<_>>()?,
            threads: rayon::current_num_threads(),
        })
    }
}

/// Says which member an error is of.
fn named<T>(member: usize, found: Result<T>) -> Result<T> {
    found.map_err(|e| e.within(format!("member {member}")))
}

impl HostMember {
    fn new(member: BatchMember, potential: Box<dyn Potential>, skin: f64) -> Result<Self> {
        let BatchMember {
            start,
            noise,
            program,
            limits,
        } = member;
        let step = start.step;
        let field = HostForceField::new(potential, skin);
        let mut engine = HostEngine::of(start, noise, field)?;
        let Limits { stop, .. } = limits;
        engine.watch(limits);
        Ok(Self {
            engine,
            program,
            stop,
            step,
            saved: step,
            rests: false,
        })
    }

    /// Takes so many steps, if it does not rest; goes back and rests where it is at fault.
    fn run(&mut self, steps: u64) -> Result<Outcome> {
        if self.rests {
            return Ok(Outcome::none(self.step));
        }
        let end = self.step.saturating_add(steps);
        let outcome = self.engine.run(&self.program, self.step..end)?;
        self.step = outcome.step;
        let broken = self.stop && outcome.flags.contains(Flags::LIMIT);
        if broken || outcome.flags.intersects(Flags::FATAL) {
            self.rests = true;
            self.rollback()?;
        }
        Ok(outcome)
    }

    fn rollback(&mut self) -> Result<()> {
        self.step = self.saved;
        self.engine.rollback()
    }
}

impl BatchEngine for HostBatch {
    fn members(&self) -> usize {
        self.members.len()
    }

    fn run_beside(&mut self, steps: u64, meanwhile: &mut dyn FnMut()) -> Result<Vec<Outcome>> {
        meanwhile();
        let pairs = |member: &&mut HostMember| member.engine.statistics().pairs as usize;
        let run = |_: &mut (), member: &mut HostMember| member.run(steps);
        let outcomes = heaviest_first(&mut self.members, pairs, || (), run);
        let outcomes = outcomes.into_iter().enumerate();
        outcomes.map(|(k, outcome)| named(k, outcome)).collect()
    }

    fn rest(&mut self, member: usize) {
        self.members[member].rests = true;
    }

    fn save(&mut self) -> Result<()> {
        for member in &mut self.members {
            member.saved = member.step;
            member.engine.save()?;
        }
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(HostMember::rollback)
    }

    fn request(&mut self, want: Fields) -> Result<Box<dyn PendingBatch>> {
        let members = self.members.iter_mut();
        let snapshots = members.map(|member| member.engine.snapshot(want));
        let snapshots = snapshots.collect::<Result<Vec<Snapshot>>>()?;
        Ok(Box::new(ReadyBatch(snapshots)))
    }

    fn listed(&mut self, member: usize, receivers: &[usize]) -> Result<Listed> {
        named(member, self.members[member].engine.listed(receivers))
    }

    fn statistics(&self) -> Statistics {
        let of = self.members.iter().map(|member| member.engine.statistics());
        of.fold(Statistics::default(), |sum, one| Statistics {
            rebuilds: sum.rebuilds + one.rebuilds,
            pairs: sum.pairs + one.pairs,
        })
    }

    fn about(&self) -> About {
        // There is a first member.
        let about = self.members[0].engine.about();
        about.on_threads(self.threads.min(self.members.len()))
    }
}
