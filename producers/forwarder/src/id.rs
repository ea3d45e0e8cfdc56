//! The forwarder's id: made once, kept on disk, locked while the process lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use millrace_schemas::id::valid_id;

/// Name of the file that holds it.
pub const FILE: &str = "forwarder.id";

/// An id that no other process uses as long as this value lives.
#[derive(Debug)]
pub struct Id {
    text: String,
    /// Holds the lock.
    _file: File,
}

impl Id {
    /// The id, `[a-z0-9-]{1,64}`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Why there is no id.
#[derive(Debug, thiserror::Error)]
pub enum IdError {
    /// Another process has it.
    #[error(
        "could not lock {}: another forwarder runs with this data directory; stop it or give this one another directory",
        path.display()
    )]
    Locked {
        /// File of the id.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error(
        "could not use {}: {text:?} is not of the form [a-z0-9-]{{1,64}}; put the former id back, or remove the file \
         and every file will be read from its beginning again",
        path.display()
    )]
    Invalid {
        /// File of the id.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
    /// The file system refused.
    #[error("could not read or write {}: check that the directory belongs to this user and has space", path.display())]
    Io {
        /// File of the id.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads the id kept in `directory`, or makes one, and locks it.
///
/// # Errors
/// See [`IdError`].
pub fn load_or_make(directory: &Path) -> Result<Id, IdError> {
    let path = directory.join(FILE);
    match load(directory, &path) {
        Ok(Some((text, file))) if valid_id(&text) => Ok(Id { text, _file: file }),
        Ok(Some((text, _))) => Err(IdError::Invalid { path, text }),
        Ok(None) => Err(IdError::Locked { path }),
        Err(source) => Err(IdError::Io { path, source }),
    }
}

fn load(directory: &Path, path: &Path) -> io::Result<Option<(String, File)>> {
    std::fs::create_dir_all(directory)?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if text.is_empty() {
        text = make()?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        // The name too must outlive a crash: a new id would send every file again.
        File::open(directory)?.sync_all()?;
    }
    Ok(Some((text.trim().to_owned(), file)))
}

fn make() -> io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("f-{:016x}", u64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = load_or_make(&directory.path().join("new")).unwrap().as_str().to_owned();
        let second = load_or_make(&directory.path().join("new")).unwrap().as_str().to_owned();
        assert_eq!(first, second);
        assert!(valid_id(&first));
        let other = load_or_make(directory.path()).unwrap();
        assert_ne!(other.as_str(), first);
    }

    #[test]
    fn a_second_process_is_told_who_is_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let _first = load_or_make(directory.path()).unwrap();
        let error = load_or_make(directory.path()).unwrap_err();
        assert!(matches!(error, IdError::Locked { .. }));
        assert!(error.to_string().contains("another forwarder runs"), "{error}");
    }

    #[test]
    fn a_spoilt_id_is_not_replaced_in_silence() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "A B\n").unwrap();
        assert!(
            matches!(load_or_make(directory.path()), Err(IdError::Invalid { text, .. }) if text == "A B")
        );
    }
}
