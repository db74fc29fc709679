//! Whose checkpoint it is: everything that the bits of a run depend on, as text, key by key.

use serde::{Deserialize, Serialize};

/// Keys of a run and their values: two runs whose identities are equal give the same trajectory, but for
/// how long it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// What the trajectory is defined by: a run cannot go on with another value.
    pub run: Vec<(String, String)>,
    /// What computes it: with another value a run can go on, with other rounding.
    pub platform: Vec<(String, String)>,
}

impl Identity {
    /// What another run has otherwise, such as `dynamics.timestep: 0.5 fs before, 1 fs now`: a line for
    /// each key of the run, and for each of the platform.
    pub fn differences(&self, now: &Self) -> [Vec<String>; 2] {
        [
            differences(&self.run, &now.run),
            differences(&self.platform, &now.platform),
        ]
    }
}

fn differences(before: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    let value = |of: &[(String, String)], key: &str| {
        let found = of.iter().find(|(k, _)| k == key);
        found.map_or_else(|| "none".to_owned(), |(_, value)| value.clone())
    };
    let new = (now.iter()).filter(|(key, _)| !before.iter().any(|(k, _)| k == key));
    (before.iter().chain(new))
        .map(|(key, _)| (key, value(before, key), value(now, key)))
        .filter(|(_, before, now)| before != now)
        .map(|(key, before, now)| format!("{key}: {before} before, {now} now"))
        .collect()
}
