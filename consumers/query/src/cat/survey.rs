//! Where the archive has rows of a path, without reading their text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use millrace_formats::table::{Group, Place, TableError, TableReader};
use millrace_runtime::store::{Store, StoreError};
use millrace_schemas::manifest::LivePart;

use super::source::PartSource;
use super::{Archive, CatError};
use crate::Missing;

/// One incarnation, and where its rows are.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) file_id: Option<String>,
    pub(super) first_seen: i64,
    pub(super) extents: Vec<Extent>,
}

impl Sight {
    /// The file id as people give it.
    pub(super) fn shown(&self) -> &str {
        self.file_id.as_deref().unwrap_or("-")
    }
}

/// Rows of one incarnation that lie one behind the other in a row group, in order.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub(super) live: Arc<LivePart>,
    pub(super) group: Group,
    pub(super) rows: Range<usize>,
    pub(super) first: Place,
    received: i64,
}

/// The incarnations of `path` on `host`, in order of first sight, and what is left out.
pub(super) fn survey(
    archive: &Archive<'_>,
    (tenant, host, path): (&str, &str, &str),
) -> Result<(Vec<Sight>, Vec<Missing>), CatError> {
    let mut missing = Vec::new();
    let mut found: BTreeMap<Option<String>, Vec<Extent>> = BTreeMap::new();
    let lists =
        |live: &&LivePart| live.part.hosts.is_empty() || live.part.hosts.iter().any(|own| own == host);
    for live in archive.fold.tenant(tenant).filter(lists) {
        let live = Arc::new(live.clone());
        let mut extents = BTreeMap::new();
        // A part that is left out if it is damaged has its text read too: nothing may be found wrong in it later.
        let surveyed = open(archive.store, &live)
            .and_then(|reader| survey_part(&reader, &live, (host, path), archive.partial, &mut extents))
            .map_err(|source| damaged(&live, source));
        if let Err(error) = surveyed {
            let reason = error.damage().filter(|_| archive.partial).ok_or(error)?;
            missing.push(Missing::of(&live, reason));
            continue;
        }
        for (file_id, own) in extents {
            found.entry(file_id).or_default().extend(own);
        }
    }
    let mut sights: Vec<Sight> = found
        .into_iter()
        .map(|(file_id, extents)| Sight {
            file_id,
            first_seen: extents.iter().map(|extent| extent.received).min().unwrap_or(0),
            extents,
        })
        .collect();
    sights.sort_by(|a, b| (a.first_seen, &a.file_id).cmp(&(b.first_seen, &b.file_id)));
    Ok((sights, missing))
}

/// Opens the row file of a part.
pub(super) fn open(store: &Store, live: &LivePart) -> Result<TableReader<PartSource>, TableError> {
    let source = PartSource::open(store, live)?;
    let len = source.size();
    TableReader::open(source, len)
}

/// Tells the store's fault from the data's.
pub(super) fn damaged(live: &LivePart, source: TableError) -> CatError {
    let damaged = |source| {
        let (part, object) = (live.part.id.clone(), live.record.object.clone());
        CatError::Damaged { part, object, source: Box::new(source) }
    };
    match source {
        TableError::Source(source) => match source.downcast::<StoreError>() {
            Ok(store) => CatError::of_store(store),
            Err(other) => damaged(TableError::Source(other)),
        },
        data => damaged(data),
    }
}

fn survey_part(
    reader: &TableReader<PartSource>,
    live: &Arc<LivePart>,
    (host, path): (&str, &str),
    text: bool,
    extents: &mut BTreeMap<Option<String>, Vec<Extent>>,
) -> Result<(), TableError> {
    let candidates = reader
        .groups()
        .filter(|group| reader.may_hold(*group, "host", host) && reader.may_hold(*group, "file", path));
    for group in candidates {
        let mut before = 0;
        let mut open: Option<(Option<String>, Extent)> = None;
        for batch in reader.lines(group, 0..group.rows, text)? {
            let batch = batch?;
            for at in 0..batch.len() {
                let line = batch.line(at)?;
                let row = before + at;
                let key = line.key;
                let ours = key.host == host && key.file == Some(path);
                match &mut open {
                    Some((file_id, extent)) if ours && file_id.as_deref() == key.file_id => {
                        extent.rows.end = row + 1;
                        extent.received = extent.received.min(line.received);
                    }
                    _ => {
                        if let Some((file_id, extent)) = open.take() {
                            extents.entry(file_id).or_default().push(extent);
                        }
                        open = ours.then(|| {
                            let rows = row..row + 1;
                            let live = live.clone();
                            let extent =
                                Extent { live, group, rows, first: key.place, received: line.received };
                            (key.file_id.map(str::to_owned), extent)
                        });
                    }
                }
            }
            before += batch.len();
        }
        if let Some((file_id, extent)) = open {
            extents.entry(file_id).or_default().push(extent);
        }
    }
    Ok(())
}
