//! `millrace cat` and `millrace files`: what the archive holds.

use std::io::Write;

use millrace_query::Missing;
use millrace_query::cat::{Archive, Which, cat as rebuild, duckdb_sql, incarnations, list_files};
use millrace_query::superseded::Superseded;
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::kafka::read_to_mark;
use millrace_runtime::service::Service;
use millrace_runtime::sink::apply;
use millrace_schemas::manifest::Fold;
use millrace_schemas::topics;

use crate::args::{Cat, Files, FilesFormat};
use crate::output::{Answer, grouped, minute, size, table};
use crate::place;

pub(crate) fn cat(args: &Cat) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let (fold, superseded) = (archive(&service)?, Superseded::now(&service)?.of(&args.tenant));
    let archive =
        Archive { fold: &fold, store: &service.store, superseded: &superseded, partial: args.partial };
    let file = (args.tenant.as_str(), args.host.as_str(), args.file.as_str());
    if args.list {
        let found = incarnations(&archive, file)?;
        println!("{}", serde_json::to_string_pretty(&found.incarnations)?);
        return Ok(if name(&found.missing) { Answer::Yes } else { Answer::No });
    }
    let which = match (&args.id, args.all) {
        (Some(id), _) => Which::One(id),
        (None, true) => Which::All,
        (None, false) => Which::Newest,
    };
    let mut out = std::io::BufWriter::with_capacity(1 << 18, std::io::stdout().lock());
    let written = rebuild(&archive, file, which, &mut out)?;
    out.flush()?;
    let mut whole = name(&written.missing);
    for own in &written.incarnations {
        for warning in &own.warnings {
            whole = false;
            eprintln!(
                "millrace: {}: {}",
                own.file_id.as_deref().unwrap_or("-"),
                serde_json::to_string(warning)?
            );
        }
    }
    Ok(if whole { Answer::Yes } else { Answer::No })
}

/// Names what was left out; whether it is nothing.
fn name(missing: &[Missing]) -> bool {
    for Missing { object, part, rows, from, to, reason, .. } in missing {
        eprintln!("millrace: left out: {rows} lines of {from} to {to}, part {part} of {object}: {reason}");
    }
    missing.is_empty()
}

pub(crate) fn files(args: &Files) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let fold = archive(&service)?;
    let files = list_files(&fold, &service.store, &args.tenant);
    match args.format {
        FilesFormat::Text => {}
        FilesFormat::Json => {
            println!("{}", serde_json::to_string_pretty(&files)?);
            return Ok(Answer::Yes);
        }
        FilesFormat::Sql => {
            println!("{}", duckdb_sql(&files, &Superseded::now(&service)?.of(&args.tenant)));
            return Ok(Answer::Yes);
        }
    }
    let rows = files.iter().map(|file| {
        let kind = if file.plain { "file" } else { "in bundle" };
        vec![
            file.object.clone(),
            kind.to_owned(),
            minute(file.time_from),
            minute(file.time_to),
            grouped(file.rows),
            size(file.size.max(0) as u64),
        ]
    });
    println!("{}", table(&["object", "kind", "from", "to", "rows", "size"], 4, rows));
    Ok(Answer::Yes)
}

/// The archive's manifest as it is now.
pub(crate) fn archive(service: &Service) -> anyhow::Result<Fold> {
    let n_partitions = Admin::open(&service.config.kafka)?.partitions(topics::FILES)?;
    let partitions: Vec<i32> = (0..n_partitions).collect();
    let mut fold = Fold::default();
    read_to_mark(&service.config.kafka, topics::FILES, &partitions, |_, _, key, value| {
        apply(service, &mut fold, key, value)
    })?;
    Ok(fold)
}
