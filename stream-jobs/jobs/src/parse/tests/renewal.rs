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

    job.renew(vec![shop(2, "b")], &Bound::new(), 7);
    let second = planned(&job, 41, &table, None);
    assert_eq!(parsers(&second), ["shop/2"]);
    let while_it_commits = planned(&job, 42, &table, Some(second.writes()));
    assert!(while_it_commits.writes().is_empty(), "the batch in flight has said it");
    // It did not commit: what is read again is read by what is known now, and leaves no other trace.
    job.renew(vec![shop(3, "b")], &Bound::new(), 9);
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

#[test]
fn a_bound_stream_of_one_tenant_is_read_before_all_others_of_its_name() {
    let logfmt = Source::list("[[source]]\nname = \"own\"\nsteps = [\"logfmt\"]", |_| Ok(vec![]));
    let sources = vec![shop(1, "b"), Arc::new(logfmt.unwrap().remove(0))];
    let bind =
        |tenant: &str, stream: &str, name: &str| ((tenant.to_owned(), stream.to_owned()), name.to_owned());
    let values = ["acme", "default", "other"].map(|tenant| framed(&RawEvent { tenant, ..line(b"b=x") }));
    let read = |job: &Parse| parsers(&plan(job, &batch(&values, 40), &Table::default(), None));
    let mut job = job(Format::Auto);
    for (bound, expected) in [
        (vec![], ["shop/1", "shop/1", "shop/1"]),
        (vec![bind("acme", "web", "own")], ["own/1", "shop/1", "shop/1"]),
        (vec![bind("acme", "web", "logfmt"), bind("other", "web", "own")], ["logfmt/6", "shop/1", "own/1"]),
        (vec![bind("acme", "other", "own"), bind("other", "web", "gone")], ["shop/1", "shop/1", "shop/1"]),
    ] {
        job.renew(sources.clone(), &bound.into_iter().collect(), 7);
        assert_eq!(read(&job), expected);
    }
}

#[test]
fn a_binding_is_taken_up_like_a_source() {
    let mut job = job(Format::Auto).with_sources(vec![shop(1, "b")]);
    let mut table = Table::default();
    assert_eq!(parsers(&planned(&job, 40, &table, None)), ["shop/1"]);
    job.renew(vec![shop(1, "b")], &Bound::from([(("default".into(), "web".into()), "logfmt".into())]), 7);
    let bound = planned(&job, 41, &table, None);
    assert_eq!((parsers(&bound), bound.writes().is_empty()), (vec!["logfmt/6".to_owned()], false));
    table.merge(bound.writes().clone());
    assert_eq!(least_sources(&table), 7, "who reads on knows it, too");
}
