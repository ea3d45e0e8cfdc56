//! Row files: Parquet tables of lines, for the archive and for every outside reader.
//!
//! Two tables. `events` holds parsed lines, `dead` holds lines that no parser could read; the columns of the raw line are
//! the same in both (see [`schema`]). Rows are sorted by (host, file, file id, byte, piece, origin), so that a file is
//! rebuilt by merging a few streams and so that neighbours compress well. Pure: bytes in, bytes out.

mod builder;
mod cells;
mod checksums;
mod clock;
mod encode;
mod found_cells;
mod merge;
mod order;
mod place;
mod raw_cells;
mod reader;
mod row;
pub mod schema;
mod template;
mod window;

pub use builder::TableBuilder;
pub use encode::{Effort, ROW_GROUP_ROWS};
pub use merge::{Merged, merge};
pub use place::{Key, Place};
pub use reader::{Group, TableReader};
pub use row::{Line, Lines, RowColumns};
pub use window::{Ranges, Window};

#[cfg(test)]
mod tests;

/// What a row file could not give or take. Class *Exit*: a bug or damaged data, but for [`TableError::Source`].
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Damaged, or not a Parquet file.
    #[error("could not read or write a row file: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Its bytes are not those that were written.
    #[error("{0} is damaged: the checksum is wrong")]
    Damaged(String),
    /// One of several row files, by its number, could not be read.
    #[error("{1}")]
    Input(usize, Box<TableError>),
    /// Columns that do not fit together.
    #[error("could not lay out a row file: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// A column is missing or of another type.
    #[error("column {0} is missing or of another type")]
    Column(&'static str),
    /// More text than one batch of columns can hold.
    #[error("more than {limit} bytes of text gathered for one row file")]
    TooLarge {
        /// The limit, bytes.
        limit: usize,
    },
    /// Rows do not follow the order that the format promises.
    #[error("rows of a row file are not in order")]
    Order,
    /// Whoever holds the bytes could not give them.
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
}
