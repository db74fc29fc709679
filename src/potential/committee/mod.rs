//! A committee: the mean of several potentials drives, and how far they are apart says what it is not known better than.
//!
//! Query by committee (Seung, Opper and Sompolinsky 1992); of neural-network potentials Behler, J. Phys.: Condens. Matter 26,
//! 183001 (2014), and, with the largest deviation of a force as the measure, Zhang et al., Phys. Rev. Mater. 3, 023804 (2019).
//! The spread here is the sample's standard deviation, with members - 1 below ([`Spread`]).

#[cfg(feature = "cuda")]
mod cuda;

use super::{About, Evaluation, Potential};
use crate::core::{Mat3, Spread, Vec3};
use crate::neighbors::Pairs;
use crate::{Error, Result};

#[cfg(feature = "cuda")]
pub use cuda::CudaCommittee;

/// Most members: as many as the kernels have room for.
pub const MOST_MEMBERS: usize = 16;

/// Checks that as many potentials of these ranges (angstrom) can be one committee.
///
/// # Errors
/// They are too few or too many, or have different ranges: there is one list of pairs.
pub fn check(cutoffs: &[f64]) -> Result<()> {
    if !(2..=MOST_MEMBERS).contains(&cutoffs.len()) {
        return Err(Error::input(format!(
            "a committee has 2 to {MOST_MEMBERS} models, not {}",
            cutoffs.len()
        )));
    }
    match cutoffs.iter().find(|cutoff| **cutoff != cutoffs[0]) {
        None => Ok(()),
        Some(other) => Err(Error::input(format!(
            "a committee has one list of pairs, but its models have cutoffs of {} and {other} A",
            cutoffs[0]
        ))),
    }
}

/// What a committee is called: all of its members, those that are alike once.
fn words(members: Vec<About>) -> About {
    let joined = |of: fn(&About) -> &String| {
        let mut parts: Vec<(String, usize)> = Vec::new();
        for text in members.iter().map(of) {
            match parts.last_mut() {
                Some((last, count)) if last == text => *count += 1,
                _ => parts.push((text.clone(), 1)),
            }
        }
        parts
    };
    let alike = |of| {
        let mut parts: Vec<String> = joined(of).into_iter().map(|(text, _)| text).collect();
        parts.retain(|text| !text.is_empty());
        parts.dedup();
        parts.join(" / ")
    };
    let counted = |(text, count): (String, usize)| match count {
        1 => text,
        _ => format!("{count} times {text}"),
    };
    let potentials: Vec<String> = joined(|a| &a.potential).into_iter().map(counted).collect();
    About {
        potential: format!("the mean of {}", potentials.join(", ")),
        arithmetic: alike(|a| &a.arithmetic),
        implementation: alike(|a| &a.implementation),
        approximation: alike(|a| &a.approximation),
        place: members[0].place.clone(),
    }
}

/// A committee in host memory.
pub struct Committee {
    members: Vec<Box<dyn Potential>>,
    /// What each said last.
    found: Vec<Evaluation>,
}

impl Committee {
    /// A committee of these potentials, which are bound to the same atoms.
    ///
    /// # Errors
    /// Those of [`check`].
    pub fn new(members: Vec<Box<dyn Potential>>) -> Result<Self> {
        let cutoffs: Vec<f64> = members.iter().map(|member| member.cutoff()).collect();
        check(&cutoffs)?;
        Ok(Self {
            found: vec![Evaluation::zeros(0); members.len()],
            members,
        })
    }

    /// The mean of what members said, each number summed in their order, and how far they are apart.
    fn mean(&self, out: &mut Evaluation) {
        let (found, count) = (&self.found, self.found.len() as f64);
        let energies: Vec<f64> = found.iter().map(|one| one.energy).collect();
        let forces: Vec<&[Vec3]> = found.iter().map(|one| one.forces.as_slice()).collect();
        out.energy = energies.iter().sum::<f64>() / count;
        out.strain_derivative = found.iter().map(|one| one.strain_derivative).sum::<Mat3>() / count;
        out.forces.resize(forces[0].len(), Vec3::zeros());
        for (i, mean) in out.forces.iter_mut().enumerate() {
            *mean = forces.iter().map(|of| of[i]).sum::<Vec3>() / count;
        }
        out.spread = Some(Spread::of(&energies, &forces));
    }
}

impl Potential for Committee {
    fn cutoff(&self) -> f64 {
        self.members[0].cutoff()
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        for (member, found) in self.members.iter_mut().zip(&mut self.found) {
            member.evaluate(pairs, found)?;
        }
        self.mean(out);
        Ok(())
    }

    fn about(&self) -> About {
        words(self.members.iter().map(|member| member.about()).collect())
    }

    fn atom_energies(&self) -> Option<Vec<f64>> {
        let members = self.members.iter().map(|member| member.atom_energies());
        let members = members.collect::<Option<Vec<_>>>()?;
        let mean = |i: usize| members.iter().map(|of| of[i]).sum::<f64>() / members.len() as f64;
        Some((0..members[0].len()).map(mean).collect())
    }

    fn bound_to(&self, species: &[u8]) -> Result<Option<Box<dyn Potential>>> {
        let members = self.members.iter().map(|member| member.bound_to(species));
        let members: Option<Vec<_>> = members.collect::<Result<_>>()?;
        Ok(match members {
            Some(members) => Some(Box::new(Self::new(members)?)),
            None => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(potential: &str, implementation: &str) -> About {
        About {
            implementation: implementation.to_owned(),
            ..About::plain(potential)
        }
    }

    #[test]
    fn members_that_are_alike_are_named_once() {
        let members = vec![about("A", "fused"), about("A", "fused"), about("B", "")];
        let words = words(members);
        assert_eq!(words.potential, "the mean of 2 times A, B");
        assert_eq!(
            (words.arithmetic, words.implementation),
            ("f64".to_owned(), "fused".to_owned())
        );
    }

    #[test]
    fn what_is_no_committee_is_refused() {
        for (cutoffs, words) in [
            (vec![5.0], "not 1"),
            (vec![5.0; MOST_MEMBERS + 1], "not 17"),
            (vec![5.0, 6.0], "cutoffs of 5 and 6 A"),
        ] {
            let refusal = check(&cutoffs).unwrap_err().to_string();
            assert!(refusal.contains(words), "{refusal}");
        }
        check(&[5.0; 4]).unwrap();
    }
}
