//! `millrace ledger`: is this all of it?

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_schemas::dead::SENT_AGAIN;
use millrace_schemas::ledger::{Book, Report, edge, minute_of, stage};

use crate::args::{Format, Ledger};
pub(crate) use crate::books::Books;
use crate::output::{Answer, grouped, minute, table};
use crate::place;

pub(crate) fn run(args: &Ledger) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let since = match &args.since {
        Some(text) => {
            let from = SystemTime::now() - place::duration(text)?;
            minute_of(from.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64)
        }
        None => i64::MIN,
    };
    let wait = args.wait.as_deref().map(place::duration).transpose()?;
    let start = Instant::now();
    let mut books = Books::open(&service, since)?;
    let report = loop {
        let report = books.report(&service)?;
        let waited = wait.is_none_or(|wait| start.elapsed() >= wait);
        if report.in_flight == 0 || waited || !report.faults.is_empty() {
            break report;
        }
        std::thread::sleep(Duration::from_millis(300));
    };
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&json(&books.book, &report))?),
        Format::Text => print(&books.book, &report),
    }
    Ok(match (report.faults.is_empty(), report.in_flight) {
        (false, _) => Answer::No,
        (true, 0) => Answer::Yes,
        (true, _) if wait.is_some() => Answer::Unknown,
        (true, _) => Answer::Yes,
    })
}

fn print(book: &Book, report: &Report) {
    let mut columns = vec![
        (stage::FORWARD, edge::OUT),
        (stage::GATEWAY, edge::OUT),
        (stage::PARSE, edge::IN),
        (stage::PARSE, edge::OUT),
        (stage::PARSE, edge::DEAD),
        (stage::INDEX, edge::IN),
        (stage::INDEX, edge::DEAD),
        (stage::ARCHIVE, edge::IN),
        (stage::ARCHIVE, edge::DEAD),
    ];
    // Seldom: only where somebody else wrote to our topics.
    if book.total(stage::ARCHIVE, edge::FOREIGN).0 > 0 {
        columns.extend([
            (stage::ARCHIVE, edge::FOREIGN),
            (stage::INDEX, edge::LETTER),
            (stage::ARCHIVE, edge::LETTER),
        ]);
    }
    let has = |generation: i32| book.cells().any(|((own, ..), _)| *own == generation);
    if has(SENT_AGAIN) {
        columns.insert(2, (stage::REDRIVE, edge::OUT));
        columns.push((stage::PARSE, edge::DUPLICATE));
    }
    let mut headers = vec!["tenant".to_owned(), "stream".to_owned(), "minute".to_owned()];
    headers.extend(columns.iter().map(|(stage, edge)| format!("{stage}.{edge}")));
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let rows = book.cells().map(|((generation, tenant, stream, at), edges)| {
        let again = if *generation == SENT_AGAIN { " (sent again)" } else { "" };
        let mut row = vec![tenant.clone(), format!("{stream}{again}"), minute(*at)];
        row.extend(columns.iter().map(|(stage, edge)| {
            let total = edges.get(&((*stage).to_owned(), (*edge).to_owned()));
            total.map_or("0".to_owned(), |total| grouped(total.count))
        }));
        row
    });
    println!("{}", table(&headers, 3, rows));
    for fault in &report.faults {
        println!(
            "off: {} for tenant {} stream {} minute {}: {} against {} ({:+}){}",
            fault.check,
            fault.tenant,
            fault.stream,
            minute(fault.minute),
            grouped(fault.upstream),
            grouped(fault.downstream),
            fault.downstream - fault.upstream,
            if fault.upstream == fault.downstream { ", the lines themselves differ" } else { "" },
        );
    }
    println!("{}", verdict(report));
    let dead = book.total(stage::PARSE, edge::DEAD).0;
    if dead > 0 {
        println!("debt: {} lines are dead and not repaired, see `millrace dlq count`", grouped(book.debt()));
    }
}

/// One line that says it.
pub(crate) fn verdict(report: &Report) -> String {
    let flight = match report.in_flight {
        0 => String::new(),
        _ => format!(", {} records in flight", grouped(report.in_flight_records)),
    };
    if report.faults.is_empty() {
        format!("balanced: {} checks equal in count, bytes and hash{flight}", report.balanced)
    } else {
        format!("off: {} of {} checks{flight}", report.faults.len(), report.faults.len() + report.balanced)
    }
}

fn json(book: &Book, report: &Report) -> serde_json::Value {
    let minutes: Vec<_> = book
        .cells()
        .map(|((generation, tenant, stream, at), edges)| {
            let counts: serde_json::Map<_, _> = edges
                .iter()
                .map(|((stage, edge), total)| {
                    let hash = format!("{:032x}", total.hash.0);
                    let value = serde_json::json!({ "count": total.count, "bytes": total.bytes, "hash": hash });
                    (format!("{stage}.{edge}"), value)
                })
                .collect();
            serde_json::json!({ "generation": generation, "tenant": tenant, "stream": stream, "minute": minute(*at), "edges": counts })
        })
        .collect();
    let faults: Vec<_> = report
        .faults
        .iter()
        .map(|fault| {
            serde_json::json!({
                "check": fault.check, "tenant": fault.tenant, "stream": fault.stream, "minute": minute(fault.minute),
                "upstream": fault.upstream, "downstream": fault.downstream,
            })
        })
        .collect();
    serde_json::json!({
        "balanced": report.faults.is_empty(), "debt": book.debt(), "checks_equal": report.balanced, "in_flight": report.in_flight,
        "in_flight_records": report.in_flight_records, "faults": faults, "minutes": minutes,
    })
}
