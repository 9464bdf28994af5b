//! The command line: parses arguments, runs one subcommand, turns every failure into one line on
//! standard error and exit code 2.

mod cmd;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

/// Neural networks whose robustness is proved.
#[derive(Parser)]
#[command(name = "certus", version, propagate_version = true)]
struct Cli {
    /// Print the verifier's name.
    #[arg(long, exclusive = true)]
    name: bool,
    #[command(subcommand)]
    command: Option<cmd::Command>,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return answer_usage(&usage),
    };
    let stdout = io::stdout();
    let mut out = io::BufWriter::new(stdout.lock());
    let result = answer(&cli, &mut out).and_then(|code| {
        out.flush()?;
        Ok(code)
    });
    match result {
        Ok(code) => code,
        // Whoever read our output (`| head`) has seen enough.
        Err(cmd::Error::Stdout(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn answer(cli: &Cli, out: &mut dyn Write) -> Result<ExitCode, cmd::Error> {
    match &cli.command {
        Some(command) => command.run(out),
        None if cli.name => {
            writeln!(out, "certus")?;
            Ok(ExitCode::SUCCESS)
        }
        None => Ok(fail("no subcommand given; `certus --help` lists them")),
    }
}

/// Prints help and version as asked, and a usage error as one line.
fn answer_usage(usage: &clap::Error) -> ExitCode {
    if matches!(usage.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A closed pipe is no failure of ours.
        let _ = usage.print();
        return ExitCode::SUCCESS;
    }
    if usage.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return fail("no subcommand given; `certus --help` lists them");
    }
    // clap's first paragraph says what is wrong (over several lines if it lists missing arguments).
    let text = usage.render().to_string();
    let problem: Vec<&str> =
        text.lines().map(str::trim).take_while(|l| !l.is_empty() && !l.starts_with("Usage:")).collect();
    let problem = problem.join(" ");
    fail(&format!("{}; see `certus --help`", problem.strip_prefix("error: ").unwrap_or(&problem)))
}

/// One line on standard error, exit code 2.
fn fail(message: &str) -> ExitCode {
    eprintln!("error: {}", certus::output::one_line(message));
    ExitCode::from(2)
}
