//! What a forwarder is told: which files go to which stream, and the bounds it keeps to.

use std::path::PathBuf;
use std::time::Duration;

use millrace_schemas::id::valid_id;
use millrace_schemas::position::FilePosition;

use crate::Error;
use crate::container::Container;
use crate::encoding::Encoding;
use crate::join::Join;
use crate::rules::Rules;

/// Everything that one forwarder is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of this host, as it appears in every line.
    pub host: String,
    /// Made once and kept on disk, see [`crate::id`].
    pub forwarder_id: String,
    /// Registry id under which raw events are written.
    pub schema_id: u32,
    /// What to follow. A file that several inputs match belongs to the first of them.
    pub inputs: Vec<Input>,
    /// Where packed files are unpacked, one at a time.
    pub scratch: PathBuf,
    /// Bounds and times.
    pub limits: Limits,
    /// Read every file to its end, commit, return.
    pub once: bool,
}

/// A set of files whose lines go to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Tenant id.
    pub tenant: String,
    /// Stream the lines go to.
    pub stream: String,
    /// Shell patterns of absolute paths.
    pub globs: Vec<String>,
    /// Of these, shell patterns of what is left out: of paths, or of names where they have no slash.
    pub exclude: Vec<String>,
    /// Added to every line.
    pub attributes: Vec<(String, String)>,
    /// Where to begin in the files that are there when the stream is followed for the first time.
    pub start: Start,
    /// How characters are written. What is not UTF-8 is handed on as UTF-8.
    pub encoding: Encoding,
    /// Files that container runtimes write: their lines are unwrapped, their parts put together.
    pub container: Option<Container>,
    /// Which lines belong together; each line by itself where there is none.
    pub join: Option<Join>,
    /// Lines of one entry; the next one begins a new entry. Bytes are bounded by [`Limits::max_line_bytes`].
    pub entry_max_lines: usize,
    /// Lines and parts that may go on are complete when the file has not grown for so long.
    pub entry_timeout: Duration,
    /// What is masked before a line leaves the host, one rule after the other.
    pub redact: Vec<Redaction>,
}

/// What must not leave the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// Expression as the regex crate has them, over the bytes of a line without its end.
    pub pattern: String,
    /// What stands in its place; `${1}` is a group of the match.
    pub mask: String,
}

/// Where to begin in a file that was never seen. Files that appear later are always read from their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With its first byte.
    Beginning,
    /// After what is there already.
    End,
    /// With its first byte where the file was changed at or after this time (µs since the epoch), else as `End`.
    Since(i64),
}

/// Bounds and times of a forwarder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest body; longer lines travel in pieces of this size.
    pub max_line_bytes: usize,
    /// Encoded bytes of one batch; a single record may pass it.
    pub batch_max_bytes: usize,
    /// Records of one batch.
    pub batch_max_lines: usize,
    /// How long a batch that is not full waits for more lines.
    pub linger: Duration,
    /// How long the beginning of a line waits for its end, from when it last grew; and how long a deleted file must be
    /// quiet before it counts as read.
    pub partial_line_timeout: Duration,
    /// Time between two looks at the globs.
    pub scan_interval: Duration,
    /// Time between two looks at the open files.
    pub poll_interval: Duration,
    /// Bytes read from one file before it is the next one's turn.
    pub quantum_bytes: usize,
    /// Files held open at once; others are opened for reading and closed again.
    pub max_open_files: usize,
    /// How long the position of a finished incarnation is kept.
    pub keep_finished: Duration,
}

impl Limits {
    /// The usual bounds: a batch is one transaction, large enough that its cost per line vanishes, small enough that
    /// the process stays below 50 MB.
    pub const USUAL: Limits = Limits {
        max_line_bytes: 1 << 20,
        batch_max_bytes: 6 << 20,
        batch_max_lines: 50_000,
        linger: Duration::from_millis(100),
        partial_line_timeout: Duration::from_secs(5),
        scan_interval: Duration::from_secs(1),
        poll_interval: Duration::from_millis(100),
        quantum_bytes: 1 << 20,
        // Half of the soft limit that most systems give a process.
        max_open_files: 512,
        keep_finished: Duration::from_secs(7 * 24 * 3600),
    };
}

impl Options {
    /// Whether `position` is of a file of input number `input`.
    pub(crate) fn is_of(&self, input: usize, position: &FilePosition) -> bool {
        let own = self.inputs.get(input);
        own.is_some_and(|own| own.tenant == position.tenant && own.stream == position.stream)
    }

    /// Finds every fault at once.
    ///
    /// # Errors
    /// [`Error::Options`] with one line a fault.
    pub fn check(&self) -> Result<(), Error> {
        let mut faults = Vec::new();
        if self.host.is_empty() {
            faults.push("host is empty: name this host".to_owned());
        }
        if !valid_id(&self.forwarder_id) {
            faults.push(format!("forwarder_id {:?} is not of the form [a-z0-9-]{{1,64}}", self.forwarder_id));
        }
        if self.inputs.is_empty() {
            faults.push("inputs is empty: name at least one".to_owned());
        }
        for (i, input) in self.inputs.iter().enumerate() {
            input.check(i, &mut faults);
        }
        self.limits.check(&mut faults);
        if faults.is_empty() { Ok(()) } else { Err(Error::Options { faults }) }
    }
}

impl Input {
    /// Follows `globs` from the beginning of each file, and hands the lines on as they are.
    pub fn new(tenant: &str, stream: &str, globs: Vec<String>) -> Input {
        Input {
            tenant: tenant.to_owned(),
            stream: stream.to_owned(),
            globs,
            exclude: Vec::new(),
            attributes: Vec::new(),
            start: Start::Beginning,
            encoding: Encoding::Utf8,
            container: None,
            join: None,
            entry_max_lines: 1_000,
            entry_timeout: Duration::from_secs(1),
            redact: Vec::new(),
        }
    }

    fn check(&self, i: usize, faults: &mut Vec<String>) {
        Rules::compile(self, &format!("inputs[{i}]"), faults);
        if !valid_id(&self.tenant) {
            faults.push(format!("inputs[{i}].tenant {:?} is not of the form [a-z0-9-]{{1,64}}", self.tenant));
        }
        if self.stream.is_empty() {
            faults.push(format!("inputs[{i}].stream is empty"));
        }
        if self.globs.is_empty() {
            faults.push(format!("inputs[{i}].globs is empty: name at least one pattern"));
        }
        for (j, pattern) in self.globs.iter().enumerate() {
            if let Err(error) = glob::Pattern::new(pattern) {
                faults.push(format!("inputs[{i}].globs[{j}] {pattern:?} is no pattern: {error}"));
            }
        }
    }
}

impl Limits {
    fn check(&self, faults: &mut Vec<String>) {
        let sizes = [
            ("max_line_bytes", self.max_line_bytes, 1 << 30),
            ("batch_max_bytes", self.batch_max_bytes, 1 << 30),
            ("batch_max_lines", self.batch_max_lines, 1 << 24),
            ("quantum_bytes", self.quantum_bytes, usize::MAX),
            ("max_open_files", self.max_open_files, usize::MAX),
        ];
        for (name, value, most) in sizes {
            if value == 0 || value > most {
                faults.push(format!("limits.{name} is {value}: it must be between 1 and {most}"));
            }
        }
    }
}
