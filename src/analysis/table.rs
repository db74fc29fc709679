//! Tables as CSV: a line of names, then lines of numbers.

use crate::text::number;

/// A table, as it is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CsvTable {
    text: Vec<u8>,
}

impl CsvTable {
    /// A table of columns of these names.
    pub fn new(columns: &[String]) -> Self {
        let mut text = columns.join(",").into_bytes();
        text.push(b'\n');
        Self { text }
    }

    /// Adds a line of numbers; what is not a finite number is left empty.
    pub fn row(&mut self, values: impl IntoIterator<Item = f64>) {
        self.labelled(&[], values);
    }

    /// Adds a line of words and numbers.
    pub fn labelled(&mut self, words: &[&str], values: impl IntoIterator<Item = f64>) {
        let mut first = true;
        for word in words {
            self.comma(&mut first);
            self.text.extend_from_slice(word.as_bytes());
        }
        for value in values {
            self.comma(&mut first);
            if value.is_finite() {
                number(&mut self.text, value);
            }
        }
        self.text.push(b'\n');
    }

    fn comma(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.text.push(b',');
        }
    }

    /// The text.
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }
}
