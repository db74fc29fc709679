//! What computes a potential: in parts for those who compare two runs, in words for people.

use std::fmt;

/// What computes a potential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The potential with its size or parameters: `PaiNN, 3 layers of 128`.
    pub potential: String,
    /// Numbers that it is computed in: `f32`.
    pub arithmetic: String,
    /// The program that evaluates it: `Burn`; empty where there is one only.
    pub implementation: String,
    /// Approximations of that program: `filters as quintic splines`; empty where there are none.
    pub approximation: String,
    /// What it runs on.
    pub place: Processor,
}

/// What a potential runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Processor {
    /// The host's processor.
    Cpu {
        /// Instructions, where they are chosen: `AVX-512`.
        instructions: Option<&'static str>,
        /// Threads, where the potential has its own. No bit depends on how many there are.
        threads: Option<usize>,
    },
    /// A graphics card.
    Card {
        /// Its name, as the driver has it.
        name: String,
        /// Its number, counted from 0. No bit depends on it.
        index: usize,
    },
    /// Another program, over a socket.
    Client {
        /// Where it is listened for. No bit depends on it.
        address: String,
    },
}

impl Processor {
    /// The host's processor, with the compiler's instructions.
    pub const HOST: Self = Self::Cpu {
        instructions: None,
        threads: None,
    };

    fn name(&self) -> &str {
        match self {
            Self::Cpu { .. } => "the CPU",
            Self::Card { name, .. } => name,
            Self::Client { .. } => "a client",
        }
    }

    /// What else bits depend on.
    fn instructions(&self) -> Option<String> {
        match self {
            Self::Cpu { instructions, .. } => instructions.map(str::to_owned),
            Self::Card { .. } | Self::Client { .. } => None,
        }
    }

    /// What no bit depends on.
    fn count(&self) -> Option<String> {
        match self {
            Self::Cpu { threads, .. } => threads.map(|n| match n {
                1 => "1 thread".to_owned(),
                n => format!("{n} threads"),
            }),
            Self::Card { index, .. } => Some(format!("device {index}")),
            Self::Client { address } => Some(format!("at {address}")),
        }
    }
}

impl About {
    /// The same on so many threads, where it has threads of its own.
    pub fn on_threads(mut self, count: usize) -> Self {
        if let Processor::Cpu {
            threads: Some(threads),
            ..
        } = &mut self.place
        {
            *threads = count;
        }
        self
    }

    /// Describes a potential that is computed in f64 on the host, by the one program that there is for it.
    pub fn plain(potential: impl Into<String>) -> Self {
        Self {
            potential: potential.into(),
            arithmetic: "f64".to_owned(),
            implementation: String::new(),
            approximation: String::new(),
            place: Processor::HOST,
        }
    }

    /// Names all that the bits of results depend on: two that have the same words round alike.
    pub fn rounding(&self) -> String {
        self.words([self.place.instructions(), None])
    }

    fn words(&self, of_place: [Option<String>; 2]) -> String {
        let mut text = format!("{}, {}", self.potential, self.arithmetic);
        if !self.implementation.is_empty() {
            text += &format!(", {}", self.implementation);
        }
        text += &format!(" on {}", self.place.name());
        let of_place: Vec<String> = of_place.into_iter().flatten().collect();
        let mut details = vec![of_place.join(", "), self.approximation.clone()];
        details.retain(|detail| !detail.is_empty());
        if !details.is_empty() {
            text += &format!(" ({})", details.join("; "));
        }
        text
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words([self.place.instructions(), self.place.count()]))
    }
}

#[cfg(test)]
mod tests {
    use super::{About, Processor};

    fn fused(instructions: &'static str, threads: usize) -> About {
        About {
            potential: "PaiNN, 3 layers of 128".to_owned(),
            arithmetic: "f32".to_owned(),
            implementation: "fused".to_owned(),
            approximation: "filters as splines".to_owned(),
            place: Processor::Cpu {
                instructions: Some(instructions),
                threads: Some(threads),
            },
        }
    }

    fn card(name: &str, index: usize) -> About {
        About {
            place: Processor::Card {
                name: name.to_owned(),
                index,
            },
            ..About::plain("Lennard-Jones")
        }
    }

    #[test]
    fn words_tell_everything() {
        assert_eq!(
            fused("AVX2", 1).to_string(),
            "PaiNN, 3 layers of 128, f32, fused on the CPU (AVX2, 1 thread; filters as splines)"
        );
        assert_eq!(
            card("NVIDIA H200", 3).to_string(),
            "Lennard-Jones, f64 on NVIDIA H200 (device 3)"
        );
        assert_eq!(
            About::plain("springs").to_string(),
            "springs, f64 on the CPU"
        );
    }

    #[test]
    fn rounding_does_not_depend_on_threads_or_on_the_device_s_number() {
        assert_eq!(
            fused("AVX2", 1).rounding(),
            "PaiNN, 3 layers of 128, f32, fused on the CPU (AVX2; filters as splines)"
        );
        assert_eq!(fused("AVX2", 1).rounding(), fused("AVX2", 16).rounding());
        assert_eq!(card("A", 0).rounding(), card("A", 3).rounding());
        let others = [
            fused("AVX-512", 1),
            card("A", 0),
            card("B", 0),
            About::plain("springs"),
            About {
                approximation: String::new(),
                ..fused("AVX2", 1)
            },
            About {
                arithmetic: "f64".to_owned(),
                ..fused("AVX2", 1)
            },
            About {
                implementation: "Burn".to_owned(),
                ..fused("AVX2", 1)
            },
        ];
        let mut words: Vec<String> = others.iter().map(About::rounding).collect();
        words.push(fused("AVX2", 1).rounding());
        words.sort();
        let all = words.len();
        words.dedup();
        assert_eq!(words.len(), all, "{words:?}");
    }
}
