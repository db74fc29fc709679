//! How the marks of output files stand in a checkpoint's header.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::simulation::FileMark;

/// The fields of a mark: the loop, whose type it is, knows no format.
#[derive(Serialize, Deserialize)]
#[serde(remote = "FileMark", deny_unknown_fields)]
struct MarkFields {
    name: String,
    length: u64,
    records: u64,
    amended: Vec<[u64; 2]>,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct MarkRow(#[serde(with = "MarkFields")] FileMark);

pub(super) fn serialize<S: Serializer>(marks: &[FileMark], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(marks.iter().cloned().map(MarkRow))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<FileMark>, D::Error> {
    let rows = Vec::<MarkRow>::deserialize(from)?;
    Ok(rows.into_iter().map(|MarkRow(mark)| mark).collect())
}
