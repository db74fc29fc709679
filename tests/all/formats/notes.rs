//! What a reader has to say reaches the user once, in words of ours, whoever reads.

use super::{frame, read};

/// Only the first of several frames is taken unnoticed nowhere.
#[test]
fn further_frames_are_told_unless_one_was_asked_for() {
    let one = "1\n\nAr 0 0 0\n";
    assert_eq!(read("f.xyz", one).notes, [""; 0]);
    let three = one.repeat(3);
    assert_eq!(
        read("f.xyz", &three).notes,
        ["has 3 frames; the first is taken (frame = -1 would be the last)"]
    );
    assert_eq!(frame("f.xyz", &three, 2).unwrap().notes, [""; 0]);
}
