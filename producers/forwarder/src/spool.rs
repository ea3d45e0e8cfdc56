//! The outlet to a spool, from which batches are sent to a gateway: lines and positions of a batch in one append.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_schemas::Subject;
use millrace_schemas::position::FilePosition;
use millrace_spool::{Error, Group, Name, Spool};

use crate::{Batch, Outlet, OutletError, Source};

/// Room for a batch and its positions: with less, nothing is read.
pub const ROOM: u64 = 16 << 20;

/// Writes into a spool. The lines are acknowledged to the files once they are on disk.
#[derive(Debug)]
pub struct SpoolOutlet {
    spool: Arc<Spool>,
    group: Group,
}

/// Number that stands for the newest schema of raw events where no registry is known: its version.
pub fn schema_version() -> u32 {
    Subject::Raw.versions().len() as u32
}

impl SpoolOutlet {
    /// An outlet to `spool`.
    pub fn new(spool: Arc<Spool>) -> SpoolOutlet {
        SpoolOutlet { spool, group: Group::default() }
    }
}

impl Outlet for SpoolOutlet {
    fn restore(&mut self) -> Result<Vec<FilePosition>, OutletError> {
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            serde_json::from_slice(&value).map_err(|error| OutletError::Exit {
                reason: format!(
                    "position {} in the spool cannot be read: {error}; was it written by a newer build?",
                    String::from_utf8_lossy(&key)
                ),
            })
        };
        self.spool.table().into_iter().map(read).collect()
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), OutletError> {
        self.group.clear();
        let mut places = vec![None; batch.sources().len()];
        for record in batch.records() {
            let place = match &mut places[record.source as usize] {
                Some(place) => *place,
                unknown => *unknown.insert(self.group.batch(&name(batch.source(record)))),
            };
            self.group.push(place, batch.value(record));
        }
        for position in batch.positions() {
            let value = serde_json::to_vec(position).map_err(|error| exit(&error))?;
            self.group.put(position.key().as_bytes(), &value);
        }
        for position in batch.forgotten() {
            self.group.delete(position.key().as_bytes());
        }
        let minute = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
        self.spool.append(&self.group, minute as i64).map_err(|error| match error {
            // Nothing of it is there, and there may be room in a moment.
            Error::Full { .. } | Error::Io { .. } => OutletError::Retry { reason: chain(&error) },
            Error::Broken { .. }
            | Error::Name { .. }
            | Error::Damaged { .. }
            | Error::Locked { .. }
            | Error::Unknown { .. } => exit(&error),
        })
    }

    fn may_write(&mut self) -> bool {
        let has_room = self.spool.has_room(ROOM);
        // What is ended now is sent now, and makes room.
        if !has_room && let Err(error) = self.spool.make_room() {
            tracing::warn!(%error, "no room could be made in the spool yet");
        }
        has_room
    }
}

fn name(source: &Source) -> Name {
    let Source { tenant, stream, key } = source;
    let host = key.split_once('/').map_or(key.as_str(), |(_, host)| host);
    Name { tenant: tenant.clone(), stream: stream.clone(), host: host.to_owned() }
}

fn exit(error: &dyn std::error::Error) -> OutletError {
    OutletError::Exit { reason: chain(error) }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
