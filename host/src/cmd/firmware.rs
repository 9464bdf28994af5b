//! The firmware example with the artifact just written, where it and QEMU are at hand.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How the firmware run went.
pub enum Firmware {
    /// It ran in QEMU and said how many samples were certified.
    Ran {
        /// Certified samples.
        certified: usize,
        /// All samples.
        all: usize,
    },
    /// Something is missing: what to do.
    Missing(String),
    /// It was tried and failed: the last line it wrote.
    Failed(String),
}

/// Builds the firmware with the artifact and module in `folder` and runs it on a Cortex-M4F in QEMU.
pub fn run(folder: &Path) -> Firmware {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let by_hand = format!("firmware-example/fw run --artifact {}", folder.display());
    let Some(script) = script() else {
        return Firmware::Missing(format!("in a checkout of certus: {by_hand}"));
    };
    if find_program("qemu-system-arm").is_none() {
        return Firmware::Missing(format!("sudo apt-get install qemu-system-arm && {by_hand}"));
    }
    let mut command = Command::new(&script);
    command.args(["run", "--artifact"]).arg(&folder).stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return Firmware::Failed(format!("{}: {error}", script.display())),
    };
    let (log, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(0) => count(&log).map_or_else(
            || Firmware::Failed("no count in its log".into()),
            |(certified, all)| Firmware::Ran { certified, all },
        ),
        // `fw` ends with 3 and the command to install what it lacks.
        Some(3) => Firmware::Missing(last_line(&errors).trim_start_matches("fw: ").to_owned()),
        _ => Firmware::Failed(last_line(&errors).to_owned()),
    }
}

/// `firmware-example/fw` of the checkout that the current directory lies in.
fn script() -> Option<PathBuf> {
    let start = env::current_dir().ok()?;
    start.ancestors().map(|folder| folder.join("firmware-example/fw")).find(|path| path.is_file())
}

fn find_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing")
}

/// The two numbers of the line `… A of B samples certified`.
fn count(log: &str) -> Option<(usize, usize)> {
    let line = log.lines().rev().find_map(|line| line.trim_end().strip_suffix(" samples certified"))?;
    let mut words = line.rsplit(' ');
    let all = words.next()?.parse().ok()?;
    let certified = words.nth(1)?.parse().ok()?;
    Some((certified, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_the_log() {
        let log = "INFO  sample 199: Decision\nINFO  187 of 200 samples certified\n";
        assert_eq!(count(log), Some((187, 200)));
        assert_eq!(count("INFO  x of 200 samples certified"), None);
        assert_eq!(count(""), None);
    }
}
