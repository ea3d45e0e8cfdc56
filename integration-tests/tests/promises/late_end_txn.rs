//! Late EndTxn: what ends a transaction reaches the broker when the next one is under way. A proxy holds it back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::proxy::{END_TXN, PRODUCE, Proxy, Request, Verdict};
use crate::harness::{Lines, Seed, Source, World, Writer, until};

const SERVICES: [&str; 4] = ["forward-web1", "parse-0", "index-0", "archive-0"];
const PER_SECOND: u64 = 400;
const LINES: u64 = 200_000;
/// Longer than the guard's time-out of a transactional call.
const TIMED_OUT: Duration = Duration::from_secs(11);

/// How far a script is with its victim.
#[derive(Debug, Default)]
struct Scene {
    held: Option<Request>,
    resent: bool,
    next_sent: bool,
    delivered: bool,
}

type Shared = Arc<Mutex<Scene>>;

/// Where the installation stands when a scene begins.
fn flowing(test: &str) -> (World, Proxy, Writer) {
    let (mut world, proxy) = World::behind_proxy(test);
    world.apply_topics();
    let logs = world.forward("web1");
    world.start_all();
    let writer = Writer::start(&logs.join("access.log"), Lines::new("l"), LINES, PER_SECOND);
    world.wait_committed(&SERVICES);
    (world, proxy, writer)
}

fn finish(mut world: World, mut writer: Writer) {
    let n_lines = writer.finish();
    let source = Source::new("web1", &writer.path, n_lines, writer.lines.clone());
    world.assert_whole(&[source], &mut Seed::take("late EndTxn").rng(1));
    world.stop();
}

/// Part of the transactional id of `service`'s loop.
fn transactional_id(world: &World, service: &str) -> String {
    let end = if service == "forward" { "forward-f" } else { &format!("{service}-0-0") };
    format!("{}-{end}", world.prefix)
}

/// Holds the first EndTxn of `id`, treats it as `verdict` says, and notes what comes after.
fn hold_first(proxy: &Proxy, id: String, verdict: Verdict) -> Shared {
    let shared = Shared::default();
    let scene = shared.clone();
    proxy.script(move |request| {
        let mut scene = scene.lock().unwrap();
        if request.api == END_TXN && request.names(&id) {
            if scene.held.is_none() {
                scene.held = Some(request.clone());
                return verdict;
            }
            if scene.next_sent && !scene.delivered {
                // Long enough for the late one to find the transaction open.
                return Verdict::Delay(Duration::from_millis(400));
            }
            scene.resent = true;
        }
        if request.api == PRODUCE && request.names(&id) && scene.held.is_some() {
            scene.next_sent = true;
        }
        Verdict::Pass
    });
    shared
}

/// Waits for the next transaction and delivers the first one's end into it; the broker must refuse it.
fn deliver_late(world: &mut World, proxy: &Proxy, scene: &Shared, service: &str) {
    until(&format!("{service} sends its next transaction"), Duration::from_secs(40), || {
        world.check();
        let scene = scene.lock().unwrap();
        if scene.next_sent { Ok(()) } else { Err(format!("{scene:?}")) }
    });
    let late = scene.lock().unwrap().held.clone().unwrap();
    let code = proxy.deliver_end_txn(&late).unwrap();
    scene.lock().unwrap().delivered = true;
    assert_ne!(
        code, 0,
        "the broker took {service}'s late EndTxn for one of the transaction that is open now"
    );
    println!("{service}: late EndTxn refused with code {code}");
}

fn wait_metric(world: &mut World, service: &str, metric: &str, above: f64) {
    until(&format!("{metric} of {service} rises above {above}"), Duration::from_secs(40), || {
        world.check();
        let value = world.service(service).metric(metric, "");
        if value > above { Ok(()) } else { Err(value.to_string()) }
    });
}

fn service_name(service: &str) -> String {
    if service == "forward" { "forward-web1".to_owned() } else { format!("{service}-0") }
}

#[test]
fn slow_success_does_not_tear_the_next_transaction() {
    let (mut world, proxy, writer) = flowing("late-success");
    for service in ["forward", "parse", "index", "archive"] {
        let name = service_name(service);
        let before = world.service(&name).metric("millrace_producers_remade_total", "");
        let id = transactional_id(&world, service);
        let scene = hold_first(&proxy, id, Verdict::Cut);
        deliver_late(&mut world, &proxy, &scene, service);
        assert!(
            scene.lock().unwrap().resent,
            "librdkafka did not send EndTxn again: the scene did not come about"
        );
        wait_metric(&mut world, &name, "millrace_producers_remade_total", before);
        proxy.pass();
    }
    finish(world, writer);
}

#[test]
fn time_out_of_a_commit_that_never_arrived_is_repeated() {
    let (mut world, proxy, writer) = flowing("late-held");
    for service in ["parse", "forward"] {
        let name = service_name(service);
        let before = world.service(&name).metric("millrace_rejoins_total", "");
        let id = transactional_id(&world, service);
        let scene = hold_first(&proxy, id, Verdict::Hold);
        deliver_late(&mut world, &proxy, &scene, service);
        wait_metric(&mut world, &name, "millrace_rejoins_total", before);
        proxy.pass();
    }
    finish(world, writer);
}

#[test]
fn time_out_of_a_commit_that_took_effect_is_not_repeated() {
    let (mut world, proxy, writer) = flowing("late-answer");
    for service in ["parse", "index", "forward"] {
        let name = service_name(service);
        let before = world.service(&name).metric("millrace_rejoins_total", "");
        let id = transactional_id(&world, service);
        let mut once = true;
        proxy.script(move |request| {
            let first = request.api == END_TXN && request.names(&id) && std::mem::take(&mut once);
            if first { Verdict::AnswerLater(TIMED_OUT) } else { Verdict::Pass }
        });
        wait_metric(&mut world, &name, "millrace_rejoins_total", before);
        proxy.pass();
    }
    finish(world, writer);
}

#[test]
fn slow_broker_makes_progress_without_endless_making_anew() {
    let (mut world, proxy, writer) = flowing("late-slow");
    proxy.script(|request| {
        if request.api == END_TXN { Verdict::Delay(Duration::from_millis(900)) } else { Verdict::Pass }
    });
    let committed = |world: &mut World, name: &str| {
        world.service(name).metric("millrace_transactions_total", "committed")
    };
    let remade =
        |world: &mut World, name: &str| world.service(name).metric("millrace_producers_remade_total", "");
    for name in SERVICES {
        let (committed_before, remade_before) = (committed(&mut world, name), remade(&mut world, name));
        until(&format!("{name} commits on"), Duration::from_secs(60), || {
            world.check();
            let n = committed(&mut world, name) - committed_before;
            if n >= 5.0 { Ok(()) } else { Err(format!("{n} transactions")) }
        });
        // The later number first: what happens in between must not look like too many.
        let n_remade = remade(&mut world, name) - remade_before;
        let n_committed = committed(&mut world, name) - committed_before;
        assert!(n_remade >= 1.0, "{name} took slow commits for sure ones");
        assert!(n_remade <= n_committed + 1.0, "{name}: {n_remade} producers for {n_committed} transactions");
        println!("{name}: {n_remade} producers for {n_committed} transactions");
    }
    proxy.pass();
    finish(world, writer);
}
