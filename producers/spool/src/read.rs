//! Reading a batch block by block, also while it grows.

use crate::frame::{Kind, block_hash};
use crate::segment::{Segment, Step, Walk};
use crate::{BatchId, Error, Spool};

use std::os::unix::fs::FileExt;

/// How far a batch was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Offset of the frame to go on with; 0 is the batch's first.
    at: u64,
    /// Block within that frame.
    block: usize,
}

/// What stands next in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Records as [`millrace_schemas::batch::put_record`] writes them.
    Lines {
        /// How many.
        n_records: u64,
        /// Their bytes.
        bytes: Vec<u8>,
    },
    /// There may be more later.
    Waiting,
    /// All was read.
    End,
}

impl Spool {
    /// Reads on in a batch. What it gives is on disk, and never changes.
    ///
    /// # Errors
    /// [`Error::Unknown`] where the batch is gone, [`Error::Damaged`], [`Error::Io`].
    pub fn read(&self, id: BatchId, cursor: &mut Cursor) -> Result<Part, Error> {
        let unknown = || Error::Unknown { id: id.segment.to_string(), dir: self.dir().to_owned() };
        // Read without the lock: nobody changes what was written.
        let (file, path, from, to, closed) = {
            let state = self.state();
            let (Segment { file, path, .. }, batch) = state.batch(id).ok_or_else(unknown)?;
            (file.clone(), path.clone(), batch.from, batch.to, batch.closed)
        };
        let number = id.segment.number;
        let fail = || Error::io("read the segment", &path);
        let mut walk = Walk { file: &file, number, at: cursor.at.max(from), end: to };
        loop {
            let frame = match walk.step().map_err(fail())? {
                Step::Frame(frame) => frame,
                Step::Bad => return Err(Error::Damaged { path, at: walk.at }),
                Step::End if closed => return Ok(Part::End),
                Step::End => return Ok(Part::Waiting),
            };
            if frame.at != cursor.at {
                *cursor = Cursor { at: frame.at, block: 0 };
            }
            let own = |kind: Kind| kind == Kind::Lines(id.index);
            let mut blocks = frame.blocks().enumerate().skip(cursor.block);
            let Some((at, (entry, offset))) = blocks.find(|(_, (entry, _))| own(entry.kind)) else {
                *cursor = Cursor { at: frame.end, block: 0 };
                continue;
            };
            let mut bytes = vec![0; entry.len as usize];
            file.read_exact_at(&mut bytes, offset).map_err(fail())?;
            if block_hash(&bytes, number) != entry.hash {
                return Err(Error::Damaged { path, at: offset });
            }
            cursor.block = at + 1;
            return Ok(Part::Lines { n_records: u64::from(entry.n_records), bytes });
        }
    }
}
