//! `mdrun serve`: energies and forces for a server of i-PI's protocol.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::interrupt::Interrupt;
use super::subject::SubjectArgs;
use crate::core::{Cell, Vec3, elements};
use crate::ipi::{Address, Connection, Farewell, Session};
use crate::run::words;
use crate::terminal::Terminal;
use crate::text::counted;
use crate::{Error, Result, streams};

/// Skin of the list of pairs (angstrom): the beads of a path integral, which come one after another, differ by a few tenths.
const SKIN: f64 = 1.0;

/// `mdrun serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
The server moves the atoms: i-PI, ASE's SocketIOCalculator, or `mdrun` with [potential] socket. It listens, and is started \
first; this connects, and listens to nobody. Elements and periodic directions are the structure's, the order of atoms \
too; cell and positions are the server's.

  i-pi input.xml & mdrun serve --model painn_hcno_gfn2 --structure water.xyz --address unix:water

docs/ipi.md has whole runs. Exit codes: 0 the server has ended the session; 1 the connection was lost, or the server sent \
what cannot be understood or evaluated; 2 the input is wrong; 128 + a signal's number: it was interrupted.")]
pub struct ServeArgs {
    /// What is computed, and where.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Where the server listens: unix:NAME (the socket /tmp/ipi_NAME; with a slash it is a path), shm:NAME (the same, with
    /// memory that is shared beside it: i-PI's mode='shm') or tcp:HOST:PORT
    #[arg(long)]
    pub address: Address,
    /// How long to wait for a server that is not there yet
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, allow_negative_numbers = true, value_parser = parse_seconds)]
    pub wait: f64,
    /// Wait for the server again where it goes away without a word, and go on with it
    #[arg(long)]
    pub reconnect: bool,
}

fn parse_seconds(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=1e9).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds, not negative".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// The model or the structure cannot be used, no server can be reached, or it sends what cannot be understood or evaluated.
pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    let prepared = args.subject.prepare(SKIN)?;
    let structure = &prepared.structure;
    let atoms = structure.species.len();
    let field = prepared.field()?;
    let interrupt = Interrupt::watch()?;
    let tell = |line: String| streams::tell(&Terminal::err().message(&line));
    tell(format!(
        "{}, {}, {}; {}",
        elements::formula(&structure.species),
        counted(atoms as u64, "atom"),
        words::periodic(prepared.cell.periodic()),
        prepared.model.describe(),
    ));
    let room = Box::new(|cell: &Cell, positions: &[Vec3]| prepared.check_room(cell, positions));
    let mut session = Session::new(field, atoms, prepared.cell.periodic(), room);
    if matches!(args.address, Address::Shared(_)) {
        session = session.with_shared_memory();
    }
    let patience = Duration::from_secs_f64(args.wait);
    loop {
        let began = Instant::now();
        let before = session.served();
        let ended =
            Connection::open(&args.address, patience, &interrupt.shared()).and_then(|connection| {
                tell(format!("connected with {}", args.address));
                session.serve(&connection, &connection)
            });
        if let Some(signal) = interrupt.signal() {
            tell(format!("interrupted by {}", signal.name()));
            return Ok(signal.exit_code());
        }
        let farewell = ended?;
        let done = session.served();
        let number = done.evaluations - before.evaluations;
        let computing = done.evaluating - before.evaluating;
        let why = match &farewell {
            Farewell::Exit => "the server has ended the session".to_owned(),
            Farewell::Closed => "the server has closed the connection".to_owned(),
            Farewell::Lost(why) => format!("the connection was lost: {why}"),
        };
        let each = computing.as_secs_f64() * 1e3 / number.max(1) as f64;
        let rest =
            began.elapsed().saturating_sub(computing).as_secs_f64() * 1e3 / number.max(1) as f64;
        tell(format!(
            "{why}; {} of {each:.3} ms, {rest:.3} ms between them",
            counted(number, "evaluation")
        ));
        match farewell {
            Farewell::Exit => return Ok(ExitCode::SUCCESS),
            Farewell::Closed | Farewell::Lost(_) if args.reconnect => {}
            Farewell::Closed => return Ok(ExitCode::SUCCESS),
            Farewell::Lost(_) => {
                return Err(Error::run(format!(
                    "{}: {why}; --reconnect would wait for the server again",
                    args.address
                )));
            }
        }
    }
}
