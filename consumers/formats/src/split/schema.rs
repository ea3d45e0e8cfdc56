//! The columns of a split and how each is indexed.

use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, JsonObjectOptions, NumericOptions, Schema, TextFieldIndexing,
    TextOptions,
};
use tantivy::tokenizer::{RawTokenizer, TokenizerManager};

use super::words::WordTokenizer;

/// Words and values longer than this are not indexed, bytes: Lucene's limit, and with a path in front of it still below
/// tantivy's 65,530, above which it would drop the term with a warning a line.
pub const MAX_TERM: usize = 32_766;

/// Fields with a longer name are not indexed, bytes.
pub const MAX_FIELD_NAME: usize = 512;

/// Fields and attributes of a row past this many are not indexed; the words of the line are.
pub const MAX_FIELDS_PER_ROW: usize = 1_000;

const WORDS: &str = "words";
const RAW: &str = "raw";

/// Whether a field of that name is indexed: it is neither empty nor too long and holds none of the bytes that tantivy
/// gives a meaning.
pub fn indexable_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_FIELD_NAME && !name.bytes().any(|byte| byte <= 1)
}

/// How `name` is written as the path of a term of the column `fields`: dots nest, everything else stands for itself.
pub fn field_path(name: &str) -> String {
    name.replace('\\', "\\\\")
}

/// The columns of a split, in the order of their numbers.
#[derive(Debug, Clone)]
pub struct Columns {
    schema: Schema,
    /// Stream, whole.
    pub stream: Field,
    /// Host, whole.
    pub host: Field,
    /// Path, whole.
    pub file: Field,
    /// Severity, whole.
    pub severity: Field,
    /// User, whole.
    pub user: Field,
    /// Id of the parser, whole.
    pub parser: Field,
    /// Each flag, whole.
    pub flags: Field,
    /// Reason code, whole; of dead letters only.
    pub reason: Field,
    /// [`millrace_schemas::attempt::attempt_id`], whole; of lines of batches only.
    pub attempt: Field,
    /// The body, as words with positions.
    pub line: Field,
    /// Fields and attributes: whole strings, numbers, booleans.
    pub fields: Field,
    /// Event time, µs; column only.
    pub time: Field,
    /// Time of reading, µs; column only.
    pub received: Field,
    /// Generation of the raw topic; column only.
    pub generation: Field,
    /// Partition in it; column only.
    pub partition: Field,
    /// Offset in it; column only.
    pub offset: Field,
    /// What a hit shows; stored only.
    pub stored: Field,
}

impl Columns {
    /// The columns of every split.
    pub fn new() -> Columns {
        // No norms anywhere: hits are ordered by time, never by score. Only the line needs positions.
        let whole = TextFieldIndexing::default()
            .set_tokenizer(RAW)
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::Basic);
        let line = TextFieldIndexing::default()
            .set_tokenizer(WORDS)
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let text = TextOptions::default().set_indexing_options(whole.clone());
        let fields = JsonObjectOptions::default().set_indexing_options(whole).set_expand_dots_enabled();
        let fast = NumericOptions::default().set_fast();
        let mut builder = Schema::builder();
        Columns {
            stream: builder.add_text_field("stream", text.clone()),
            host: builder.add_text_field("host", text.clone()),
            file: builder.add_text_field("file", text.clone()),
            severity: builder.add_text_field("severity", text.clone()),
            user: builder.add_text_field("user", text.clone()),
            parser: builder.add_text_field("parser", text.clone()),
            flags: builder.add_text_field("flags", text.clone()),
            reason: builder.add_text_field("reason", text.clone()),
            attempt: builder.add_text_field("attempt", text),
            line: builder.add_text_field("line", TextOptions::default().set_indexing_options(line)),
            fields: builder.add_json_field("fields", fields),
            time: builder.add_i64_field("time", fast.clone()),
            received: builder.add_i64_field("received", fast.clone()),
            generation: builder.add_i64_field("generation", fast.clone()),
            partition: builder.add_i64_field("partition", fast.clone()),
            offset: builder.add_i64_field("offset", fast),
            stored: builder.add_bytes_field("stored", BytesOptions::default().set_stored()),
            schema: builder.build(),
        }
    }

    /// As tantivy has it.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
}

impl Default for Columns {
    fn default() -> Columns {
        Columns::new()
    }
}

/// The tokenizers that the columns name; tantivy asks for its default one even for numbers.
pub(super) fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register(WORDS, WordTokenizer::default());
    manager.register(RAW, RawTokenizer::default());
    manager
}
