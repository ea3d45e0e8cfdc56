//! `millrace parse`: sources read from their files, tried on lines, tested by their examples, proposed.
//!
//! Needs no broker and no configuration. What is wrong in a file is named with file and path.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use millrace_admin::parse::{MOST_LINES, of_format, one_of, proposed, tried};
use millrace_jobs::parse::source::rfc3339_text as time;
use millrace_jobs::parse::suggest::suggest;
use millrace_jobs::parse::{Format as LineFormat, Found, Source, Stopped};
use millrace_runtime::config::{ConfigError, ParseConfig};
use millrace_schemas::Value;

use crate::args::{Format, ParseTool};
use crate::output::{Answer, chain};

pub(crate) fn run(tool: &ParseTool) -> anyhow::Result<Answer> {
    match tool {
        ParseTool::Try { source, name, format } => try_lines(source, name.as_deref(), *format),
        ParseTool::Test { files } => test(files),
        ParseTool::Suggest => propose(),
    }
}

/// The sources that a configuration names. All faults at once, with their paths: what a file says is checked before
/// anything starts.
pub(crate) fn load(
    config: &ParseConfig,
    config_file: Option<&Path>,
) -> Result<Vec<Arc<Source>>, ConfigError> {
    let mut all: Vec<Arc<Source>> = Vec::new();
    let mut faults = Vec::new();
    for (at, file) in config.sources.iter().enumerate() {
        let own = match sources(file) {
            Ok(own) => own,
            Err(error) => {
                faults.push(format!("parse.sources[{at}]: {}", chain(&error)));
                continue;
            }
        };
        for source in own {
            let shown = format!("parse.sources[{at}]: {} in {}", source.name(), file.display());
            if LineFormat::named(source.name()).is_some() {
                faults.push(format!("{shown}: is the name of a format, and events bear it as their parser"));
            }
            if let Some(other) = all.iter().find(|other| other.name() == source.name()) {
                faults.push(format!("{shown}: there is a source {} in another file", other.name()));
            }
            for stream in source.streams() {
                if let Some(other) = all.iter().find(|other| other.streams().contains(stream)) {
                    faults.push(format!("{shown}: its stream {stream} is read by {}", other.name()));
                }
                if config.streams.iter().any(|(named, _)| named == stream) {
                    faults.push(format!("{shown}: its stream {stream} has a format in parse.streams"));
                }
            }
            all.push(Arc::new(source));
        }
    }
    if faults.is_empty() {
        return Ok(all);
    }
    let file = config_file.map_or("defaults".to_owned(), |file| file.display().to_string());
    Err(ConfigError { file, faults })
}

fn sources(file: &Path) -> anyhow::Result<Vec<Source>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("could not read the sources in {}", file.display()))?;
    Source::list(&text, |folder| patterns(file, folder)).with_context(|| format!("in {}", file.display()))
}

/// Patterns of a folder that `file` names; named relatively it lies beside the file.
pub(crate) fn patterns(file: &Path, folder: &str) -> Result<Vec<String>, String> {
    let beside = file.parent().unwrap_or(Path::new(""));
    texts(&beside.join(folder)).map_err(|error| format!("could not read the patterns in {folder}: {error}"))
}

/// Texts of the files in a folder, in the order of their names: a later pattern takes the place of one of the same name.
fn texts(folder: &Path) -> std::io::Result<Vec<String>> {
    let entries: Result<Vec<_>, _> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths: Vec<PathBuf> = entries?.into_iter().filter(|path| path.is_file()).collect();
    paths.sort();
    paths.iter().map(std::fs::read_to_string).collect()
}

fn chosen(source: &str, name: Option<&str>) -> anyhow::Result<Source> {
    if let Some(own) = of_format(source) {
        return Ok(own);
    }
    one_of(sources(Path::new(source))?, name)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("in {source}"))
}

fn try_lines(source: &str, name: Option<&str>, format: Format) -> anyhow::Result<Answer> {
    let source = chosen(source, name)?;
    let received = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros() as i64;
    let mut out = std::io::stdout().lock();
    let mut answer = Answer::Yes;
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line.context("could not read standard input")?;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        let read = source.read(line, received);
        if read.is_err() {
            answer = Answer::No;
        }
        match (format, read) {
            (Format::Json, read) => writeln!(out, "{}", tried(line, &read))?,
            (Format::Text, Ok(found)) => show(&mut out, line, &found)?,
            (Format::Text, Err(stopped)) => refuse(&mut out, line, &stopped)?,
        }
    }
    Ok(answer)
}

fn show(out: &mut impl Write, line: &str, found: &Found<'_>) -> std::io::Result<()> {
    writeln!(out, "{line}")?;
    writeln!(out, "  time      {}", found.time.map_or_else(|| "none: the receipt counts".to_owned(), time))?;
    for (name, text) in [("severity", &found.severity), ("user", &found.user), ("message", &found.message)] {
        if let Some(text) = text {
            writeln!(out, "  {name:<9} {text}")?;
        }
    }
    for (name, value) in &found.fields.0 {
        let (kind, text) = match value {
            Value::String(text) => ("string", text.to_string()),
            Value::Long(number) => ("long", number.to_string()),
            Value::Double(number) => ("double", number.to_string()),
            Value::Boolean(truth) => ("boolean", truth.to_string()),
        };
        writeln!(out, "  . {name} = {text}  ({kind})")?;
    }
    Ok(())
}

/// The line, a mark below the place where it stops fitting, and what should stand there.
fn refuse(out: &mut impl Write, line: &str, stopped: &Stopped) -> std::io::Result<()> {
    let at = line.floor_char_boundary(stopped.at);
    let before = line[..at].chars().count();
    writeln!(out, "{line}\n{}^ byte {}: expected {}", " ".repeat(before), stopped.at, stopped.expected)
}

fn test(files: &[PathBuf]) -> anyhow::Result<Answer> {
    let (mut passed, mut failed) = (0, 0);
    for source in files.iter().map(|file| sources(file)).collect::<Result<Vec<_>, _>>()?.iter().flatten() {
        for example in source.examples() {
            match example.check(source) {
                Ok(()) => passed += 1,
                Err(failure) => {
                    failed += 1;
                    println!("{}: {failure}", source.name());
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(match (passed, failed) {
        (0, 0) => Answer::Unknown,
        (_, 0) => Answer::Yes,
        _ => Answer::No,
    })
}

fn propose() -> anyhow::Result<Answer> {
    let lines: Vec<Vec<u8>> =
        std::io::stdin().lock().split(b'\n').take(MOST_LINES).collect::<Result<_, _>>()?;
    let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end_matches('\r')).collect();
    let Some(found) = suggest(&lines) else {
        println!("there are no lines to look at");
        return Ok(Answer::Unknown);
    };
    print!("{}", proposed(&found));
    Ok(if found.read * 2 >= found.of { Answer::Yes } else { Answer::No })
}
