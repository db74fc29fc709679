//! Structures that come with the program itself, for measurements that everybody can repeat.

use super::structure::{Structure, Wanted};
use super::xyz;
use crate::Result;

/// Names and files, by size.
const FILES: [(&str, &str); 6] = [
    (
        "ethanol",
        include_str!("../../configs/structures/ethanol.xyz"),
    ),
    (
        "paracetamol",
        include_str!("../../configs/structures/paracetamol.xyz"),
    ),
    (
        "aspirin",
        include_str!("../../configs/structures/aspirin.xyz"),
    ),
    (
        "caffeine",
        include_str!("../../configs/structures/caffeine.xyz"),
    ),
    (
        "ropivacaine",
        include_str!("../../configs/structures/ropivacaine.xyz"),
    ),
    (
        "64 waters",
        include_str!("../../configs/structures/water64.xyz"),
    ),
];

/// The first frame of each, with its name.
///
/// # Errors
/// None, as long as the files are sound.
pub fn embedded() -> Result<Vec<(&'static str, Structure)>> {
    let mut all = Vec::new();
    for (name, text) in FILES {
        let frames = xyz::read(text, Wanted::One(0))?;
        all.extend(frames.into_iter().map(|frame| (name, frame)));
    }
    Ok(all)
}
