//! How members end, and batches: by faults, by drift, by an interrupt; and how a batch goes on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mdrun::core::rng::philox;
use mdrun::report::checkpoint::store;
use mdrun::report::{Console, Status};
use mdrun::run::{BatchEnding, Entry, Run};

use super::plans::{self, Members, frame_of, read, refusal, row_of, rows_of, run, run_until};
use crate::restart::runs::{Bench, Dynamics, Subject, record, status};

/// A limit that hot members break and others do not.
const FORCE: &str = "[monitor]\nforce = \"9 eV/A\"\naction = \"stop\"\nrecord = false\n";

/// Molecules of which some are so hot that they break the limit on forces.
fn hot_and_cold(steps: u64) -> Members {
    let mut members = Members::molecules(6, Dynamics::Nve, steps, FORCE);
    for (member, kelvin) in [(1, 9000), (4, 2500)] {
        let velocities = format!("{{ temperature = \"{kelvin} K\", seed = 1 }}");
        members.set(member, &format!("system.velocities={velocities}"));
    }
    members
}

/// Compares members that may have ended before their time with their lone runs; gives how many failed.
fn ended_as_alone(members: &Members, batch: &Path) -> usize {
    let table = read(&batch.join("thermo.csv"));
    let last = read(&batch.join("final.xyz"));
    let mut failed = 0;
    for member in 0..members.count() {
        let alone = members.at(&format!("alone{member}"));
        members.run_alone(member, &alone);
        let summary = &record(&alone)["summary"];
        let row = row_of(batch, member);
        assert_eq!(row[3], status(&alone), "member {member}");
        assert_eq!(row[4], summary["steps"].to_string(), "member {member}");
        let lone = read(&alone.join("thermo.csv"));
        assert_eq!(
            rows_of(&table, member),
            lone.lines().skip(1).collect::<Vec<_>>()
        );
        let own = read(&batch.join(format!("members/{member:04}/traj.xyz")));
        assert_eq!(own, read(&alone.join("traj.xyz")), "member {member}");
        let lone = fs::read_to_string(alone.join("final.xyz")).unwrap_or_default();
        assert_eq!(frame_of(&last, member), lone, "member {member}");
        match summary["stopped_by"].as_str() {
            None => assert_eq!(row[8], ""),
            Some(reason) => {
                assert_eq!(row[8], reason, "member {member}");
                failed += 1;
            }
        }
    }
    failed
}

#[test]
fn a_member_at_fault_ends_and_the_others_go_on() {
    let members = hot_and_cold(60);
    let batch = members.at("batch");
    let ending = members.run(&batch, Some(3));
    assert_eq!(ending.status, Status::Failed);
    assert_eq!(status(&batch), "failed");
    let failed = ended_as_alone(&members, &batch);
    let summary = ending.summary.unwrap();
    println!("{failed} of {} failed", members.count());
    assert!((1..5).contains(&failed), "{failed} failed");
    assert_eq!(
        (summary.failed, summary.complete),
        (failed, members.count() - failed)
    );
    assert_eq!(summary.failures.len(), failed);
    let text = summary.to_text();
    assert!(text.contains("failed        member 1: step "), "{text}");
    // There is nothing left to do.
    let again = run(members.plan(&batch, Some(3), &[]), Entry::Resume).unwrap();
    assert_eq!((again.status, again.summary), (Status::Failed, None));
}

/// A member that a reporter ends has the state at which it was looked at, however long the block was that is undone for it.
#[test]
fn a_member_that_drifts_ends_where_it_was_seen() {
    let monitor = "[monitor]\ndrift = \"0.00001 meV/atom/ps\"\naction = \"stop\"\nrecord = false\n";
    let more = format!("{}{monitor}", plans::CPU);
    let mut members = Members::replicas(Bench::new(Subject::Argon, Dynamics::Nve, 400, &more), 3);
    for (member, kelvin) in [(0, 184), (1, 20), (2, 300)] {
        members.set(member, "dynamics.timestep=\"16 fs\"");
        members.set(member, "output.thermo_every=50");
        members.set(
            member,
            "output.trajectory=[{ format = \"xyz\", every = 100 }]",
        );
        let velocities = format!("{{ temperature = \"{kelvin} K\", seed = 1 }}");
        members.set(member, &format!("system.velocities={velocities}"));
    }
    let batch = members.at("batch");
    assert_eq!(members.run(&batch, None).status, Status::Failed);
    let failed = ended_as_alone(&members, &batch);
    println!("{failed} of 3 were ended by their drift");
    assert!((1..3).contains(&failed), "{failed} failed");
    assert!(frame_of(&read(&batch.join("final.xyz")), 1).contains("Properties"));
}

/// A member that is at fault from the start takes no step.
#[test]
fn a_member_may_be_at_fault_from_the_start() {
    let contact = "[monitor]\ncontact = \"0.75 A\"\naction = \"stop\"\nrecord = false\n";
    let mut members = Members::molecules(3, Dynamics::Nve, 10, contact);
    let near = members.at("near.xyz");
    fs::write(&near, "2\n\nH 0 0 0\nH 0 0 0.7\n").unwrap();
    members.set(
        1,
        &format!("system.structure={:?}", near.display().to_string()),
    );
    let batch = members.at("batch");
    assert_eq!(members.run(&batch, Some(1)).status, Status::Failed);
    let row = row_of(&batch, 1);
    assert_eq!(row[3..5], ["failed", "0"]);
    assert!(row[8].contains("[monitor] contact"), "{row:?}");
    assert_eq!(row_of(&batch, 2)[3], "complete");
}

/// What of a checkpoint depends on how long a batch was to be when it began.
const CLOCK: &str = "clock";

/// All files of a batch but its record and what waits to be removed, with its newest checkpoint, in which times of the clock on the wall are left out.
pub fn files_of(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    gather(run, "", &mut found);
    let newest = store::newest_of_batch(run).unwrap().unwrap();
    let checkpoint = newest.checkpoint;
    let mut keep = |part: String, what: String| found.insert(part, what.into_bytes());
    for (member, state) in checkpoint.members.iter().enumerate() {
        keep(format!("checkpoint of {member}"), format!("{state:?}"));
    }
    let shared = (&checkpoint.files, &checkpoint.platform, checkpoint.stretch);
    keep("checkpoint".to_owned(), format!("{shared:?}"));
    keep(
        CLOCK.to_owned(),
        format!("{} {}", checkpoint.clock, checkpoint.places),
    );
    found
}

fn gather(folder: &Path, before: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    const OTHERS: [&str; 4] = ["run.json", "report.html", "state.ckpt", "state_prev.ckpt"];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{before}{}", path.file_name().unwrap().to_string_lossy());
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            gather(&path, &format!("{name}/"), found);
        } else if !OTHERS.contains(&name.as_str()) {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
}

pub fn assert_same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>, told: &str) {
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other), "{told}");
    for (name, bytes) in one {
        let texts =
            || [bytes, &other[name]].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let [one, other] = match bytes == &other[name] {
            true => continue,
            false => texts(),
        };
        let mut letters = one.chars().zip(other.chars());
        let at = letters.position(|(a, b)| a != b).unwrap_or(0);
        let near = |text: &str| {
            text.chars()
                .skip(at.saturating_sub(60))
                .take(120)
                .collect::<String>()
        };
        panic!(
            "{name} is another one: {told}: at {at}: {:?} {:?}",
            near(&one),
            near(&other)
        );
    }
}

/// Runs a batch undisturbed; then interrupts it at some moments until it ends. Gives how often.
fn disturbed(
    members: &Members,
    (whole, batch): (&Path, &Path),
    in_flight: Option<usize>,
    seed: u32,
) -> usize {
    let began = Instant::now();
    members.run(whole, in_flight);
    let longest = began.elapsed();
    for sitting in 0..200 {
        let flag = Arc::<AtomicBool>::default();
        let [word, ..] = philox([seed, sitting, 0, 0], [0x696e, 0x7472]);
        // Longer ones come too, so that it ends.
        let part = f64::from(word) / 4_294_967_296.0 * (0.9 + 0.05 * f64::from(sitting));
        let moment = longest.mul_f64(part);
        let raise = Arc::clone(&flag);
        std::thread::spawn(move || {
            std::thread::sleep(moment);
            raise.store(true, Ordering::Release);
        });
        let plan = members.plan(batch, in_flight, &[]);
        let ending = run_until(plan, Entry::Resume, &flag).unwrap();
        if ending.status != Status::Interrupted {
            return sitting as usize;
        }
    }
    panic!("interrupted so often, and not at its end");
}

#[test]
fn a_batch_that_is_interrupted_goes_on_to_the_same_files() {
    let mut interrupts = 0;
    for (seed, in_flight) in [(1, Some(2)), (2, Some(4)), (3, None)] {
        let members = hot_and_cold(60);
        let mut so_far = 0;
        // On a machine that does much else many come before the first step or after the last.
        for again in 0..20 {
            let (whole, parts) = (
                members.at(&format!("whole{again}")),
                members.at(&format!("parts{again}")),
            );
            so_far += disturbed(&members, (&whole, &parts), in_flight, seed + 10 * again);
            assert_same(
                &files_of(&parts),
                &files_of(&whole),
                &format!("{in_flight:?}"),
            );
            assert_eq!(status(&parts), "failed");
            if so_far >= 2 {
                break;
            }
        }
        interrupts += so_far;
    }
    println!("{interrupts} interrupts");
}

/// What is done now and then keeps its steps: members that run together differ by whole cycles of it.
#[test]
fn thermostats_go_on_to_the_same_files() {
    for (dynamics, in_flight) in [
        (Dynamics::Langevin, Some(2)),
        (Dynamics::Csvr, Some(3)),
        (Dynamics::NoseHoover, Some(2)),
    ] {
        let members = Members::molecules(5, dynamics, 47, "");
        let (whole, parts) = (members.at("whole"), members.at("parts"));
        let interrupts = disturbed(&members, (&whole, &parts), in_flight, 7);
        println!("{interrupts} interrupts");
        assert_same(
            &files_of(&parts),
            &files_of(&whole),
            &format!("{dynamics:?}"),
        );
    }
}

/// A batch that is complete goes on to a longer duration; of members that are in flight one after another, those of a member are
/// the files of a longer run.
#[test]
fn a_batch_goes_on_to_a_longer_duration() {
    for (dynamics, in_flight) in [(Dynamics::Langevin, None), (Dynamics::Langevin, Some(2))] {
        let members = Members::molecules(4, dynamics, 60, "");
        let (whole, parts) = (members.at("whole"), members.at("parts"));
        members.run(&whole, in_flight);
        let short = ["dynamics.steps=23".to_owned()];
        run(members.plan(&parts, in_flight, &short), Entry::Begin).unwrap();
        assert_eq!(row_of(&parts, 3)[3..5], ["complete", "23"]);
        let ending = run(members.plan(&parts, in_flight, &[]), Entry::Resume).unwrap();
        assert_eq!((ending.status, ending.steps), (Status::Complete, 240));
        let [mut right, mut found] = [&whole, &parts].map(|run| files_of(run));
        for files in [&mut right, &mut found] {
            files.remove(CLOCK);
        }
        if in_flight.is_some() {
            for member in 0..4 {
                let [one, other] = [&right, &found]
                    .map(|files| String::from_utf8(files["thermo.csv"].clone()).unwrap());
                assert_eq!(rows_of(&one, member), rows_of(&other, member));
            }
            for files in [&mut right, &mut found] {
                files.remove("thermo.csv");
                files.remove("checkpoint");
            }
        }
        assert_same(&found, &right, &format!("{in_flight:?}"));
    }
}

#[test]
fn a_batch_that_is_not_to_begin_leaves_nothing() {
    let members = Members::molecules(2, Dynamics::Nve, 10, "");
    let batch = members.at("batch");
    let flag = AtomicBool::new(true);
    let ending = run_until(members.plan(&batch, None, &[]), Entry::Begin, &flag).unwrap();
    let nothing = BatchEnding {
        status: Status::Interrupted,
        steps: 0,
        summary: None,
    };
    assert_eq!(ending, nothing);
    assert!(!batch.exists());
}

#[test]
fn a_run_in_the_way_is_refused_and_replaced_when_asked_for() {
    let members = Members::molecules(3, Dynamics::Nve, 10, "");
    let batch = members.at("batch");
    members.run(&batch, None);
    let before = files_of(&batch);
    let refused = refusal(run(members.plan(&batch, None, &[]), Entry::Begin));
    assert!(refused.contains("holds a run already"), "{refused}");
    // What is somebody else's is not removed with it.
    let own = batch.join("members/0001/notes.txt");
    fs::write(&own, "mine").unwrap();
    let refused = refusal(run(members.plan(&batch, None, &[]), Entry::Replace));
    assert!(
        refused.contains("0001/notes.txt is no file of a run"),
        "{refused}"
    );
    assert_eq!(read(&own), "mine");
    fs::remove_file(&own).unwrap();
    assert_same(&files_of(&batch), &before, "after refusals");
    let fewer = Members::molecules(2, Dynamics::Nve, 10, "");
    run(fewer.plan(&batch, None, &[]), Entry::Replace).unwrap();
    assert!(batch.join("members/0001/traj.xyz").is_file());
    assert!(
        !batch.join("members/0002").exists(),
        "the third member is gone"
    );
    // A run of one system takes its place, and leaves nothing of it.
    let alone = fewer.alone(0, &batch, &[]);
    let alone = Run::open(alone, Entry::Replace, &Console::silent()).unwrap();
    alone.to_the_end(&AtomicBool::new(false)).unwrap();
    assert!(!batch.join("members").exists() && !batch.join("members.csv").exists());
}

#[test]
fn a_batch_goes_on_only_as_what_it_was() {
    let mut members = Members::molecules(3, Dynamics::Nve, 10, "");
    let (batch, alone) = (members.at("batch"), members.at("alone"));
    members.run(&batch, None);
    members.run_alone(0, &alone);
    let one = Run::open(
        members.alone(0, &batch, &[]),
        Entry::Resume,
        &Console::silent(),
    );
    let message = one.map(drop).unwrap_err().to_string();
    assert!(message.contains("it is of a batch of systems"), "{message}");
    let message = refusal(run(members.plan(&alone, None, &[]), Entry::Resume));
    assert!(
        message.contains("it is of a run of one system"),
        "{message}"
    );
    let mut plan = members.plan(&batch, None, &[]);
    plan.members.pop();
    let message = refusal(run(plan, Entry::Resume));
    assert!(
        message.contains("it has 3 members and the plan 2"),
        "{message}"
    );
    let message = refusal(run(
        members.plan(&batch, None, &["dynamics.steps=9".into()]),
        Entry::Resume,
    ));
    assert!(
        message.contains("gone past the steps asked for"),
        "{message}"
    );
    members.set(1, "system.velocities={ temperature = \"301 K\", seed = 1 }");
    let message = refusal(run(members.plan(&batch, None, &[]), Entry::Resume));
    assert!(
        message.contains("member 1 (methane.xyz): system.velocities was 300 K"),
        "{message}"
    );
}

/// Files that are gone or altered are named before anything is written.
#[test]
fn files_that_are_not_what_they_were_are_named() {
    let members = Members::molecules(2, Dynamics::Nve, 10, "");
    let longer = ["dynamics.steps=20".to_owned()];
    let path = |batch: &Path| batch.join("members/0001/traj.dcd");
    for (alter, why) in [
        (
            &(|path: &Path| fs::remove_file(path).unwrap()) as &dyn Fn(&Path),
            "members/0001/traj.dcd is missing",
        ),
        (
            &|path| {
                let mut bytes = fs::read(path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(path, bytes).unwrap();
            },
            "members/0001/traj.dcd was altered",
        ),
    ] {
        let batch = members.at("batch");
        run(members.plan(&batch, None, &[]), Entry::Replace).unwrap();
        alter(&path(&batch));
        let before = read(&batch.join("thermo.csv"));
        let message = refusal(run(members.plan(&batch, None, &longer), Entry::Resume));
        assert!(message.contains(why), "{message}");
        assert_eq!(read(&batch.join("thermo.csv")), before);
    }
}
