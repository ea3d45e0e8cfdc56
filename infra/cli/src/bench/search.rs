//! Searches over ten million events, indexed by the index service from `logs.parsed`.

use std::time::{Duration, Instant};

use millrace_runtime::kafka::PlainProducer;
use millrace_schemas::topics;

use super::fleet::Fleet;
use super::pure::events_from;
use super::site::Site;
use super::{Measured, Target, p99};

const EVENTS: usize = 10_000_000;
/// Events made at once.
const CHUNK: usize = 50_000;
/// Rounds of all queries; the first few only warm the caches.
const ROUNDS: usize = 60;
const WARM: usize = 10;

/// Term, phrase, boolean, prefix: each finds some per cent of the lines.
const SOME: [&str; 4] =
    ["status:500", "\"GET /cart\"", "status:404 AND method:POST", "path:/cart* AND status:200"];

pub(super) fn run() -> anyhow::Result<Vec<Measured>> {
    let site = Site::start("search")?;
    let mut fleet = Fleet::start(&site, &["query", "index"])?;
    let mut producer = PlainProducer::open(&fleet.service.config.kafka)?;
    for first in (0..EVENTS).step_by(CHUNK) {
        let partition = (first / CHUNK % 4) as i32;
        for value in events_from(&fleet.service.codecs, first, CHUNK, partition) {
            producer.send(topics::PARSED, Some(partition), b"default/web-1", Some(&value))?;
        }
        fleet.check()?;
    }
    producer.flush()?;
    let start = Instant::now();
    while fleet.count("")? < EVENTS as u64 {
        fleet.check()?;
        anyhow::ensure!(start.elapsed() < Duration::from_secs(900), "not all indexed after 900 s");
        std::thread::sleep(Duration::from_millis(500));
    }
    let hits = SOME.iter().map(|query| fleet.count(query)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut took: Vec<Vec<f64>> = SOME.map(|_| Vec::new()).into();
    // In turns, as people and dashboards ask.
    for round in 0..ROUNDS {
        for (text, took) in SOME.iter().zip(&mut took) {
            let own = ask(&fleet, text, false)?;
            took.extend((round >= WARM).then_some(own));
        }
    }
    let each = took.iter().map(|own| p99(own.clone())).collect::<anyhow::Result<Vec<_>>>()?;
    let some = p99(took.concat())?;
    let again = (0..ROUNDS).flat_map(|_| SOME).map(|text| ask(&fleet, text, true));
    let again = p99(again.skip(WARM * SOME.len()).collect::<anyhow::Result<Vec<_>>>()?)?;
    let all = (0..ROUNDS).map(|_| ask(&fleet, "", false)).collect::<anyhow::Result<Vec<_>>>()?;
    let all = p99(all[WARM..].into())?;
    let found = hits.iter().zip(each).map(|(hits, own)| format!("{:.1} M in {own:.0}", *hits as f64 / 1e6));
    let found = found.collect::<Vec<_>>().join(", ");
    Ok(vec![
        Measured::new("search_term_p99", some, "ms", Some(Target::Below(100.0))).note(format!(
            "{} M events, term, phrase, boolean, prefix over HTTP; hits and ms of each: {found}",
            EVENTS / 1_000_000
        )),
        Measured::new("search_again_p99", again, "ms", None)
            .note("the same, with counts of splits remembered".to_owned()),
        Measured::new("search_all_p99", all, "ms", Some(Target::Below(400.0)))
            .note("the newest of all of them".to_owned()),
    ])
}

/// How long one search takes, ms.
fn ask(fleet: &Fleet, text: &str, cache: bool) -> anyhow::Result<f64> {
    let start = Instant::now();
    fleet
        .asker
        .ask(&[("q", text.to_owned()), ("limit", "20".to_owned()), ("cache", cache.to_string())], None)?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}
