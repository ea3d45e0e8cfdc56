//! Sources that change between two batches (I3).

use std::sync::Arc;

use super::*;
use crate::table::Writes;

fn shop(version: i32, word: &str) -> Arc<Source> {
    let file = format!(
        "[[source]]\nname = \"shop\"\nversion = {version}\nstreams = [\"web\"]\n\
         steps = [{{ regex = {{ pattern = '^{word}=(?<word>.*)' }} }}]\n"
    );
    Arc::new(Source::list(&file, |_| Ok(Vec::new())).unwrap().remove(0))
}

fn planned(job: &Parse, offset: i64, table: &Table, in_flight: Option<&Writes>) -> Plan {
    plan(job, &batch(&[framed(&line(b"b=x"))], offset), table, in_flight)
}

fn parsers(plan: &Plan) -> Vec<String> {
    let events = plan.outputs().map(|output| {
        let event: Event<'_> = event_codec().decode(output.value).unwrap();
        format!("{}/{}", event.parser.id, event.parser.version)
    });
    let dead = plan.dead().map(|dead| format!("!{}/{}", dead.letter.parser, dead.letter.parser_version));
    events.chain(dead).collect()
}

#[test]
fn the_first_batch_by_other_sources_says_so_once() {
    let mut job = job(Format::Auto).with_sources(vec![shop(1, "a")]);
    let mut table = Table::default();
    let first = planned(&job, 40, &table, None);
    assert_eq!((parsers(&first), least_sources(&table)), (vec!["!shop/1".to_owned()], 0));
    table.merge(first.writes().clone());
    assert_eq!(least_sources(&table), 0, "files alone have no place");

    job.renew(vec![shop(2, "b")], 7);
    let second = planned(&job, 41, &table, None);
    assert_eq!(parsers(&second), ["shop/2"]);
    let while_it_commits = planned(&job, 42, &table, Some(second.writes()));
    assert!(while_it_commits.writes().is_empty(), "the batch in flight has said it");
    // It did not commit: what is read again is read by what is known now, and leaves no other trace.
    job.renew(vec![shop(3, "b")], 9);
    let again = planned(&job, 41, &table, None);
    assert_eq!(parsers(&again), ["shop/3"]);
    table.merge(again.writes().clone());
    assert_eq!(least_sources(&table), 9);
    assert!(planned(&job, 42, &table, None).writes().is_empty());
}

#[test]
fn the_later_of_two_sources_reads_a_stream() {
    let other =
        Source::list("[[source]]\nname = \"other\"\nstreams = [\"web\"]\nsteps = [\"logfmt\"]", |_| {
            Ok(vec![])
        });
    let job = job(Format::Auto).with_sources(vec![shop(1, "b"), Arc::new(other.unwrap().remove(0))]);
    assert_eq!(parsers(&planned(&job, 40, &Table::default(), None)), ["other/1"]);
}
