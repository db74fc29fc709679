//! Files that are no checkpoints any more, or never were: whatever is in them, reading ends with an error or a
//! checkpoint, takes no more memory than the file has bytes for, and never panics.

use std::fs;
use std::sync::LazyLock;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use mdrun::report::Checkpoint;
use mdrun::report::checkpoint::store;

use super::sample;

/// Cases of each property.
const CASES: u32 = 400;

static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| sample(7).encode().unwrap());

/// Bytes with the right hash after them: what a forger would write.
fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    let hash = Sha256::digest(&content);
    content.extend_from_slice(&hash);
    content
}

/// A checkpoint with one piece of its header replaced, sealed again.
fn forged(from: &str, to: &str) -> Vec<u8> {
    let header_length = u32::from_le_bytes(SOUND[12..16].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&SOUND[16..16 + header_length]).unwrap();
    assert!(header.contains(from), "{header} has {from}");
    let header = header.replacen(from, to, 1);
    let length = (header.len() as u32).to_le_bytes();
    let arrays = &SOUND[16 + header_length..SOUND.len() - 32];
    sealed([&SOUND[..12], &length, header.as_bytes(), arrays].concat())
}

/// The fixed corpus: sizes, counts and lists that lie, each with a right hash. All are refused.
#[test]
fn forged_checkpoints_are_refused() {
    let many_levels = format!(
        "\"levels\":[{}{{",
        r#"{"sums":{"count":1,"mean_t":0.0,"mean_y":0.0,"tt":0.0,"ty":0.0,"yy":0.0},"half":null},"#
            .repeat(80)
    );
    let deep = format!("\"step\":{}", "[".repeat(100_000));
    let corpus = [
        forged("\"atoms\":7", "\"atoms\":18446744073709551615"),
        forged("\"atoms\":7", "\"atoms\":323627264803675009"),
        forged("\"atoms\":7", "\"atoms\":8"),
        forged("\"atoms\":7", "\"atoms\":-7"),
        forged("\"atoms\":7", "\"atoms\":0"),
        forged("\"stretch\":20", "\"stretch\":0"),
        forged("\"heat\":-0.", "\"heat\":1e999"),
        forged("\"heat\":-0.", "\"heat\":null,\"more\":-0."),
        forged("\"levels\":[{", &many_levels),
        forged("\"step\":", &deep),
        forged("\"vectors\":[9.0", "\"vectors\":[0.0"),
        forged("\"vectors\":[", "\"vectors\":null,\"v\":["),
        sealed(SOUND[..16].to_vec()),
        sealed(Vec::new()),
        sealed([&b"mdrunCKP\x02\0\0\0"[..], &SOUND[12..]].concat()),
        sealed(b"mdrunCKP\x01\0\0\0\xff\xff\xff\xff{}".to_vec()),
        sealed(b"mdrunCKP\x01\0\0\0\xff\xff\xff\x00{}".to_vec()),
        sealed(b"mdrunCKP\x01\0\0\0\x02\0\0\0{}".to_vec()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged.ckpt");
    for (k, bytes) in corpus.iter().enumerate() {
        assert!(Checkpoint::decode(bytes).is_err(), "forgery {k}");
        fs::write(&path, bytes).unwrap();
        assert!(store::read(&path).is_err(), "forgery {k}");
    }
    // Not for want of a right hash: an honest change is read.
    let honest = Checkpoint::decode(&forged("\"stretch\":20", "\"stretch\":21")).unwrap();
    assert_eq!(honest.stretch, 21);
}

/// A file that pretends to be of a petabyte costs no memory.
#[test]
fn a_huge_file_of_nothing_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.ckpt");
    fs::write(&path, &SOUND[..]).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    if file.set_len(1 << 40).is_err() {
        eprintln!("skipped: no file of a terabyte can be made here");
        return;
    }
    let message = store::read(&path).unwrap_err().to_string();
    assert!(message.contains("are not those of 7 atoms"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_checkpoints_are_refused(length in 0..SOUND.len()) {
        prop_assert!(Checkpoint::decode(&SOUND[..length]).is_err());
    }

    #[test]
    fn flipped_bits_are_seen(at in 0..SOUND.len(), bit in 0..8u32) {
        let mut bytes = SOUND.clone();
        bytes[at] ^= 1u8 << bit;
        prop_assert!(Checkpoint::decode(&bytes).is_err());
    }

    /// With the hash put right, what was altered is refused or read, and then written as it was read.
    #[test]
    fn forgeries_do_no_harm(at in 0..SOUND.len() - 32, junk in prop::collection::vec(any::<u8>(), 0..12), cut in 0..40usize) {
        let mut content = SOUND[..SOUND.len() - 32].to_vec();
        let end = (at + cut).min(content.len());
        content.splice(at..end, junk);
        if let Ok(read) = Checkpoint::decode(&sealed(content)) {
            prop_assert_eq!(read.positions.len(), read.system.len());
            let _ = read.encode();
        }
    }

    #[test]
    fn any_bytes_do_no_harm(junk in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Checkpoint::decode(&junk);
        let _ = Checkpoint::decode(&sealed([&b"mdrunCKP\x01\0\0\0"[..], &junk].concat()));
    }
}
