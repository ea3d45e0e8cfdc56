//! Where plain row files lie, in the layout that other tools know as hive partitioning.

use chrono::{DateTime, Utc};
use millrace_schemas::manifest::Part;

/// Longer stream names are cut in paths; what a file holds is said by the manifest and by its columns.
const MAX_NAME: usize = 120;

/// `<table>/tenant=<t>/stream=<s>/date=<YYYY-MM-DD>/hour=<HH>/<name>.parquet`, by the part's hour.
pub fn merged_path(tenant: &str, part: &Part, name: &str) -> String {
    let table = part.table.as_str();
    let stream = escape(part.stream.as_deref().unwrap_or(""));
    let when = match DateTime::<Utc>::from_timestamp_micros(part.bucket) {
        Some(hour) => hour.format("date=%Y-%m-%d/hour=%H").to_string().replace('+', ""),
        None => "date=unknown/hour=00".to_owned(),
    };
    format!("{table}/tenant={tenant}/stream={stream}/{when}/{name}.parquet")
}

/// Letters, digits, `.`, `-` and `_` stay; any other byte is `!` and two hex digits. Not percent signs: stores and tools
/// disagree on how often to decode them.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let text = if plain { char::from(byte).to_string() } else { format!("!{byte:02X}") };
        if escaped.len() + text.len() > MAX_NAME {
            break;
        }
        escaped.push_str(&text);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_stream_names_cannot_leave_their_folder() {
        for (name, escaped) in [
            ("web-1.access", "web-1.access"),
            ("../x", "..!2Fx"),
            ("a/b c", "a!2Fb!20c"),
            ("ä%", "!C3!A4!25"),
            ("", ""),
        ] {
            assert_eq!(escape(name), escaped);
        }
        assert_eq!(escape(&"/".repeat(500)).len(), MAX_NAME);
    }
}
