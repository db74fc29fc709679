//! What a file does not say, and by which option it is answered.

/// Something that a file does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenQuestion {
    /// The option that answers it.
    pub option: &'static str,
    /// What stands behind it in the command that is printed.
    pub value: String,
    /// What is asked, for people.
    pub what: String,
}

impl OpenQuestion {
    /// Asks for something.
    pub fn new(option: &'static str, value: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            option,
            value: value.into(),
            what: what.into(),
        }
    }
}
