//! The batch in host memory: members are what they are alone, whatever is beside them.

use mdrun::assemble::{self, Model};
use mdrun::config;
use mdrun::config::plan::EngineChoice;
use mdrun::core::{Fields, Snapshot};
use mdrun::engine::{BatchEngine, Flags};

use super::mixes::{Case, FAMILIES, Family, STEPS, cases};
use crate::physics::doubles::bits;
use crate::support::atoms::Random;
use crate::support::root;

/// Mixes of each family.
const MIXES: usize = 4;

/// A pool of so many threads.
pub fn threads(count: usize) -> rayon::ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count);
    pool.build().unwrap()
}

/// Some of the members, in any order.
fn mix<'c>(cases: &'c [Case], random: &mut Random) -> Vec<&'c Case> {
    let mut left: Vec<&Case> = cases.iter().collect();
    let count = 1 + (random.unit() * left.len() as f64) as usize;
    let mut draw = || left.swap_remove((random.unit() * left.len() as f64) as usize);
    (0..count).map(|_| draw()).collect()
}

/// Takes all steps in blocks of any length; saves some states, and goes back now and then.
fn run(engine: &mut dyn BatchEngine, random: &mut Random) -> Vec<Snapshot> {
    let (mut step, mut saved) = (0, 0);
    while step < STEPS {
        let block = 1 + (random.unit() * 90.0) as u64;
        let block = block.min(STEPS - step);
        let mut beside = 0;
        let outcomes = engine.run_beside(block, &mut || beside += 1).unwrap();
        step += block;
        assert_eq!(beside, 1);
        assert_eq!(outcomes.len(), engine.members());
        for outcome in &outcomes {
            assert_eq!((outcome.step, outcome.flags), (step, Flags::OK));
        }
        match random.unit() {
            x if x < 0.5 => {
                engine.save().unwrap();
                saved = step;
            }
            x if x < 0.7 => {
                engine.rollback().unwrap();
                step = saved;
            }
            _ => {}
        }
    }
    engine.snapshots(Fields::ALL).unwrap()
}

/// The engine of members, which share what the plan of the first says.
pub fn engine(model: &Model, members: &[&Case]) -> Box<dyn BatchEngine> {
    let batch = members
        .iter()
        .map(|case| assemble::batch_member(&case.plan));
    assemble::batch_engine(&members[0].plan, model, batch.collect()).unwrap()
}

/// Positions, velocities, forces, cell and observables are those of a lone run to the last bit: in any company, in any order, on
/// any number of threads, in any blocks, at one atom and at many, in all ensembles.
#[test]
fn a_member_is_what_it_is_alone() {
    for (family, seed) in FAMILIES.iter().zip(70..) {
        let mut random = Random::new(seed);
        any_company(family, &cases(family, &mut random), &mut random);
    }
}

/// The members of a family in some batches.
pub fn any_company(family: &Family, (model, cases): &(Model, Vec<Case>), random: &mut Random) {
    let mut seen = 0;
    for round in 0..MIXES {
        let members = mix(cases, random);
        let count = 1 + round % 3;
        let snapshots = threads(count).install(|| {
            let mut engine = engine(model, &members);
            run(&mut *engine, random)
        });
        assert_eq!(snapshots.len(), members.len());
        for (snapshot, case) in snapshots.iter().zip(&members) {
            let atoms = case.plan.start.system.len();
            assert!(
                bits(snapshot) == case.alone,
                "{atoms} atoms among {} members on {count} threads: {family:?}",
                members.len()
            );
            seen += 1;
        }
    }
    assert!(seen > MIXES, "{seen} members in {MIXES} batches");
}

/// A member is taken into another batch, with what it has come to, and nothing that follows changes.
#[test]
fn a_member_goes_on_in_another_batch() {
    let mut random = Random::new(80);
    for family in &FAMILIES[1..4] {
        another_batch(family, &cases(family, &mut random));
    }
}

/// The members of a family, each of which leaves the others after some steps.
pub fn another_batch(family: &Family, (model, cases): &(Model, Vec<Case>)) {
    const LEAVES: u64 = 70;
    let all: Vec<&Case> = cases.iter().collect();
    let mut first = engine(model, &all);
    first.run(LEAVES).unwrap();
    let reached = first.snapshots(Fields::ALL).unwrap();
    drop(first);
    // The others leave; one that begins anew comes.
    for (case, snapshot) in cases.iter().zip(reached) {
        let mut member = assemble::batch_member(&case.plan);
        let start = &mut member.start;
        start.members.all_mut()[0].cell = snapshot.cell;
        start.members.all_mut()[0].kept = snapshot.observables.kept;
        start.step = snapshot.step;
        (start.positions, start.velocities) = (snapshot.positions, snapshot.velocities);
        let new = assemble::batch_member(&cases[0].plan);
        let mut second = assemble::batch_engine(&case.plan, model, vec![new, member]).unwrap();
        let outcomes = second.run(STEPS - LEAVES).unwrap();
        let steps = [outcomes[0].step, outcomes[1].step];
        assert_eq!(steps, [STEPS - LEAVES, STEPS]);
        let snapshots = second.snapshots(Fields::ALL).unwrap();
        assert!(bits(&snapshots[1]) == case.alone, "{family:?}");
    }
}

/// What a batch says of itself is what its members say.
#[test]
fn a_batch_counts_what_its_members_do() {
    let mut random = Random::new(81);
    let (model, cases) = cases(&FAMILIES[0], &mut random);
    let members: Vec<&Case> = cases[4..8].iter().collect();
    let mut batch = threads(3).install(|| engine(&model, &members));
    batch.run(STEPS).unwrap();
    let (mut pairs, mut rebuilds) = (0, 0);
    for (k, case) in members.iter().enumerate() {
        let mut alone = assemble::engine(&case.plan, &model).unwrap();
        let program = assemble::program(&case.plan);
        alone.run(&program, 0..STEPS).unwrap();
        pairs += alone.statistics().pairs;
        rebuilds += alone.statistics().rebuilds;
        let [ours, lone] = [batch.listed(k, &[0, 2]), alone.listed(&[0, 2])].map(|l| l.unwrap());
        assert_eq!(ours, lone);
        let about = batch.about();
        assert_eq!(about.potential, alone.about().potential);
        assert!(about.to_string().contains("3 threads"), "{about}");
    }
    let statistics = batch.statistics();
    assert_eq!((statistics.pairs, statistics.rebuilds), (pairs, rebuilds));
}

#[test]
fn what_is_no_batch_is_refused() {
    let mut random = Random::new(82);
    let (model, cases) = cases(&FAMILIES[0], &mut random);
    let plan = &cases[0].plan;
    let member = || assemble::batch_member(plan);
    let refused = |members| {
        let refusal = assemble::batch_engine(plan, &model, members).err().unwrap();
        assert_eq!(refusal.exit_code(), 2);
        refusal.to_string()
    };
    assert!(refused(Vec::new()).contains("no systems"));

    let mut other = member();
    other.program = assemble::program(&FAMILIES[1].plan(300.0, ("cpu", 1)));
    let said = refused(vec![member(), member(), other]);
    assert!(said.contains("member 2 does not take the steps"), "{said}");

    let mut unknown = member();
    unknown.start.system.species[0] = 79;
    let said = refused(vec![member(), unknown]);
    assert!(said.contains("member 1") && said.contains("Au"), "{said}");
}

/// Burn's tensors share nothing: each member's are bound anew, and it is what it is alone.
#[test]
fn members_whose_potential_shares_nothing_are_what_they_are_alone() {
    const FEW: u64 = 3;
    let mut random = Random::new(84);
    let (model, mut cases) = cases(&FAMILIES[1], &mut random);
    cases.truncate(6);
    for case in &mut cases {
        case.plan.device.engine = EngineChoice::Burn;
    }
    let members: Vec<&Case> = cases.iter().collect();
    let mut batch = threads(2).install(|| engine(&model, &members));
    batch.run(FEW).unwrap();
    assert!(batch.about().to_string().contains("Burn"));
    let snapshots = batch.snapshots(Fields::ALL).unwrap();
    for (snapshot, case) in snapshots.iter().zip(&cases) {
        let mut alone = assemble::engine(&case.plan, &model).unwrap();
        alone.run(&assemble::program(&case.plan), 0..FEW).unwrap();
        assert_eq!(bits(snapshot), bits(&alone.snapshot(Fields::ALL).unwrap()));
    }
}

/// Another program computes one system; what to type instead is told.
#[test]
fn a_client_at_a_socket_serves_no_batch() {
    let file = root().join("tests/all/config/good/socket.toml");
    let mut plan = config::load(&file, &[], None).unwrap();
    let model = assemble::load(&mut plan).unwrap();
    let members = vec![assemble::batch_member(&plan); 2];
    let refusal = assemble::batch_engine(&plan, &model, members)
        .err()
        .unwrap();
    let said = refusal.to_string();
    assert!(
        said.contains("potential.socket") && said.contains("--member"),
        "{said}"
    );
    assert_eq!(refusal.exit_code(), 2);
}

/// More members than there is memory for are foreseen; as many as fit are counted.
#[test]
fn members_in_flight_fit_into_memory() {
    let mut random = Random::new(70);
    let (model, cases) = cases(&FAMILIES[0], &mut random);
    let plans = || cases.iter().map(|case| &case.plan);
    assert_eq!(assemble::in_flight(plans(), &model).unwrap(), cases.len());
}
