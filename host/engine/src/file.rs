//! Files: reading with a cap and transparent gzip, writing all or nothing.
//!
//! A reader never holds more than its cap, whatever the file says about itself; a writer leaves either
//! the old file or the whole new one, never a part.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Nothing is there.
    #[error("{path}: no such file")]
    Missing {
        /// The file asked for.
        path: String,
    },
    /// A directory where a file is needed.
    #[error("{path}: is a directory, a file is needed")]
    Directory {
        /// The path asked for.
        path: String,
    },
    /// The system refused.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file asked for.
        path: String,
        /// `read` or `write`.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The gzip stream is damaged.
    #[error("{path}: damaged gzip stream ({source}); fetch the file again")]
    Gzip {
        /// The file asked for.
        path: String,
        /// What the decoder said.
        source: io::Error,
    },
    /// More bytes than the reader takes.
    #[error("{path}: more than {limit_bytes} bytes (unpacked), the limit for such files")]
    TooLarge {
        /// The file asked for.
        path: String,
        /// Cap, bytes.
        limit_bytes: u64,
    },
}

fn io_error(path: &Path, action: &'static str, source: io::Error) -> FileError {
    let path = path.display().to_string();
    match source.kind() {
        io::ErrorKind::NotFound if action == "read" => FileError::Missing { path },
        io::ErrorKind::IsADirectory => FileError::Directory { path },
        _ => FileError::Io { path, action, source },
    }
}

/// Bytes of the file at `path`, unpacked if it starts with the gzip magic `1f 8b`.
///
/// # Errors
/// [`FileError`]; `TooLarge` if the unpacked content exceeds `limit_bytes`.
pub fn read(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, FileError> {
    let failed = |source| io_error(path, "read", source);
    if fs::metadata(path).map_err(failed)?.is_dir() {
        return Err(FileError::Directory { path: path.display().to_string() });
    }
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|f| f.take(limit_bytes + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(FileError::TooLarge { path: path.display().to_string(), limit_bytes });
    }
    match unpack(bytes, limit_bytes) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(FileError::TooLarge { path: path.display().to_string(), limit_bytes }),
        Err(source) => Err(FileError::Gzip { path: path.display().to_string(), source }),
    }
}

/// `bytes` unpacked if they are gzip (all members), else as they are; `None` beyond `limit_bytes`.
///
/// # Errors
/// What the gzip decoder says of a damaged stream.
pub fn unpack(bytes: Vec<u8>, limit_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Some(bytes));
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).take(limit_bytes + 1).read_to_end(&mut unpacked)?;
    Ok((unpacked.len() as u64 <= limit_bytes).then_some(unpacked))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Pipes, terminals and devices, which a rename would replace.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

fn temporary_beside(path: &Path) -> Result<(fs::File, PathBuf), FileError> {
    let Some(name) = path.file_name().filter(|_| !path.is_dir()) else {
        return Err(FileError::Directory { path: path.display().to_string() });
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    let temporary = directory_of(path).join(hidden);
    let file = fs::File::create(&temporary).map_err(|e| io_error(path, "write", e))?;
    Ok((file, temporary))
}

/// Checks that [`write_atomic`] to `path` can succeed, before a long run is spent on its content.
///
/// # Errors
/// [`FileError`] as [`write_atomic`] would give it.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    if is_special(path) {
        return Ok(());
    }
    let (_, temporary) = temporary_beside(path)?;
    fs::remove_file(&temporary).map_err(|e| io_error(path, "write", e))
}

/// Writes `bytes` to `path` all or nothing: to a temporary file beside it, then renamed over it.
///
/// # Errors
/// [`FileError`]; the temporary file is removed and `path` is as it was.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |source| io_error(path, "write", source);
    if is_special(path) {
        return fs::write(path, bytes).map_err(failed);
    }
    let (mut file, temporary) = temporary_beside(path)?;
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // Nothing more can be done if even this fails; the first error is the one to report.
        let _ = fs::remove_file(&temporary);
        failed(source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_files_and_all_members_of_a_gzip_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for (bytes, expected) in [
            (b"plain".to_vec(), b"plain".to_vec()),
            ([gzip(b"two "), gzip(b"members")].concat(), b"two members".to_vec()),
            (vec![], vec![]),
            (vec![0x1f], vec![0x1f]),
        ] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(read(&path, 100).unwrap(), expected);
        }
    }

    #[test]
    fn the_cap_holds_for_plain_and_for_unpacked_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        // A bomb: a megabyte of zeros packs to about a thousand bytes.
        for bytes in [vec![7; 2000], gzip(&vec![0; 1 << 20])] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(read(&path, 1999), Err(FileError::TooLarge { limit_bytes: 1999, .. })));
        }
        fs::write(&path, gzip(&[0; 2000])).unwrap();
        assert_eq!(read(&path, 2000).unwrap().len(), 2000);
    }

    #[test]
    fn damaged_gzip_missing_files_and_directories_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut packed = gzip(b"some text");
        packed.truncate(packed.len() - 5);
        fs::write(&path, packed).unwrap();
        assert!(matches!(read(&path, 100), Err(FileError::Gzip { .. })));
        assert!(matches!(read(&dir.path().join("none"), 100), Err(FileError::Missing { .. })));
        assert!(matches!(read(dir.path(), 100), Err(FileError::Directory { .. })));
    }

    #[test]
    fn writing_replaces_the_whole_file_or_leaves_everything_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let names = || fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
        let path = dir.path().join("out");
        check_writable(&path).unwrap();
        assert!(names().is_empty());
        write_atomic(&path, b"first").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(), ["out"]);
        fs::create_dir(dir.path().join("sub")).unwrap();
        for refused in [dir.path().join("sub"), dir.path().join("none/out"), path.join("below")] {
            assert!(write_atomic(&refused, b"x").is_err() && check_writable(&refused).is_err());
        }
        assert_eq!(names().len(), 2);
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        write_atomic(Path::new("/dev/null"), b"x").unwrap();
        assert!(is_special(Path::new("/dev/null")));
    }
}
