//! A validation as a page: the tests with figures, bars and reasons, and what was measured as plots.

use super::Validated;
use super::line::{Judgement, ValidationLine};
use crate::plot::{escaped, page as html_page};

/// The page; `subject` says of what and `about` how, a line of text each.
pub fn page(validation: &Validated, subject: &str, about: &[String]) -> String {
    let mut body = String::new();
    for line in about {
        body += &format!("<p class=\"about\">{}</p>\n", escaped(line));
    }
    body += &format!(
        "<p><strong>{}</strong></p>\n",
        escaped(&validation.summary())
    );
    let names = ["test", "verdict", "measured", "bar", "why"];
    let head = names.map(|name| format!("<th>{name}</th>")).concat();
    body += &format!("<div class=\"scroll\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n");
    for line in &validation.lines {
        body += &row(line);
    }
    body += "</tbody></table></div>\n<div class=\"plots\">\n";
    for plot in &validation.plots {
        body += &plot.figure();
    }
    body += "</div>\n";
    let style = "<style>td,th{text-align:left;vertical-align:top}td{white-space:normal}td.fail{color:var(--c8);font-weight:700}\
                 td.pass{color:var(--c2)}td.undecided{color:var(--c3)}td.why{color:var(--soft);max-width:30rem}</style>\n";
    html_page::html(
        &format!("Validation of {subject}"),
        &(style.to_owned() + &body),
    )
}

fn row(line: &ValidationLine) -> String {
    let class = match line.judgement {
        Judgement::Pass => "pass",
        Judgement::Fail => "fail",
        Judgement::Undecided => "undecided",
        Judgement::NotApplicable => "none",
    };
    format!(
        "<tr><td>{}</td><td class=\"{class}\">{}</td><td>{}</td><td>{}</td><td class=\"why\">{}</td></tr>\n",
        escaped(line.what),
        line.judgement.word(),
        escaped(&line.found),
        escaped(&line.bar_text()),
        escaped(line.reason)
    )
}
