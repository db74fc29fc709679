//! The seal of a model file: a hash of all that its energies depend on, in the file itself, since safetensors has no
//! checksums.

use sha2::{Digest as _, Sha256};

/// The metadata key that has it.
pub const SEAL: &str = "painn_sha256";

/// SHA-256 of the metadata `painn` and of the tensors, each with name, type, shape and bytes, in the order of their names.
pub fn seal<'a>(
    painn: &str,
    tensors: impl Iterator<Item = (&'a str, String, &'a [usize], &'a [u8])>,
) -> String {
    let mut hash = Sha256::new();
    // With lengths, so that no two files are the same row of bytes.
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(painn.as_bytes());
    for (name, kind, shape, bytes) in tensors {
        add(name.as_bytes());
        add(kind.as_bytes());
        for size in shape {
            add(&(*size as u64).to_le_bytes());
        }
        add(bytes);
    }
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
