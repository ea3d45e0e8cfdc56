//! What the project's benchmark measures: the forwarder's own code, with an outlet that only counts.

use std::path::Path;
use std::time::Instant;

use millrace_schemas::ledger::Tally;
use millrace_schemas::position::FilePosition;

use crate::{Batch, Error, Input, Limits, Options, Outlet, OutletError, run};

/// Counts what it is given, as the real outlet does for the ledger.
#[derive(Debug, Default)]
struct Counting {
    offset: i64,
}

impl Outlet for Counting {
    fn restore(&mut self) -> Result<Vec<FilePosition>, OutletError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), OutletError> {
        let mut tally = Tally::default();
        for record in batch.records() {
            batch.count(record, 0, self.offset, &mut tally);
            self.offset += 1;
        }
        std::hint::black_box(tally);
        Ok(())
    }

    fn may_write(&mut self) -> bool {
        true
    }
}

/// Takes the file at `path` through the forwarder; answers its bytes and the seconds it took.
///
/// # Errors
/// [`Error::Read`] where the file was not read to its end.
pub fn read_through(path: &Path) -> Result<(u64, f64), Error> {
    let unreadable = |reason: String| Error::Read { path: path.display().to_string(), reason };
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    let globs = vec![glob::Pattern::escape(&path.to_string_lossy())];
    let input = Input::new("default", "bench", globs);
    let options = Options {
        host: "bench-host".to_owned(),
        forwarder_id: "bench".to_owned(),
        schema_id: 1,
        inputs: vec![input],
        scratch: std::env::temp_dir(),
        limits: Limits::USUAL,
        once: true,
    };
    let start = Instant::now();
    let progress = run(options, Counting::default(), || false, |_| {})?;
    let seconds = start.elapsed().as_secs_f64();
    if progress.bytes != size {
        return Err(unreadable(format!("{} of {size} bytes were read", progress.bytes)));
    }
    Ok((size, seconds))
}
