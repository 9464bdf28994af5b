//! The journal of a run that writes a proof: what its trees have become so far, so that another run can go on.
//!
//! A header as that of a proof file, marked as a journal, then records: tag 2, the digest of a case ([`super::case_key`]), the
//! length of its events, the events, a checksum. Records are only appended; an interrupted write leaves a last record that is cut
//! off, which reading drops. What the journal says is a suggestion: leaves count again only when the checker has accepted
//! them again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flate2::Crc;

use super::ProofError;
use super::check::compare;
use super::format::{FormatError, HEADER, Identity, State, header, parse_header};
use crate::search::Recorder;

/// Tag of a record of events.
const EVENTS: u8 = 2;
/// Bytes of a record before its events.
const RECORD: usize = 1 + 32 + 4;
/// Events are written when the last ones were written so long ago: an eighth of the run so far, within these limits.
const EVERY: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// Names a case.
type Key = [u8; 32];

/// An open journal; at most one process has it.
pub struct Journal {
    path: PathBuf,
    found: Mutex<HashMap<Key, Vec<u8>>>,
    sink: Mutex<Sink>,
}

struct Sink {
    file: File,
    /// Events that are not yet written.
    waiting: HashMap<Key, Vec<u8>>,
    written: u64,
    limit: u64,
    began: Instant,
    last: Instant,
    /// Why nothing more is written.
    failed: Option<io::Error>,
}

impl Journal {
    /// Opens the journal at `path`, or begins one of at most `limit` bytes.
    ///
    /// # Errors
    /// [`ProofError`] if what is there is no journal of the same question, or another process has it.
    pub fn open(path: &Path, identity: &Identity, limit: u64) -> Result<Self, ProofError> {
        let io = |e: io::Error| ProofError::Format(FormatError::Io(e));
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        file.try_lock().map_err(|_| ProofError::Busy)?;
        let mut bytes = Vec::new();
        (&mut file).take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > limit {
            return Err(FormatError::TooLarge { bytes: bytes.len() as u64, limit }.into());
        }
        let (found, end) = if bytes.len() < HEADER {
            // A new file, or one whose first write was cut off.
            if !header(identity, State::Journal, 0, 0).starts_with(&bytes) {
                return Err(FormatError::Magic.into());
            }
            (HashMap::new(), 0)
        } else {
            parse(&bytes, identity)?
        };
        file.set_len(end as u64).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let mut written = end as u64;
        if end == 0 {
            file.write_all(&header(identity, State::Journal, 0, 0)).map_err(io)?;
            written = HEADER as u64;
        }
        let now = Instant::now();
        let sink =
            Sink { file, waiting: HashMap::new(), written, limit, began: now, last: now, failed: None };
        Ok(Self { path: path.to_owned(), found: Mutex::new(found), sink: Mutex::new(sink) })
    }

    /// Whether it holds anything of an earlier run.
    pub fn is_resumed(&self) -> bool {
        !self.found.lock().expect("no thread panics while it holds the lock").is_empty()
    }

    /// Writes what waits, if the last time is long ago.
    pub fn flush_if_due(&self) {
        let mut sink = self.sink.lock().expect("no thread panics while it holds the lock");
        if sink.is_due() {
            sink.flush();
        }
    }

    /// Writes all that waits; says if the journal does not hold everything.
    ///
    /// # Errors
    /// Why something was not written, now or earlier.
    pub fn flush(&self) -> io::Result<()> {
        let mut sink = self.sink.lock().expect("no thread panics while it holds the lock");
        sink.flush();
        sink.file.sync_data()?;
        match &sink.failed {
            None => Ok(()),
            Some(e) => Err(io::Error::new(e.kind(), e.to_string())),
        }
    }

    /// Ends the journal: its run has an answer.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

impl Recorder for Journal {
    fn record(&self, key: &Key, event: &[u8]) {
        let mut sink = self.sink.lock().expect("no thread panics while it holds the lock");
        if sink.failed.is_none() {
            sink.waiting.entry(*key).or_default().extend(event);
            if sink.is_due() {
                sink.flush();
            }
        }
    }

    fn recorded(&self, key: &Key) -> Option<Vec<u8>> {
        self.found.lock().expect("no thread panics while it holds the lock").get(key).cloned()
    }
}

impl Sink {
    fn is_due(&self) -> bool {
        let [least, most] = EVERY;
        self.last.elapsed() >= (self.began.elapsed() / 8).clamp(least, most)
    }

    fn flush(&mut self) {
        self.last = Instant::now();
        for (key, events) in std::mem::take(&mut self.waiting) {
            let record = record(&key, &events);
            if self.written + record.len() as u64 > self.limit {
                let text = format!("more than {} bytes; raise the limit with --proof-limit-mib", self.limit);
                self.failed = Some(io::Error::new(io::ErrorKind::FileTooLarge, text));
            } else if let Err(e) = self.file.write_all(&record) {
                self.failed = Some(e);
            }
            if self.failed.is_some() {
                return;
            }
            self.written += record.len() as u64;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.failed.is_none() {
            self.flush();
        }
    }
}

fn record(key: &Key, events: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD + events.len() + 4);
    record.push(EVENTS);
    record.extend(key);
    record.extend((events.len() as u32).to_le_bytes());
    record.extend(events);
    let mut crc = Crc::new();
    crc.update(&record);
    record.extend(crc.sum().to_le_bytes());
    record
}

/// The events of each case, and where the last whole record ends.
fn parse(bytes: &[u8], identity: &Identity) -> Result<(HashMap<Key, Vec<u8>>, usize), ProofError> {
    let head: &[u8; HEADER] = bytes[..HEADER].try_into().expect("the length was compared");
    let head = parse_header(head)?;
    if head.state == State::Whole {
        return Err(FormatError::Finished.into());
    }
    compare(&head.identity, identity)?;
    let (mut found, mut at): (HashMap<Key, Vec<u8>>, usize) = (HashMap::new(), HEADER);
    while let Some(next) = whole_record(&bytes[at..]) {
        let (key, events) = (&bytes[at + 1..at + 33], &bytes[at + RECORD..at + next - 4]);
        found.entry(key.try_into().expect("32 bytes")).or_default().extend(events);
        at += next;
    }
    Ok((found, at))
}

/// Length of the record that `bytes` begin with, if it is whole.
fn whole_record(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(bytes.get(33..RECORD)?.try_into().ok()?) as usize;
    let end = RECORD.checked_add(length)?;
    let stated = u32::from_le_bytes(bytes.get(end..end.checked_add(4)?)?.try_into().ok()?);
    let mut crc = Crc::new();
    crc.update(&bytes[..end]);
    (bytes[0] == EVENTS && crc.sum() == stated).then_some(end + 4)
}
