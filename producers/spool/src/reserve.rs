//! Space that is kept back, so that a segment can be begun on a disk that is full: only then can those before it be deleted.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128_with_seed;

const FILE: &str = "reserve";
/// A segment without lines takes less, unless the table is large.
const LEAST: u64 = 256 << 10;

/// Makes the reserve, if it is not there or too small for a table of `table_len` bytes.
///
/// # Errors
/// What the system said; there is none then.
pub(crate) fn keep(dir: &Path, table_len: u64) -> std::io::Result<()> {
    let wanted = LEAST.max(2 * table_len);
    let path = dir.join(FILE);
    if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() >= wanted) {
        return Ok(());
    }
    let made = fill(&path, wanted);
    if made.is_err() {
        give_up(dir);
    }
    made
}

/// Bytes that no file system packs.
fn fill(path: &Path, len: u64) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(File::create(path)?);
    for seed in 0..len.div_ceil(16) {
        file.write_all(&xxh3_128_with_seed(b"reserve", seed).to_le_bytes())?;
    }
    file.flush()?;
    file.get_ref().sync_all()
}

/// Gives the space back; answers whether there was any.
pub(crate) fn give_up(dir: &Path) -> bool {
    std::fs::remove_file(dir.join(FILE)).is_ok()
}
