//! Numbers that a network is computed in.

use std::fmt;
use std::str::FromStr;

/// Numbers of a network, the finest first; phase space is f64 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 64-bit floating point.
    F64,
    /// 32-bit floating point; on a card, products in parts that are accurate to all its digits.
    F32,
    /// 32-bit floating point, whose products on tensor cores take 10 bits of each factor behind the point.
    Tf32,
    /// 16-bit floating point with the range of f32 and 7 bits behind the point; sums in f32.
    Bf16,
    /// 16-bit floating point with 10 bits behind the point and a narrow range; sums in f32.
    F16,
    /// Weights in 8 bits, each channel with a scale of its own; sums in f32.
    Int8,
}

impl Precision {
    /// All of them, in the order of a list for people.
    pub const ALL: [Self; 6] = [
        Self::F64,
        Self::F32,
        Self::Tf32,
        Self::Bf16,
        Self::F16,
        Self::Int8,
    ];

    /// Each by its name, for tables of words.
    pub const WORDS: [(&'static str, Self); 6] = {
        let mut words = [("", Self::F64); 6];
        let mut k = 0;
        while k < words.len() {
            words[k] = (Self::ALL[k].name(), Self::ALL[k]);
            k += 1;
        }
        words
    };

    /// The next finer one: each has a smaller error than the one before. Weights in 8 bits have one like bfloat16's or smaller,
    /// so that neither is finer than the other.
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Int8 | Self::Bf16 => Some(Self::F16),
            Self::F16 => Some(Self::Tf32),
            Self::Tf32 => Some(Self::F32),
            Self::F32 => Some(Self::F64),
            Self::F64 => None,
        }
    }

    /// Its name, as users type it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    /// Reads a name.
    ///
    /// # Errors
    /// It is none; the error lists them.
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| format!("one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::Precision;

    /// The ladder goes from everywhere to the top, and takes all but one of the two that it begins with.
    #[test]
    fn the_ladder_ends_at_f64() {
        let from = |one: Precision| std::iter::successors(Some(one), |one| one.finer());
        for one in Precision::ALL {
            assert_eq!(from(one).last(), Some(Precision::F64));
        }
        for least in [Precision::Int8, Precision::Bf16] {
            assert_eq!(from(least).count(), Precision::ALL.len() - 1);
        }
    }

    #[test]
    fn each_is_read_by_its_name_alone() {
        for one in Precision::ALL {
            assert_eq!(one.name().parse(), Ok(one));
            assert_eq!(one.to_string(), one.name());
        }
        for (word, one) in Precision::WORDS {
            assert_eq!(word.parse(), Ok(one));
        }
        for other in ["", "F32", "f32 ", "float32", "fp16", "f8"] {
            let told = other.parse::<Precision>();
            assert_eq!(
                told,
                Err("one of f64, f32, tf32, bf16, f16, int8".to_owned())
            );
        }
    }
}
