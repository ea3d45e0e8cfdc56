//! Lines of standard input, or of anything else that is read once. What was read and not committed when the process dies is
//! lost with the pipe: only the writer has it.

use std::io::{ErrorKind, Read};
use std::sync::mpsc::SyncSender;

use super::{Given, Item};
use crate::split::{LINE_END_MAX, cut};

const CHUNK: usize = 64 << 10;

/// Reads `source` to its end, line by line; an over-long line in pieces.
pub fn read(mut source: impl Read, max_line_bytes: usize, to: &SyncSender<Given>) {
    let (mut bytes, mut piece) = (Vec::new(), 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        let n_read = match source.read(&mut buffer) {
            Ok(n_read) => n_read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                // Nobody listens any more where that fails, which ends the thread just the same.
                drop(to.send(Err(error.to_string())));
                return;
            }
        };
        bytes.extend_from_slice(&buffer[..n_read]);
        let mut used = 0;
        while let Some(found) = cut(&bytes[used..], piece, (max_line_bytes, LINE_END_MAX), n_read == 0) {
            let body = bytes[used..used + found.body].to_vec();
            if to.send(Ok(Item { body, end: found.end, piece: found.piece, cursor: None })).is_err() {
                return;
            }
            used += found.len();
            piece = found.piece.map_or(0, |piece| if piece.last { 0 } else { piece.index + 1 });
        }
        bytes.drain(..used);
        if n_read == 0 {
            return;
        }
    }
}
