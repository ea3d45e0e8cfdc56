//! Batches on their way to a gateway that is slow, away, killed, or of another opinion.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{Gateway, Whim, key_file, now, options, spool, until, uplink, write};
use millrace_spool::{look, retry_parked};
use millrace_uplink::Uplink;

#[test]
fn a_batch_travels_while_its_minute_runs() {
    let this_minute = now();
    let dir = tempfile::tempdir().unwrap();
    let (spool, gateway) = (spool(dir.path()), Gateway::started());
    let uplink = uplink(&spool, &gateway);
    write(&spool, "web", this_minute, &["1", "2"]);
    until("the first lines are there", || gateway.store().all() == ["1", "2"]);
    write(&spool, "web", this_minute, &["3"]);
    until("the next one is there", || gateway.store().all().len() == 3);
    assert!(gateway.store().ended.is_empty() && gateway.store().requests.len() == 1);
    // Another minute begins: the batch ends, and the next one travels.
    write(&spool, "web", this_minute + 1, &["4"]);
    until("the batch is done", || spool.status().done_since_start == 1);
    until("the next one travels", || gateway.store().all().len() == 4);
    let progress = uplink.finish(Duration::from_secs(20));
    assert_eq!((progress.taken, progress.put_off, progress.trouble), (2, 0, None));
    assert_eq!((spool.status().waiting, gateway.store().ended.len()), (0, 2));
}

#[test]
fn overdue_batches_go_many_at_once_and_do_not_keep_the_newest_lines() {
    let this_minute = now();
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut gateway) = (spool(dir.path()), Gateway::new());
    let uplink = uplink(&spool, &gateway);
    for minute in 0..30 {
        write(&spool, "web", minute, &[&format!("{minute:02}")]);
    }
    until("it was tried", || uplink.progress().put_off > 2);
    assert!(uplink.progress().trouble.is_some());
    gateway.store().delay = Duration::from_millis(150);
    gateway.start();
    write(&spool, "web", this_minute, &["now"]);
    until("the newest line is there", || gateway.store().all().contains(&"now".to_owned()));
    assert!(spool.status().waiting > 1, "and overdue ones still wait");
    until("all that is overdue is there", || spool.status().waiting == 1);
    assert_eq!(gateway.store().most_open, 4 + 1);
    drop(uplink);
}

#[test]
fn a_gateway_that_is_killed_again_and_again_has_every_line_once() {
    let this_minute = now();
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut gateway) = (spool(dir.path()), Gateway::started());
    let uplink = uplink(&spool, &gateway);
    let mut wanted = Vec::new();
    for n in 0..400_i64 {
        let line = format!("{n:04} {}", "x".repeat((n as usize * 7_919) % 30_000));
        write(&spool, ["web", "app"][n as usize % 2], this_minute + n / 120, &[&line]);
        wanted.push(line);
        if n % 50 == 49 {
            gateway.kill();
            gateway.start();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    spool.seal();
    until("all is sent", || spool.status().waiting == 0);
    assert!(gateway.store().all() == wanted, "lines differ");
    let counted: u64 = gateway.store().ended.values().sum();
    assert_eq!(counted, 400);
    assert!(uplink.progress().put_off > 0, "no kill was ever met");
}

#[test]
fn a_spool_that_is_opened_again_goes_on() {
    let this_minute = now();
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::started();
    for round in 0..5 {
        let spool = spool(dir.path());
        let uplink = uplink(&spool, &gateway);
        for n in 0..20 {
            write(&spool, "web", this_minute + n / 7, &[&format!("{round}.{n:02}")]);
        }
        // In the middle of a batch, as a kill would.
        drop(uplink);
    }
    let spool = spool(dir.path());
    let uplink = uplink(&spool, &gateway);
    until("all is sent", || spool.status().waiting == 0);
    let wanted: Vec<String> =
        (0..5).flat_map(|round| (0..20).map(move |n| format!("{round}.{n:02}"))).collect();
    assert_eq!(gateway.store().all(), wanted);
    drop(uplink);
}

#[test]
fn a_refused_batch_is_parked_and_blocks_nobody() {
    let this_minute = now();
    let dir = tempfile::tempdir().unwrap();
    let (spool, gateway) = (spool(dir.path()), Gateway::started());
    gateway.store().refused = vec!["bad"];
    let _uplink = uplink(&spool, &gateway);
    for minute in 0..10 {
        write(&spool, "bad", minute, &["bad"]);
        write(&spool, "good", minute, &["good"]);
    }
    write(&spool, "bad", this_minute, &["bad"]);
    until("the good ones are sent", || gateway.store().ended.len() == 10);
    until("the others are parked", || spool.status().parked == 10);
    until("only the one that grows is left", || spool.status().waiting == 1);
    let parked = look(dir.path()).unwrap().parked;
    assert_eq!(parked[0].reason.as_deref(), Some("the gateway answered 400: no such stream"));
    spool.seal();
    until("the last one is parked", || spool.status().parked == 11);

    gateway.store().refused.clear();
    for own in &look(dir.path()).unwrap().parked {
        retry_parked(dir.path(), &own.id).unwrap();
    }
    until("they are sent after all", || gateway.store().ended.len() == 21);
    until("and gone", || spool.status().waiting == 0 && spool.status().parked == 0);
}

#[test]
fn a_batch_that_always_breaks_blocks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, gateway) = (spool(dir.path()), Gateway::started());
    gateway.store().broken = vec!["bad"];
    write(&spool, "bad", 0, &["bad"]);
    (1..30).for_each(|minute| write(&spool, "good", minute, &["good"]));
    spool.seal();
    let mut one = options(gateway.url());
    one.parallel = 1;
    let uplink = Uplink::start(spool.clone(), &one).unwrap();
    until("the good ones are sent", || spool.status().waiting == 1);
    assert!(uplink.progress().put_off > 0 && spool.status().parked == 0);
    gateway.store().broken.clear();
    until("it is sent at last", || spool.status().waiting == 0);
}

#[test]
fn a_wrong_key_parks_nothing_and_a_new_one_is_used_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, gateway) = (spool(&dir.path().join("spool")), Gateway::started());
    gateway.store().key = Some("right");
    let path = dir.path().join("key");
    let options = millrace_uplink::Options { keys: key_file(path.clone()), ..options(gateway.url()) };
    let uplink = Uplink::start(spool.clone(), &options).unwrap();
    write(&spool, "web", 1, &["1"]);
    spool.seal();
    until("the missing file is told", || uplink.progress().trouble.is_some_and(|text| text.contains("key")));
    assert!(gateway.store().requests.is_empty());
    std::fs::write(&path, "wrong\n").unwrap();
    until("the wrong key is told", || uplink.progress().trouble.is_some_and(|text| text.contains("401")));
    std::fs::write(&path, "right\n").unwrap();
    until("the batch is sent", || spool.status().waiting == 0);
    assert_eq!((spool.status().parked, uplink.progress().trouble), (0, None));
}

#[test]
fn try_later_is_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, gateway) = (spool(dir.path()), Gateway::started());
    gateway.store().whims = [Whim::Status(429, Some("2")), Whim::Status(503, Some("1"))].into();
    (0..3).for_each(|minute| write(&spool, "web", minute, &["line"]));
    spool.seal();
    let mut one = options(gateway.url());
    one.parallel = 1;
    let uplink = Uplink::start(spool.clone(), &one).unwrap();
    until("all is sent", || spool.status().waiting == 0);
    let requests = gateway.store().requests.clone();
    assert_eq!(requests.len(), 5);
    assert!(requests[1] - requests[0] >= Duration::from_secs(2));
    assert!(requests[2] - requests[1] >= Duration::from_secs(1));
    assert_eq!(uplink.progress().put_off, 2);
}

#[test]
fn a_gateway_that_says_nothing_is_given_up_after_a_while() {
    let this_minute = now();
    let dir = tempfile::tempdir().unwrap();
    let (spool, gateway) = (spool(dir.path()), Gateway::started());
    gateway.store().whims = [Whim::Silence].into();
    write(&spool, "web", this_minute, &["1"]);
    spool.seal();
    let patience = Duration::from_millis(500);
    let start = Instant::now();
    let _uplink =
        Uplink::start(spool.clone(), &millrace_uplink::Options { patience, ..options(gateway.url()) })
            .unwrap();
    until("the batch is sent", || spool.status().waiting == 0);
    assert!(start.elapsed() > patience && gateway.store().requests.len() == 2);
    // One that grows may say nothing for as long as it likes.
    write(&spool, "web", this_minute + 1, &["2"]);
    std::thread::sleep(3 * patience);
    write(&spool, "web", this_minute + 1, &["3"]);
    until("its lines are there", || gateway.store().all() == ["1", "2", "3"]);
    assert_eq!(gateway.store().requests.len(), 3);
}
