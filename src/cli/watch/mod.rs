//! `mdrun watch RUN_DIR`: a running run, seen from elsewhere.
//!
//! Nothing is written, and nothing is held that the run needs: [`followed`] reads what it writes, [`screen`] makes lines of
//! that, [`chart`] draws its energies.

mod chart;
mod followed;
mod lines;
mod members;
mod pace;
mod screen;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Args;

use super::interrupt::Interrupt;
use crate::report::Status;
use crate::run::Interruption as _;
use crate::{Result, streams};
use followed::{FollowedRun, WatchedStage};
use screen::Screen;

/// Longest sleep between two looks for a signal.
const NAP: Duration = Duration::from_millis(50);
/// Shortest and longest time between looks at a run (s).
const INTERVALS: [f64; 2] = [0.05, 86_400.0];

/// `mdrun watch RUN_DIR`.
#[derive(Debug, Args)]
#[command(after_help = "\
Shows what the run is, how far it has come, the time left, temperature, drift and energies, until it ends or Ctrl-C \
leaves; the run does not notice. On a terminal the picture is drawn anew in its place, elsewhere there is a line for each \
change. A run that goes on (mdrun resume) is followed on.

Exit codes: 0 the run is complete, or --once has shown it under way; 1 it has failed, was interrupted, or has died; 2 the input \
is wrong; 128 + a signal's number: left.")]
pub struct WatchArgs {
    /// The run's directory
    #[arg(value_name = "RUN_DIR")]
    pub directory: PathBuf,
    /// Show how it stands, and end
    #[arg(long)]
    pub once: bool,
    /// Seconds between looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, allow_negative_numbers = true, value_parser = parse_interval)]
    pub interval: f64,
}

fn parse_interval(text: &str) -> std::result::Result<f64, String> {
    let [least, most] = INTERVALS;
    match text.parse::<f64>() {
        Ok(seconds) if (least..=most).contains(&seconds) => Ok(seconds),
        _ => Err(format!("a number of seconds from {least} to {most}")),
    }
}

/// Runs the command.
///
/// # Errors
/// There is no such directory, or standard output cannot be written.
pub fn run(args: &WatchArgs) -> Result<ExitCode> {
    let interrupt = Interrupt::watch()?;
    let mut run = FollowedRun::new(&args.directory);
    if args.once {
        run.look()?;
        run.look_again()?;
        streams::print(&screen::picture(&run))?;
        return Ok(exit_code(run.stage()));
    }
    let mut screen = Screen::new();
    loop {
        run.look()?;
        if !screen.show(&run)? {
            return Ok(ExitCode::SUCCESS);
        }
        if run.stage().is_final() {
            return Ok(exit_code(run.stage()));
        }
        let began = Instant::now();
        while began.elapsed().as_secs_f64() < args.interval {
            if interrupt.flag().load(Ordering::Acquire) {
                // The signal may end the process.
                drop(screen);
                let signal = interrupt.signal();
                return Ok(signal.map_or(ExitCode::SUCCESS, |signal| signal.exit_code()));
            }
            std::thread::sleep(NAP);
        }
    }
}

/// What a run's standing means to whoever watches it.
fn exit_code(stage: WatchedStage) -> ExitCode {
    match stage {
        WatchedStage::Died | WatchedStage::Ended(Status::Failed | Status::Interrupted) => {
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
