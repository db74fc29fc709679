//! Where a watched run is shown: on a terminal a picture that is drawn anew in its place, elsewhere a line for each change.

use super::chart::Glyphs;
use super::followed::FollowedRun;
use super::lines::{self, Canvas};
use crate::terminal::Terminal;
use crate::{Result, streams};

/// Rows and columns where there is no terminal, or one that does not tell.
const USUAL: [usize; 2] = [24, 80];
/// Most rows of the picture, wherever it is drawn.
const MOST_ROWS: usize = 24;

/// What standard output is.
pub(super) struct Screen {
    /// Whether a picture is drawn.
    draws: bool,
    /// Lines of the picture that stands there.
    drawn: usize,
    /// The line that was printed last.
    said: String,
}

impl Screen {
    pub fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            draws: Terminal::out().width.is_some() && !dumb,
            drawn: 0,
            said: String::new(),
        }
    }

    /// Shows a run as it stands. Whether anyone is still there to see it.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn show(&mut self, run: &FollowedRun) -> Result<bool> {
        if self.draws {
            return self.draw(&lines::picture(run, canvas()));
        }
        let line = match run.stage().is_final() {
            true => [vec![lines::line(run)], lines::outcome(run)]
                .concat()
                .join("\n"),
            false => lines::line(run),
        };
        if line == self.said {
            return Ok(true);
        }
        let there = streams::offer(format!("{line}\n").as_bytes());
        self.said = line;
        there
    }

    /// Draws lines over those that stand there.
    fn draw(&mut self, lines: &[String]) -> Result<bool> {
        let mut text = String::new();
        if self.drawn == 0 {
            // The cursor would flicker over the picture.
            text += "\x1b[?25l";
        } else {
            text += &format!("\x1b[{}A\r", self.drawn);
        }
        for line in lines {
            text += line;
            text += "\x1b[K\n";
        }
        text += "\x1b[J";
        self.drawn = lines.len();
        streams::offer(text.as_bytes())
    }
}

impl Drop for Screen {
    /// Gives the terminal back as it was; the picture stays.
    fn drop(&mut self) {
        if self.drawn > 0 {
            // There is nobody to tell where it fails.
            let _ = streams::offer(b"\x1b[?25h");
        }
    }
}

/// The picture of a run, as text.
pub(super) fn picture(run: &FollowedRun) -> String {
    let mut text = String::new();
    for line in lines::picture(run, canvas()) {
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// The room that there is.
fn canvas() -> Canvas {
    let out = Terminal::out();
    let rows = Terminal::rows_out().unwrap_or(USUAL[0]);
    let glyphs = match is_unicode(|name| std::env::var(name).ok()) {
        true => Glyphs::Unicode,
        false => Glyphs::Plain,
    };
    Canvas {
        columns: out.width.unwrap_or(USUAL[1]),
        // The cursor has the last one.
        rows: rows.min(MOST_ROWS).saturating_sub(1),
        glyphs,
        colour: out.colour,
    }
}

/// Whether the locale, as variables name it, has more than ASCII.
fn is_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let named = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let locale = named.filter_map(variable).find(|value| !value.is_empty());
    locale.is_some_and(|locale| {
        let letters = locale.to_ascii_lowercase();
        letters.contains("utf-8") || letters.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_names_a_locale_counts() {
        let of = |all: &[(&str, &str)]| {
            is_unicode(|name| {
                let found = all.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(of(&[("LANG", "en_GB.UTF-8")]));
        assert!(of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!of(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]));
        assert!(!of(&[("LANG", "POSIX")]) && !of(&[]));
    }
}
