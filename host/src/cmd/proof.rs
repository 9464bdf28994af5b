//! What `verify --proof` writes and `check` reads: which files a proof is about.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use certus::core::proof::Meaning;
use certus::output;
use certus_engine::property::Query;
use certus_engine::search::{Progress, Recorder, Snapshot};
use certus_engine::verify::proof_file::{self, Identity, Journal, identify, sha256_of_file, shorten};
use certus_engine::verify::{CaseProof, Instance, Report, Verdict};
use sha2::{Digest, Sha256};

use super::Error;
use super::networks::NamedFile;

/// The files of a question.
#[derive(Clone, Debug)]
pub struct Files {
    /// Models, in the order in which the query declares them.
    pub networks: Vec<PathBuf>,
    /// Weights in the place of the network's own.
    pub weights: Option<PathBuf>,
    /// The property.
    pub property: PathBuf,
}

impl Files {
    /// One network.
    pub fn single(network: &Path, weights: Option<&Path>, property: &Path) -> Self {
        let networks = vec![network.to_owned()];
        Self { networks, weights: weights.map(Path::to_owned), property: property.to_owned() }
    }

    /// Those of a query, whose names were checked.
    pub fn of_query(query: &Query, files: &[NamedFile], single: Option<&Path>, property: &Path) -> Self {
        if let Some(network) = single {
            return Self::single(network, None, property);
        }
        let declared = query.networks.iter();
        let file = |name: &str| files.iter().find(|f| f.name == name).map(|f| f.file.clone());
        let networks = declared.filter_map(|n| file(&n.name)).collect();
        Self { networks, weights: None, property: property.to_owned() }
    }

    /// What a proof of `instance` is about.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn identity(&self, instance: &Instance, meaning: Meaning) -> Result<Identity, Error> {
        let digests =
            self.networks.iter().map(|p| sha256_of_file(p)).collect::<Result<Vec<[u8; 32]>, _>>()?;
        let network = match digests.as_slice() {
            [one] => *one,
            several => Sha256::digest(several.concat()).into(),
        };
        let weights = self.weights.as_deref().map(sha256_of_file).transpose()?.unwrap_or_default();
        let property = sha256_of_file(&self.property)?;
        Ok(identify(instance.model(meaning), instance.property(), meaning, [network, weights, property]))
    }
}

/// A progress that also has the search take notes.
pub struct Recording<'p> {
    /// Who shows it.
    pub shown: &'p dyn Progress,
    /// Where notes go.
    pub journal: Arc<Journal>,
}

impl Progress for Recording<'_> {
    fn update(&self, snapshot: Snapshot) {
        self.shown.update(snapshot);
        self.journal.flush_if_due();
    }

    fn recorder(&self) -> Option<Arc<dyn Recorder>> {
        Some(self.journal.clone())
    }
}

/// The journal of a proof that is to be written to `path`: beside it, with `.part` after its name.
fn journal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Searches with a journal. A proof is written to `path` and ends the journal, as a counterexample does; a run without an answer
/// leaves it. The second part is why a proof was not written.
///
/// # Errors
/// A journal of something else, or one that cannot be written.
pub fn search_and_write(
    path: &Path,
    limit: u64,
    instance: &Instance,
    identity: &Identity,
    search: impl FnOnce(&Arc<Journal>) -> Report,
) -> Result<(Report, Option<Error>), Error> {
    let part = journal_of(path);
    let at_part = |source| Error::Proof { path: part.display().to_string(), source };
    let journal = Arc::new(Journal::open(&part, identity, limit).map_err(at_part)?);
    if journal.is_resumed() {
        eprintln!("{}: going on from an earlier run", part.display());
    }
    let mut report = search(&journal);
    let until = Instant::now() + shortening(report.stats.seconds);
    let unwritten = match &mut report.verdict {
        Verdict::Holds(proofs) => {
            let before = tree_bytes(proofs);
            shorten(instance.model(identity.meaning), instance.property(), identity.meaning, proofs, until);
            let after = tree_bytes(proofs);
            match write(path, limit, identity, proofs) {
                Ok(bytes) => {
                    let file = path.display();
                    eprintln!(
                        "{file}: {bytes} bytes, trees of {after} shortened from {before}; `certus check` reads it"
                    );
                    None
                }
                Err(error) => Some(error),
            }
        }
        Verdict::Violated(_) => None,
        Verdict::Unknown { .. } => {
            match journal.flush() {
                Ok(()) => eprintln!("{}: journal; the same command goes on from it", part.display()),
                Err(e) => eprintln!("{}: the journal does not hold all of the search: {e}", part.display()),
            }
            return Ok((report, None));
        }
    };
    let removed = Arc::into_inner(journal).map_or(Ok(()), Journal::remove);
    if let Err(e) = removed {
        eprintln!("{}: cannot be removed: {e}", part.display());
    }
    Ok((report, unwritten))
}

/// How long a proof is made shorter: a tenth of the search, and a moment.
fn shortening(seconds: f64) -> Duration {
    Duration::from_secs_f64(0.1 + 0.1 * seconds)
}

fn tree_bytes(proofs: &[CaseProof]) -> usize {
    proofs.iter().map(|p| p.bytes.len()).sum()
}

fn write(path: &Path, limit: u64, identity: &Identity, proofs: &[CaseProof]) -> Result<usize, Error> {
    let failed = |source| Error::Proof { path: path.display().to_string(), source };
    let bytes = proof_file::write(identity, proofs, limit).map_err(|e| failed(e.into()))?;
    output::write_atomic(path, &bytes)?;
    Ok(bytes.len())
}
