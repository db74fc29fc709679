//! The one error type: a value until `main`, with the exit code that it deserves. And what helps to say what is wrong.

/// What went wrong, as a message that names the file, line and key where there is one, and says
/// what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong: nothing was run, nothing was written. Exit code 2.
    #[error("{0}")]
    Input(String),
    /// The run failed after it had begun. Exit code 1.
    #[error("{0}")]
    Run(String),
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the input.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    /// An error of the run.
    pub fn run(message: impl Into<String>) -> Self {
        Self::Run(message.into())
    }

    /// Puts `place` (a file, a key, an activity) before the message.
    pub fn within(self, place: impl std::fmt::Display) -> Self {
        match self {
            Self::Input(message) => Self::Input(format!("{place}: {message}")),
            Self::Run(message) => Self::Run(format!("{place}: {message}")),
        }
    }

    /// Puts what to do after the message.
    pub fn advise(self, advice: impl std::fmt::Display) -> Self {
        match self {
            Self::Input(message) => Self::Input(format!("{message}; {advice}")),
            Self::Run(message) => Self::Run(format!("{message}; {advice}")),
        }
    }

    /// The exit code of the process that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Run(_) => 1,
        }
    }
}

/// The known word most like a misspelt one, in any case.
pub fn nearest<'k>(wrong: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    /// One slip in three letters is still the same word.
    const LETTERS_PER_SLIP: usize = 3;
    let wrong = wrong.to_lowercase();
    known
        .map(|word| (strsim::osa_distance(&wrong, &word.to_lowercase()), word))
        .filter(|(slips, word)| *slips * LETTERS_PER_SLIP <= word.len().max(wrong.len()))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, word)| word)
}
