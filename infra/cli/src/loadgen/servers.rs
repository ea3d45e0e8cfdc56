//! `millrace loadgen servers`: writes the access logs of several web servers, byte for byte the same for the same seed.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::time::Instant;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use millrace_loadgen::Servers;
use millrace_runtime::stop::Stop;
use serde_json::json;

use super::args;
use crate::args::Format;
use crate::output::{Answer, grouped, size};

const BUFFER: usize = 1 << 20;

pub(crate) fn run(args: &args::Servers) -> anyhow::Result<Answer> {
    let plan = Servers {
        seed: args.seed,
        start: args.start,
        lines_per_file: args.line_per_file,
        users: args.num_users,
    };
    let n_files = u64::from(Servers::COUNT) * u64::from(args.num_files);
    let n_lines = n_files.checked_mul(args.line_per_file).context("so many lines cannot be counted")?;
    let start = Instant::now();
    let written = if args.dry_run { Some(0) } else { write(args, &plan, n_lines)? };
    let Some(n_bytes) = written else { return Ok(Answer::Unknown) };
    let last = plan.first_time(args.num_files.saturating_add(1)).saturating_sub(1_000_000);
    let seconds = start.elapsed().as_secs_f64();
    match args.format {
        Format::Json => println!(
            "{}",
            json!({
                "output": args.output, "servers": Servers::COUNT, "files": n_files, "lines": n_lines,
                "bytes": n_bytes, "users": args.num_users, "seed": args.seed, "first": time(plan.start),
                "last": time(last), "seconds": seconds, "dry_run": args.dry_run,
            })
        ),
        Format::Text => println!(
            "{} {} lines in {} files of {} servers below {}, {} to {}{}",
            if args.dry_run { "would write" } else { "wrote" },
            grouped(n_lines as i64),
            grouped(n_files as i64),
            Servers::COUNT,
            args.output.display(),
            time(plan.start),
            time(last),
            if args.dry_run { String::new() } else { format!(": {} in {seconds:.1} s", size(n_bytes)) },
        ),
    }
    Ok(Answer::Yes)
}

/// Answers the bytes written; `None` where it was stopped before the end.
fn write(args: &args::Servers, plan: &Servers, n_lines: u64) -> anyhow::Result<Option<u64>> {
    let stop = Stop::on_signals()?;
    let bar = bar(n_lines)?;
    let mut n_bytes = 0;
    let mut buffer = Vec::with_capacity(BUFFER + 4_096);
    for server in 0..Servers::COUNT {
        for number in 1..=args.num_files {
            let path = args.output.join(plan.path(server, number));
            let tried = || format!("could not write {}", path.display());
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).with_context(tried)?;
            }
            // The buffer is ours: what BufWriter adds is only the flush at the end.
            let mut out = BufWriter::with_capacity(0, File::create(&path).with_context(tried)?);
            let mut lines = plan.file(server, number);
            while lines.next_into(&mut buffer) {
                if buffer.len() >= BUFFER {
                    n_bytes += buffer.len() as u64;
                    out.write_all(&buffer).with_context(tried)?;
                    buffer.clear();
                }
            }
            n_bytes += buffer.len() as u64;
            out.write_all(&buffer).with_context(tried)?;
            out.flush().with_context(tried)?;
            buffer.clear();
            bar.inc(args.line_per_file);
            if stop.requested() {
                bar.abandon();
                eprintln!("stopped before the end; run it again with the same seed for the same files");
                return Ok(None);
            }
        }
    }
    bar.finish_and_clear();
    Ok(Some(n_bytes))
}

fn bar(n_lines: u64) -> anyhow::Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = "{bar:40} {human_pos}/{human_len} lines, {per_sec}, {eta} to go";
    Ok(ProgressBar::new(n_lines).with_style(ProgressStyle::with_template(style)?))
}

fn time(micros: i64) -> String {
    let since = std::time::Duration::from_micros(micros.max(0) as u64);
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
}
