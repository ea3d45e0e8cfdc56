//! The spool's id: made once, kept in the file that is locked while the spool is open.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::Error;

/// Locks `dir`, which must be there; answers the lock and the id.
pub(crate) fn lock(dir: &Path) -> Result<(File, String), Error> {
    let path = dir.join("lock");
    let fail = || Error::io("read or write", &path);
    let mut options = File::options();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(fail())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Error::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(fail()(source)),
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(fail())?;
    if text.trim().is_empty() {
        text = make().map_err(fail())?;
        let write = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        write.and_then(|()| crate::segment::sync_folder(dir)).map_err(fail())?;
    }
    Ok((file, text.trim().to_owned()))
}

fn make() -> std::io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("s-{:016x}\n", u64::from_be_bytes(bytes)))
}
