//! How far a forwarder has read a file.

use serde::{Deserialize, Serialize};

/// Value of `millrace.positions`; the key is `tenant/forwarder/file_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    /// Tenant of the stream.
    pub tenant: String,
    /// Id of the forwarder, made once and kept on its disk.
    pub forwarder: String,
    /// One incarnation of a path.
    pub file_id: String,
    /// Stream the lines go to.
    pub stream: String,
    /// Path at first sight.
    pub path: String,
    /// Device number.
    pub device: i64,
    /// Inode number.
    pub inode: i64,
    /// Bytes of the hashed prefix.
    pub prefix_len: i32,
    /// XXH3-64 of the first `prefix_len` bytes.
    pub prefix_hash: i64,
    /// Bytes before `byte` that `tail_hash` covers.
    pub tail_len: i32,
    /// XXH3-64 of them: tells a file that was truncated and grew again.
    pub tail_hash: i64,
    /// Truncations seen before this incarnation.
    pub truncations: i32,
    /// Next byte to read.
    pub byte: i64,
    /// Line ends before it.
    pub line: i64,
    /// Next piece of an over-long line; 0 between lines.
    pub piece: i32,
    /// When the incarnation was first seen, µs.
    pub first_seen: i64,
    /// Bytes known to have been destroyed by a truncation before they could be read.
    pub lost: i64,
    /// Nothing more will be read from this incarnation.
    pub finished: bool,
    /// Bytes of text handed on before `byte`, where lines are decoded, masked or unwrapped; `None`: as many as `byte`.
    #[serde(default)]
    pub text: Option<i64>,
    /// Where to go on in a source that is no file.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl FilePosition {
    /// Key of its record.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.tenant, self.forwarder, self.file_id)
    }
}
