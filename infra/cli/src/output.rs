//! How answers are given: exit codes, tables, numbers.

use comfy_table::{CellAlignment, Table, presets};
use millrace_admin::control;
pub(crate) use millrace_admin::minute;
use millrace_query::cat::CatError;
use serde_json::Value;

use crate::args::Format;

/// What a command answers; becomes the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 0
    Yes,
    /// 1
    No,
    /// 2
    Unknown,
}

/// Exit code where the reader of the output left before its end: that of a program that a shell saw end by SIGPIPE.
pub(crate) const LEFT: u8 = 141;

/// From here on a print to a reader that has left (`| head`) ends the process without a word.
pub(crate) fn end_with_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        let prints = ["printing to stdout", "completion file"];
        if prints.iter().any(|own| said.contains(own)) && said.contains("Broken pipe") {
            std::process::exit(LEFT.into());
        }
        usual(panic);
    }));
}

/// Whether a command failed since the reader of its output has left.
pub(crate) fn has_left(error: &anyhow::Error) -> bool {
    let written = match error.downcast_ref() {
        Some(CatError::Output(written)) => Some(written),
        _ => error.downcast_ref::<std::io::Error>(),
    };
    written.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Says what came of a change: why it was refused, or what `done` says.
pub(crate) fn answered<T>(
    changed: Result<T, control::Error>,
    done: impl FnOnce(T) -> anyhow::Result<()>,
) -> anyhow::Result<Answer> {
    match changed {
        Ok(answer) => done(answer).map(|()| Answer::Yes),
        Err(control::Error::Refused(refusal)) => {
            println!("{refusal}");
            Ok(Answer::No)
        }
        Err(error) => Err(error.into()),
    }
}

/// An error with its causes, each said once.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

/// A plain table; columns after the first `n_text` are numbers.
pub(crate) fn table(headers: &[&str], n_text: usize, rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header(headers);
    for (at, column) in table.column_iter_mut().enumerate() {
        if at >= n_text {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in rows {
        table.add_row(row);
    }
    table
}

/// Prints objects as JSON, or as a table of these columns of theirs: texts, then numbers.
pub(crate) fn print_rows(
    format: Format,
    texts: &[&str],
    numbers: &[&str],
    rows: &[Value],
) -> anyhow::Result<()> {
    if format == Format::Json {
        println!("{}", serde_json::to_string_pretty(rows)?);
        return Ok(());
    }
    let columns = [texts, numbers].concat();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let lines = rows.iter().map(|row| columns.iter().map(|column| text(&row[*column])).collect());
    println!("{}", table(&columns, texts.len(), lines));
    Ok(())
}

/// 1234567 as `1,234,567`.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(1000), grouped(-1234567)],
            ["0", "999", "1,000", "-1,234,567"]
        );
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([size(17), size(2048), size(3 << 29)], ["17 B", "2.0 KiB", "1.5 GiB"]);
    }
}
