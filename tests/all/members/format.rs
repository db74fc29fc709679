//! Checkpoints of batches: what is written is read back, and nothing that is not what was written.

use sha2::{Digest, Sha256};

use mdrun::core::rng::philox;
use mdrun::core::{Observables, Snapshot, Spread, System};
use mdrun::report::checkpoint::{BatchCheckpoint, MemberState};
use mdrun::report::{Checkpoint, EnergyRecord};
use mdrun::simulation::batch::{MemberCourse, MemberStage};

use crate::restart::sample as alone;

/// Bytes before the header: magic, version, length of the file, length of the header.
const PREFIX: usize = 28;
const HASH: usize = 32;
/// Slips of a bit and lengths that are tried.
const TRIALS: u32 = 2000;

/// A member that has a state.
fn with_state(stage: MemberStage, step: u64, of: Checkpoint) -> MemberState {
    let observables = Observables {
        potential: -1.0 / 3.0,
        kinetic: 2.0 / 7.0,
        kept: of.kept,
        spread: Some(Spread {
            force: 0.1,
            energy: 1e-300,
        }),
        ..Observables::default()
    };
    MemberState {
        course: MemberCourse {
            stage,
            step,
            state: Some(Snapshot {
                step,
                time: step as f64 / 3.0,
                cell: of.cell,
                observables,
                positions: of.positions,
                velocities: of.velocities,
                forces: Vec::new(),
            }),
            remark: Some("step 3: \"it\", said so\u{e9}".to_owned()),
        },
        identity: of.identity.run,
        energies: Some(of.energies),
        files: of.files,
        system: of.system,
    }
}

fn without_state(stage: MemberStage, step: u64, energies: Option<EnergyRecord>) -> MemberState {
    MemberState {
        course: MemberCourse {
            stage,
            step,
            state: None,
            remark: None,
        },
        identity: alone(1).identity.run,
        files: match energies {
            Some(_) => alone(1).files,
            None => Vec::new(),
        },
        energies,
        system: System::default(),
    }
}

/// A checkpoint with members of every kind, of one atom and of many.
fn batch() -> BatchCheckpoint {
    let of = alone(3);
    BatchCheckpoint {
        clock: 123_456_789_012,
        places: 4,
        stretch: 20,
        elapsed: 12.25,
        platform: of.identity.platform,
        files: of.files,
        members: vec![
            with_state(MemberStage::Running, 70, alone(9)),
            with_state(MemberStage::Complete, 100, alone(1)),
            without_state(MemberStage::Failed, 12, Some(alone(2).energies)),
            with_state(MemberStage::Failed, 0, alone(2)),
            with_state(MemberStage::Waiting, 50, alone(4)),
            without_state(MemberStage::Waiting, 0, None),
        ],
    }
}

#[test]
fn what_is_written_is_read_back() {
    let batch = batch();
    let bytes = batch.encode().unwrap();
    assert_eq!(BatchCheckpoint::decode(&bytes).unwrap(), batch);
    assert_eq!(batch.encode().unwrap(), bytes);
}

#[test]
fn nothing_else_is_read() {
    let bytes = batch().encode().unwrap();
    let random = |k: u32, below: usize| {
        let [word, ..] = philox([k, 0, 0, 0], [0x666f, 0x726d]);
        ((u64::from(word) * below as u64) >> 32) as usize
    };
    for k in 0..TRIALS {
        let mut wrong = bytes.clone();
        wrong[random(2 * k, bytes.len())] ^= 1 << (k % 8);
        assert!(BatchCheckpoint::decode(&wrong).is_err());
        let length = random(2 * k + 1, bytes.len());
        assert!(BatchCheckpoint::decode(&bytes[..length]).is_err());
    }
    assert!(BatchCheckpoint::decode(&alone(3).encode().unwrap()).is_err());
    assert!(Checkpoint::decode(&bytes).is_err());
}

/// Headers that contradict what follows, with a hash that is right.
#[test]
fn forged_headers_are_refused() {
    let bytes = batch().encode().unwrap();
    let length = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let end = PREFIX + length(20) as usize;
    let header = std::str::from_utf8(&bytes[PREFIX..end]).unwrap();
    let forged = |header: &str| {
        let whole = PREFIX + header.len() + (bytes.len() - end);
        let mut all = bytes[..12].to_vec();
        all.extend_from_slice(&(whole as u64).to_le_bytes());
        all.extend_from_slice(&(header.len() as u64).to_le_bytes());
        all.extend_from_slice(header.as_bytes());
        all.extend_from_slice(&bytes[end..bytes.len() - HASH]);
        let hash = Sha256::digest(&all);
        all.extend_from_slice(&hash);
        BatchCheckpoint::decode(&all)
    };
    assert!(forged(header).is_ok());
    let state = header.find("\"bytes\":").unwrap() + "\"bytes\":".len();
    let digits = header[state..].find(',').unwrap();
    let counted = |count: &str| format!("{}{count}{}", &header[..state], &header[state + digits..]);
    for wrong in [
        counted("0"),
        counted("18446744073709551615"),
        counted("-1"),
        header.replace("\"step\":70", "\"step\":71"),
        header.replace("\"stretch\":20", "\"stretch\":0"),
        header.replace("\"stage\":\"complete\"", "\"stage\":\"asleep\""),
        header.replace(
            "\"stage\":\"failed\",\"step\":12",
            "\"stage\":\"running\",\"step\":12",
        ),
        header.replacen("{", "{\"more\":1,", 1),
    ] {
        assert_ne!(wrong, header);
        assert!(forged(&wrong).is_err(), "{wrong}");
    }
}
