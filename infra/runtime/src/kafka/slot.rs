//! Numbered slots: what makes transactional ids and group instance ids stable from start to start.

use std::fs::{File, TryLockError};
use std::path::Path;

/// A slot held for the life of the process.
#[derive(Debug)]
pub struct Slot {
    number: u32,
    _lock: File,
}

/// No slot could be taken.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The wanted one, or all, are held by other processes.
    #[error(
        "{what} of {service} under {dir} is held by another process; stop it, or choose another --instance"
    )]
    Held {
        /// `slot 3`, or `every slot`.
        what: String,
        /// Service.
        service: String,
        /// Folder of the locks.
        dir: String,
    },
    /// The lock file cannot be made.
    #[error("could not make the slot file {path}: {source}; check that the data folder is writable")]
    Io {
        /// File.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Slots of one service and data folder.
pub const SLOTS: u32 = 64;

impl Slot {
    /// Takes slot `instance`, or the first that is free, of `service` under `data_dir`.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn take(data_dir: &Path, service: &str, instance: Option<u32>) -> Result<Slot, SlotError> {
        let dir = data_dir.join("slots");
        let io = |path: &Path| {
            let path = path.display().to_string();
            move |source| SlotError::Io { path, source }
        };
        std::fs::create_dir_all(&dir).map_err(io(&dir))?;
        let numbers = instance.map_or(0..SLOTS, |number| number..number + 1);
        for number in numbers {
            let path = dir.join(format!("{service}-slot-{number}"));
            let lock =
                File::options().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
            match lock.try_lock() {
                Ok(()) => return Ok(Slot { number, _lock: lock }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => return Err(io(&path)(source)),
            }
        }
        Err(SlotError::Held {
            what: instance.map_or("every slot".to_owned(), |number| format!("slot {number}")),
            service: service.to_owned(),
            dir: dir.display().to_string(),
        })
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_taken_once_and_in_order() {
        let dir = std::env::temp_dir().join(format!("slots-{}", std::process::id()));
        let first = Slot::take(&dir, "index", None).unwrap();
        let second = Slot::take(&dir, "index", None).unwrap();
        assert_eq!((first.number(), second.number()), (0, 1));
        assert!(matches!(Slot::take(&dir, "index", Some(1)), Err(SlotError::Held { .. })));
        drop(first);
        assert_eq!(Slot::take(&dir, "index", None).unwrap().number(), 0);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
