//! The two stored formats: splits of the index (tantivy) and row files of the archive (Parquet). Writers and readers of
//! both live here, so that indexer, archiver and query agree without knowing each other. Pure: bytes in, bytes out.
#![warn(missing_docs)]

pub mod split;
pub mod table;
