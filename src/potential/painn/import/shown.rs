//! Text out of a model file in messages.

/// Text out of a file as it may stand in a message: cut where it is long, control characters escaped.
pub fn shown(text: &str) -> String {
    /// Longest text shown in full (characters).
    const LONGEST: usize = 100;
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == LONGEST {
            out.push_str("...");
            break;
        }
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}
