//! Elasticsearch's `_bulk`: pairs of an action line and a document line.
//!
//! As Elasticsearch does, a request with an action line that cannot be read is refused as a whole, before anything is
//! taken; a document that cannot be taken is refused by itself. A missing newline at the end is forgiven.

use std::borrow::Cow;

use millrace_schemas::id::stream_fault;
use serde_json::{Value, json};

use super::native::host_of;
use crate::item::{Item, Malformed};
use crate::json;
use crate::lines::lines;

/// What an action asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Add or replace a document.
    Index,
    /// Add a document.
    Create,
    /// Change one: refused.
    Update,
    /// Remove one: refused.
    Delete,
}

impl Operation {
    /// Its name in requests and answers.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Index => "index",
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }

    fn of(name: &str) -> Option<Operation> {
        let all = [Operation::Index, Operation::Create, Operation::Update, Operation::Delete];
        all.into_iter().find(|own| own.name() == name)
    }
}

/// One action and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Action<'a> {
    /// What it asks for.
    pub operation: Operation,
    /// Index, which is the stream.
    pub index: Cow<'a, str>,
    /// The client's id of the document.
    pub id: Option<Cow<'a, str>>,
    /// The document, or why it is not taken.
    pub outcome: Result<Item<'a>, ItemError>,
}

/// Why one document is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// HTTP status of the item.
    pub status: u16,
    /// Elasticsearch's name of the error.
    pub kind: &'static str,
    /// For people.
    pub reason: String,
}

impl ItemError {
    fn new(status: u16, kind: &'static str, reason: impl Into<String>) -> ItemError {
        ItemError { status, kind, reason: reason.into() }
    }
}

/// Why a request is refused as a whole, in Elasticsearch's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BulkError {
    /// An action line that cannot be read, or a document that is missing.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Well written, and nothing that can be done.
    #[error("{}", invalid(*number, what))]
    Invalid {
        /// Number of the action, from 1.
        number: usize,
        /// What it lacks.
        what: &'static str,
    },
}

fn invalid(number: usize, what: &str) -> String {
    format!("Validation Failed: {number}: {what};")
}

impl BulkError {
    /// Elasticsearch's name of the error.
    pub fn kind(&self) -> &'static str {
        match self {
            BulkError::Malformed(_) => "illegal_argument_exception",
            BulkError::Invalid { .. } => "action_request_validation_exception",
        }
    }
}

/// The longest id that Elasticsearch takes.
const MAX_ID: usize = 512;

/// Parameters of an action that are known; those that mean nothing to a log are ignored.
const PARAMETERS: [&str; 15] = [
    "_index",
    "_id",
    "_type",
    "routing",
    "_routing",
    "op_type",
    "version",
    "version_type",
    "pipeline",
    "if_seq_no",
    "if_primary_term",
    "require_alias",
    "require_data_stream",
    "list_executed_pipelines",
    "dynamic_templates",
];
const UPDATE_PARAMETERS: [&str; 3] = ["retry_on_conflict", "_source", "parent"];

/// Reads the body; `default_index` is the one of the path. As in Elasticsearch up to 8, members beside an action mean
/// nothing where it is `lenient`.
///
/// # Errors
/// The whole request, in Elasticsearch's words.
pub fn read<'a>(
    default_index: Option<Cow<'a, str>>,
    body: &'a [u8],
    lenient: bool,
) -> Result<Vec<Action<'a>>, BulkError> {
    let mut actions = Vec::new();
    let mut lines = lines(body).map(|(line, _)| line).zip(1usize..);
    while let Some((line, number)) = lines.next() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let (operation, index, id) = action(line, number, lenient)?;
        let Some(index) = index.or_else(|| default_index.clone()) else {
            return Err(BulkError::Invalid { number: actions.len() + 1, what: "index is missing" });
        };
        let refused = |status, kind, reason: &str| Err(ItemError::new(status, kind, reason));
        let outcome = match operation {
            Operation::Delete => {
                let reason = "logs are kept as they came: delete is not possible";
                refused(404, "document_missing_exception", reason)
            }
            Operation::Index | Operation::Create | Operation::Update => {
                let Some((document, _)) = lines.next() else {
                    if actions.is_empty() {
                        return Err(BulkError::Invalid { number: 1, what: "no requests added" });
                    }
                    let name = operation.name();
                    return Err(Malformed(format!(
                        "The bulk request must be terminated by a newline [\\n]: the document of the last [{name}] is missing"
                    ))
                    .into());
                };
                if operation == Operation::Update {
                    let reason =
                        "logs are kept as they came: update is not possible, send [index] or [create]";
                    refused(400, "illegal_argument_exception", reason)
                } else {
                    take(&index, id.as_ref(), document)
                }
            }
        };
        actions.push(Action { operation, index, id, outcome });
    }
    if actions.is_empty() {
        return Err(Malformed::new("request body is required").into());
    }
    Ok(actions)
}

/// Operation, index and id of an action line.
type Head<'a> = (Operation, Option<Cow<'a, str>>, Option<Cow<'a, str>>);

fn action(line: &[u8], number: usize, lenient: bool) -> Result<Head<'_>, Malformed> {
    let malformed = |what: &str| Malformed(format!("Malformed action/metadata line [{number}], {what}"));
    let text = std::str::from_utf8(line).map_err(|_| malformed("expected UTF-8"))?;
    let text = json::whole(text).map_err(|error| malformed(&format!("expected START_OBJECT: {error}")))?;
    let mut members = json::members(text).map_err(|_| malformed("expected START_OBJECT"))?;
    let first = members.next().ok_or_else(|| malformed("expected FIELD_NAME but found [END_OBJECT]"))?;
    let (name, parameters) = first.map_err(|error| malformed(&error))?;
    let mut operation = Operation::of(&name).ok_or_else(|| {
        malformed(&format!(
            "expected field [create], [delete], [index] or [update] but found [{}]",
            short(&name)
        ))
    })?;
    if !parameters.starts_with('{') {
        return Err(malformed("expected START_OBJECT after the name of the action"));
    }
    if members.next().is_some() && !lenient {
        return Err(malformed("expected END_OBJECT but found [FIELD_NAME]"));
    }
    let (mut index, mut id) = (None, None);
    for member in json::members(parameters).map_err(|error| malformed(&error))? {
        let (parameter, value) = member.map_err(|error| malformed(&error))?;
        let known = PARAMETERS.contains(&&*parameter)
            || (operation == Operation::Update && UPDATE_PARAMETERS.contains(&&*parameter));
        if !known {
            let name = short(&parameter);
            return Err(Malformed(format!(
                "Action/metadata line [{number}] contains an unknown parameter [{name}]"
            )));
        }
        let found = match value.as_bytes().first() {
            Some(b'[') => "START_ARRAY",
            Some(b'{') if parameter != "dynamic_templates" && parameter != "_source" => "START_OBJECT",
            _ => "",
        };
        if !found.is_empty() && parameter != "_source" {
            let what = format!("expected a simple value for field [{parameter}] but found [{found}]");
            return Err(malformed(&what));
        }
        match parameter.as_ref() {
            "_index" => index = json::scalar(value),
            "_id" => id = json::scalar(value),
            "op_type" if operation == Operation::Index && value == "\"create\"" => {
                operation = Operation::Create
            }
            _ => {}
        }
    }
    Ok((operation, index, id))
}

fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

fn take<'a>(
    index: &Cow<'a, str>,
    id: Option<&Cow<'a, str>>,
    document: &'a [u8],
) -> Result<Item<'a>, ItemError> {
    let illegal = |reason: String| ItemError::new(400, "illegal_argument_exception", reason);
    match id.map(|id| id.len()) {
        Some(0) => return Err(illegal("if _id is specified it must not be empty".to_owned())),
        Some(long @ MAX_ID..) if long > MAX_ID => {
            let reason = format!("id is too long, must be no longer than {MAX_ID} bytes but was: {long}");
            return Err(illegal(reason));
        }
        _ => {}
    }
    if !millrace_schemas::id::valid_stream(index) {
        let reason = format!("Invalid index name [{}]: {}", short(index), stream_fault(index));
        return Err(ItemError::new(400, "invalid_index_name_exception", reason));
    }
    let parsing = |reason: String| ItemError::new(400, "document_parsing_exception", reason);
    let text = std::str::from_utf8(document)
        .map_err(|error| parsing(format!("the document is not UTF-8: {error}")))?;
    let text = json::whole(text).map_err(|error| parsing(format!("the document is not JSON: {error}")))?;
    if !text.starts_with('{') {
        return Err(parsing("the document is not a JSON object".to_owned()));
    }
    let mut item = Item::new(index.clone(), text.as_bytes());
    item.host = host_of(text);
    // The scope begins with a word, so that no id can be taken for a scope of another kind.
    item.dedup = id.map(|id| (format!("id/{id}").into(), 0));
    match item.fault() {
        None => Ok(item),
        Some(reason) => Err(illegal(reason)),
    }
}

impl<'a> Action<'a> {
    /// Of a document by itself.
    pub fn alone(
        operation: Operation,
        index: Cow<'a, str>,
        id: Option<Cow<'a, str>>,
        document: &'a [u8],
    ) -> Action<'a> {
        let outcome = take(&index, id.as_ref(), document);
        Action { operation, index, id, outcome }
    }

    /// What the answer to many says of it. `id` is used where the client gave none.
    pub fn answer(&self, id: &str) -> Value {
        let mut said = self.said(id);
        said["status"] = json!(self.outcome.as_ref().map_or_else(|error| error.status, |_| 201));
        json!({ self.operation.name(): said })
    }

    /// What became of it, without a status: by itself, rsyslog takes one for a refusal.
    pub fn said(&self, id: &str) -> Value {
        let (index, id) = (&*self.index, self.id.as_deref().unwrap_or(id));
        match &self.outcome {
            Ok(_) => json!({
                "_index": index, "_id": id, "_version": 1, "result": "created",
                "_shards": {"total": 1, "successful": 1, "failed": 0}, "_seq_no": 0, "_primary_term": 1,
            }),
            Err(error) => json!({
                "_index": index, "_id": id,
                "error": {"type": error.kind, "reason": error.reason},
            }),
        }
    }
}

/// The answer to a request that is refused as a whole.
pub fn refusal(status: u16, kind: &str, reason: &str) -> Value {
    let cause = json!({"type": kind, "reason": reason});
    json!({"error": {"root_cause": [cause], "type": kind, "reason": reason}, "status": status})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(body: &str) -> String {
        match read(Some("web".into()), body.as_bytes(), false) {
            Err(error) => format!("!{error}"),
            Ok(actions) => {
                let show = |action: &Action<'_>| match &action.outcome {
                    Ok(item) => format!("{} {}", item.stream, String::from_utf8_lossy(&item.body)),
                    Err(error) => format!("{} {}", error.status, error.kind),
                };
                actions.iter().map(show).collect::<Vec<_>>().join("|")
            }
        }
    }

    #[test]
    fn documents_follow_their_actions() {
        assert_eq!(
            show("{\"index\":{}}\n{\"a\" :1}\n{\"create\":{\"_index\":\"x\"}}\n{}"),
            r#"web {"a" :1}|x {}"#
        );
        assert_eq!(
            show("{\"delete\":{\"_id\":\"1\"}}\n{\"index\":{}}\n{}\n"),
            "404 document_missing_exception|web {}"
        );
        assert_eq!(show("{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}\n"), "400 illegal_argument_exception");
    }

    #[test]
    fn a_document_that_is_none_is_refused_alone() {
        let body = "{\"index\":{}}\n[]\n{\"index\":{\"_index\":\"A\"}}\n{}\n{\"index\":{\"_id\":\"\"}}\n{}\n{\"index\":{}}\n{}\n";
        let wanted = "400 document_parsing_exception|400 invalid_index_name_exception|400 illegal_argument_exception|web {}";
        assert_eq!(show(body), wanted);
    }

    #[test]
    fn an_action_that_is_none_refuses_the_request() {
        for body in [
            "",
            "\n\n",
            "foo",
            "{}",
            "{\"upsert\":{}}\n{}",
            "{\"index\":1}\n{}",
            "{\"index\":{}}",
            "{\"index\":{},\"x\":1}\n{}",
        ] {
            assert!(show(body).starts_with('!'), "{body}: {}", show(body));
        }
    }

    #[test]
    fn an_index_of_type_create_is_answered_as_one() {
        let body = b"{\"index\":{\"_index\":\"web\",\"op_type\":\"create\"}}\n{}\n{\"index\":{\"_index\":\"web\",\"op_type\":\"index\"}}\n{}\n";
        let actions = read(None, body, false).unwrap();
        let operations: Vec<_> = actions.iter().map(|action| action.operation).collect();
        assert_eq!(operations, [Operation::Create, Operation::Index]);
    }

    #[test]
    fn a_request_that_asks_for_nothing_is_refused_by_its_own_name() {
        let kind = |index, body: &'static str| {
            let refused = read(index, body.as_bytes(), false).map(|actions| actions.len());
            refused.map_err(|error| (error.kind(), error.to_string()))
        };
        let invalid = |what: &str| {
            Err(("action_request_validation_exception", format!("Validation Failed: 1: {what};")))
        };
        assert_eq!(kind(Some("web".into()), "{\"index\":{}}\n"), invalid("no requests added"));
        assert_eq!(kind(None, "{\"index\":{}}\n{}\n"), invalid("index is missing"));
        // What came before a document that is missing is not taken either.
        let cut = kind(Some("web".into()), "{\"index\":{}}\n{}\n{\"index\":{}}\n").unwrap_err();
        assert_eq!(cut.0, "illegal_argument_exception");
    }

    #[test]
    fn members_beside_an_action_mean_nothing_to_clients_up_to_8() {
        let body = b"{\"index\":{\"_index\":\"web\"},\"attempts\":0}\n{\"a\":1}\n";
        assert!(read(None, body, false).is_err());
        let actions = read(None, body, true).unwrap();
        assert_eq!(actions[0].outcome.as_ref().unwrap().body, b"{\"a\":1}".as_slice());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_actions_or_a_refusal(body: Vec<u8>, text in "(\\{\"index\":\\{\\}\\}\n|\\{\"a\":1\\}\n|[{}\\[\\]\":,a\n]{0,9}){0,9}") {
            drop(read(None, &body, false));
            drop(read(Some("web".into()), text.as_bytes(), true));
        }
    }
}
