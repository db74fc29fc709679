//! What the terminals at standard output and standard error can show: how wide they are, and whether in colour. Where
//! there is no terminal, text is left as it is.

use std::borrow::Cow;
use std::io;
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};

/// Farthest column at which a second line of text is set in; labels are shorter.
const FARTHEST_INDENT: usize = 36;
/// Narrowest space that words are set into.
const LEAST_ROOM: usize = 20;
/// Width of a terminal that does not tell.
const USUAL_WIDTH: usize = 80;

/// How something is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It is as it should be.
    Good,
    /// It should be looked at.
    Doubt,
    /// It is wrong.
    Bad,
}

impl Mood {
    fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default().bold(),
            Self::Doubt => AnsiColor::Yellow.on_default().bold(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// What a stream can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Columns; `None` where the stream is no terminal.
    pub width: Option<usize>,
    /// Whether colours are shown.
    pub colour: bool,
}

impl Terminal {
    /// No terminal: a file or a pipe.
    pub const NONE: Self = Self {
        width: None,
        colour: false,
    };

    /// What standard output can show now; a window may change its size. Colours are there where the terminal has them,
    /// and as `NO_COLOR`, `CLICOLOR_FORCE` and `TERM=dumb` say.
    pub fn out() -> Self {
        let stream = io::stdout();
        Self::of(width(&stream), anstream::AutoStream::choice(&stream))
    }

    /// The terminal of standard error.
    pub fn err() -> Self {
        let stream = io::stderr();
        Self::of(width(&stream), anstream::AutoStream::choice(&stream))
    }

    /// Rows of standard output; `None` where it is no terminal, or does not tell.
    pub fn rows_out() -> Option<usize> {
        let stream = io::stdout();
        if !rustix::termios::isatty(&stream) {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(&stream).ok()?;
        Some(usize::from(size.ws_row)).filter(|rows| *rows > 0)
    }

    fn of(width: Option<usize>, choice: anstream::ColorChoice) -> Self {
        Self {
            width,
            colour: choice != anstream::ColorChoice::Never,
        }
    }

    /// Text in the colour of a mood.
    pub fn paint(&self, mood: Mood, text: &str) -> String {
        match self.colour {
            true => {
                let style = mood.style();
                format!("{style}{text}{style:#}")
            }
            false => text.to_owned(),
        }
    }

    /// Text for the terminal: `error:`, `warning:` and `note:` at its start in their colours, long lines broken
    /// between words.
    pub fn message(&self, text: &str) -> String {
        let text = &*shown(text);
        for (label, mood) in [
            ("error:", Mood::Bad),
            ("warning:", Mood::Doubt),
            ("note:", Mood::Good),
        ] {
            if let Some(rest) = text.strip_prefix(label) {
                return self.fit(&format!("{}{rest}", self.paint(mood, label)));
            }
        }
        self.fit(text)
    }

    /// Text with the sentence after `label` at the start of a line, up to its colon, in the colour of a mood; long lines
    /// broken between words.
    pub fn verdict(&self, text: &str, label: &str, mood: Mood) -> String {
        let text = &*shown(text);
        let painted = |line: &str| {
            let sentence = line.trim_start().strip_prefix(label)?.trim_start();
            let head = &line[..line.len() - sentence.len()];
            let end = sentence.find(':').unwrap_or(sentence.len());
            let (first, rest) = sentence.split_at(end);
            Some(format!("{head}{}{rest}", self.paint(mood, first)))
        };
        let lines: Vec<String> = (text.split('\n'))
            .map(|line| painted(line).unwrap_or_else(|| line.to_owned()))
            .collect();
        self.fit(&lines.join("\n"))
    }

    /// Text with each line that is too long broken between words. What follows is set in to the column after the line's
    /// label. What stands in backticks is a command to be copied, and stays in one piece.
    pub fn fit(&self, text: &str) -> String {
        let Some(width) = self.width else {
            return text.to_owned();
        };
        let lines: Vec<String> = text.split('\n').map(|line| broken(line, width)).collect();
        lines.join("\n")
    }
}

/// Text as it may be shown to people: control characters, which terminals obey, as `\u{1b}`, and so those that turn the
/// direction of what stands around them. Names and messages come from files that anyone may have written. Ends of lines stay.
pub fn shown(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c != '\n' && (c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}'))
    };
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match obeyed(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Columns of a stream; `None` where it is no terminal.
fn width(stream: &impl AsFd) -> Option<usize> {
    if !rustix::termios::isatty(stream) {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stream).ok();
    let columns = size.map(|size| usize::from(size.ws_col));
    Some(
        columns
            .filter(|columns| *columns > 0)
            .unwrap_or(USUAL_WIDTH),
    )
}

/// Columns that text takes, colours aside.
fn columns(text: &str) -> usize {
    let mut count = 0;
    let mut colour = false;
    for c in text.chars() {
        match c {
            '\x1b' => colour = true,
            'm' if colour => colour = false,
            _ if colour => {}
            _ => count += 1,
        }
    }
    count
}

/// A line broken into several of at most `width` columns.
fn broken(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let indent = indent(line).min(width.saturating_sub(LEAST_ROOM));
    let mut out = String::new();
    let mut at = 0;
    let mut rest = line;
    for (blanks, word) in pieces(line) {
        let (gap, size) = (blanks.len(), columns(word));
        rest = &rest[gap..];
        // A last column that fits below is not torn.
        let last = gap > 1 && columns(rest) <= width - indent;
        let size_here = if last { columns(rest) } else { size };
        rest = &rest[word.len()..];
        if at > indent && at + gap + size_here > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            at = indent;
        } else {
            out.push_str(blanks);
            at += gap;
        }
        out.push_str(word);
        at += size;
    }
    out
}

/// The column at which the lines after the first begin: where the text after a label does, which is what two or more
/// blanks part from it.
fn indent(line: &str) -> usize {
    let lead = line.len() - line.trim_start().len();
    let (mut found, mut at) = (lead + 2, 0);
    for (blanks, word) in pieces(line) {
        at += blanks.len();
        if at > FARTHEST_INDENT {
            break;
        }
        if at > lead && blanks.len() > 1 {
            found = at;
        }
        at += columns(word);
    }
    found
}

/// The words of a line, each with the blanks before it. What stands in backticks is one word.
fn pieces(line: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let start = rest.len() - rest.trim_start_matches(' ').len();
        let mut quoted = false;
        let whole = rest.matches('`').count().is_multiple_of(2);
        let end = rest[start..].find(|c| {
            quoted ^= c == '`' && whole;
            c == ' ' && !quoted
        });
        let end = end.map_or(rest.len(), |end| start + end);
        found.push((&rest[..start], &rest[start..end]));
        rest = &rest[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(width: usize) -> Terminal {
        Terminal {
            width: Some(width),
            colour: false,
        }
    }

    #[test]
    fn long_lines_are_broken_between_words_and_set_in_after_their_label() {
        let line =
            "  verdict       energy is conserved: no drift is seen above twice its uncertainty";
        assert_eq!(
            narrow(50).fit(line),
            "  verdict       energy is conserved: no drift is\n                seen above twice its uncertainty"
        );
        assert_eq!(narrow(84).fit(line), line);
        assert_eq!(Terminal::NONE.fit(line), line);
    }

    #[test]
    fn what_terminals_obey_is_shown_and_not_sent() {
        let wild = "a\u{1b}[2J\tb\r\u{9b}1m\u{7f}\u{202e}c\nd é";
        let tame = "a\\u{1b}[2J\\u{9}b\\u{d}\\u{9b}1m\\u{7f}\\u{202e}c\nd é";
        assert_eq!(shown(wild), tame);
        let colour = Terminal {
            width: Some(200),
            colour: true,
        };
        let message = colour.message("error: \u{1b}[2J");
        assert!(message.ends_with(" \\u{1b}[2J"), "{message:?}");
        let verdict = colour.verdict("verdict  \u{1b}c: x", "verdict", Mood::Bad);
        let own = colour.paint(Mood::Bad, "").matches('\u{1b}').count();
        assert!(own > 0, "colours are on");
        assert_eq!(verdict.matches('\u{1b}').count(), own, "{verdict:?}");
        assert!(verdict.contains("\\u{1b}c"), "{verdict:?}");
    }

    #[test]
    fn commands_stay_in_one_piece() {
        let shown = narrow(40)
            .fit("error: there is none; type `mdrun energy --model NAME --structure x.xyz`");
        assert!(
            shown.contains("`mdrun energy --model NAME --structure x.xyz`"),
            "{shown}"
        );
        assert!(shown.contains('\n'), "{shown}");
        let odd = narrow(20).fit("a back ` tick that is alone breaks where it must");
        assert!(odd.lines().all(|l| l.len() <= 20), "{odd}");
    }

    #[test]
    fn a_last_column_that_does_not_fit_goes_below_in_one_piece() {
        let line = "  in f64        +1.3 +- 2.0 meV/atom/ps     removes the drift";
        assert_eq!(
            narrow(50).fit(line),
            "  in f64        +1.3 +- 2.0 meV/atom/ps\n                removes the drift"
        );
    }

    #[test]
    fn every_word_is_kept_whatever_the_width() {
        let text = "ok   forces are slopes     differ by 5.6e-10 eV/A `at  most`\n\n  and  so on";
        for width in 1..70 {
            let shown = narrow(width).fit(text);
            let words = |t: &str| t.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&shown), words(text), "{width}");
        }
    }

    #[test]
    fn colours_take_no_room_and_mark_the_label_or_the_verdict_alone() {
        let colour = Terminal {
            width: Some(40),
            colour: true,
        };
        let shown = colour.message("error: three words");
        assert!(shown.ends_with("\x1b[0m three words"), "{shown:?}");
        assert_eq!(columns(&shown), "error: three words".len());
        let shown = colour.verdict("  a  b\n  verdict  fine: it is", "verdict", Mood::Good);
        assert!(shown.starts_with("  a  b\n  verdict  \x1b"), "{shown:?}");
        assert!(shown.ends_with("\x1b[0m: it is"), "{shown:?}");
        assert_eq!(Terminal::NONE.paint(Mood::Bad, "x"), "x");
    }
}
