//! The admin API: what it makes holds within seconds, what it takes away does not; nobody without the right key gets
//! anywhere; a kill leaves all of a change or nothing; and the examples of docs/admin.md do what they say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use millrace_kafka_local::free_port;
use millrace_schemas::Event;
use rand::Rng;
use rdkafka::message::Message;
use serde_json::{Value, json};

use crate::harness::spawn::{mortal, spawn};
use crate::harness::{Seed, World, http, until};

pub(crate) const FIRST: &str = "the-first-key-of-this-installation";
const LONG: Duration = Duration::from_secs(60);

/// Topics, a first key, a query service and a gateway; gives the gateway's port.
pub(crate) fn installation(world: &mut World) -> u16 {
    world.apply_topics();
    fs::create_dir_all(world.dir.join("data")).unwrap();
    fs::write(world.dir.join("data/admin.key"), format!("{FIRST}\n")).unwrap();
    let port = free_port().unwrap();
    world.set("gateway", "listen", format!("127.0.0.1:{port}"));
    world.set("gateway", "anonymous", "default");
    world.start("query", 0).wait_ready();
    world.start("gateway", 0).wait_ready();
    port
}

/// Asks as whoever has a key.
#[derive(Clone, Copy)]
struct Client<'a> {
    port: u16,
    key: &'a str,
}

impl Client<'_> {
    fn ask(self, request: &str, media_type: &str, body: &str) -> (u16, Value) {
        let (method, path) = request.split_once(' ').unwrap();
        let bearer = format!("Bearer {}", self.key);
        let headers = [("authorization", bearer.as_str()), ("content-type", media_type)];
        let headers = if self.key.is_empty() { &headers[1..] } else { &headers[..] };
        let target = format!("/api/v1/admin/{path}");
        let (status, body) = http::ask(self.port, method, &target, headers, body.as_bytes()).unwrap();
        let body = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{request}: {error}: {body:?}"));
        (status, body)
    }

    fn json(self, request: &str, body: &Value) -> (u16, Value) {
        self.ask(request, "application/json", &body.to_string())
    }

    fn get(self, path: &str) -> (u16, Value) {
        self.ask(&format!("GET {path}"), "text/plain", "")
    }

    fn put(self, version: u32, source: &str) -> (u16, Value) {
        self.ask("PUT sources/shop", "application/toml", &shop(version, source))
    }

    fn make_key(self, tenant: &str, role: &str) -> (String, String) {
        let (status, made) = self.json("POST keys", &json!({"tenant": tenant, "roles": [role]}));
        assert_eq!(status, 201, "{made}");
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    }
}

fn becomes(wanted: u16, what: &str, ask: impl Fn() -> u16) {
    until(&format!("{what} is answered {wanted}"), LONG, || match ask() {
        status if status == wanted => Ok(()),
        status => Err(status.to_string()),
    });
}

fn post(port: u16, key: &str, body: &str) -> u16 {
    let bearer = format!("Bearer {key}");
    http::post(port, "/v1/logs/shop-web?host=h", &[("authorization", &bearer)], body.as_bytes()).unwrap().0
}

#[test]
fn the_examples_of_the_docs_run() {
    let mut world = World::new("admin-docs");
    let port = installation(&mut world);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/admin.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<&str> = blocks.collect();
    assert!(blocks.len() >= 6, "only {} examples", blocks.len());
    let script = blocks.concat().replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
    let script = script.replace("millrace-data", "data");
    let script = format!("set -eu\ncurl() {{ command curl --fail-with-body -sS \"$@\"; echo; }}\n{script}");
    let mut command = mortal(Path::new("sh"));
    command.args(["-c", &script]).current_dir(&world.dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = spawn(command).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for wanted in [
        r#""roles":"ingest","streams":"any","state":"revoked""#,
        r#""events_per_second":20000"#,
        r#""dry_run":true"#,
        r#""name":"shop","version":1"#,
        r#""read":1,"of":2"#,
        r#""passed":1,"failed":0"#,
        r#"name = \"suggested\""#,
    ] {
        assert!(said.contains(wanted), "{wanted} is not in\n{said}");
    }
    let made = fs::read_to_string(world.dir.join("made.json")).unwrap();
    assert!(made.contains("\"mk_"), "{made}");
    world.stop();
}

#[test]
fn a_tenant_is_made_bounded_and_shut_out_within_seconds() {
    let mut world = World::new("admin-access");
    let port = installation(&mut world);
    let (first, query_port) = (Client { port, key: FIRST }, world.query_port);
    let as_key = |key| Client { port, key };
    // Nothing is written by a dry run.
    assert_eq!(first.json("POST tenants?dry_run=true", &json!({"id": "acme"})).1["dry_run"], true);
    assert_eq!(first.get("tenants").1.as_array().unwrap().len(), 1);
    for id in ["acme", "other"] {
        assert_eq!(first.json("POST tenants", &json!({"id": id})).0, 201);
    }
    assert_eq!(first.json("POST tenants", &json!({"id": "acme"})).0, 409);
    assert_eq!(first.json("POST tenants", &json!({"id": "A B"})).0, 422);
    assert_eq!(first.json("POST keys", &json!({"tenant": "nobody", "roles": ["read"]})).0, 404);
    let (id, ingest) = first.make_key("acme", "ingest");
    becomes(200, "a line with a new key", || post(port, &ingest, "order=a"));
    let lines = world.log().raw();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.key == b"acme/h"), "{lines:?}");

    // A tenant's admin is nobody elsewhere.
    let (_, admin) = first.make_key("acme", "admin");
    let (other_id, other) = first.make_key("other", "read");
    becomes(200, "the tenant's admin", || as_key(&admin).get("tenants").0);
    becomes(403, "who may only read", || as_key(&other).get("tenants").0);
    for own in [as_key(&admin), Client { port: query_port, key: &admin }] {
        assert_eq!(Client { key: &ingest, ..own }.get("keys").0, 403);
        assert_eq!(own.get("tenants").1[0]["id"], "acme");
        let tenants: BTreeSet<String> =
            own.get("keys").1.as_array().unwrap().iter().map(|row| row["tenant"].to_string()).collect();
        assert_eq!(tenants, BTreeSet::from(["\"acme\"".to_owned()]));
        assert_eq!(
            own.ask(&format!("DELETE keys/{other_id}"), "text/plain", "").0,
            404,
            "as if it were not there"
        );
        for (status, request, body) in [
            (403, "GET tenants/other/quota", json!(null)),
            (403, "PUT tenants/acme/quota", json!({"max_streams": 1_000})),
            (403, "POST tenants", json!({"id": "more"})),
            (403, "POST keys", json!({"tenant": "other", "roles": ["read"]})),
            (403, "GET sources", json!(null)),
            (200, "GET tenants/acme/quota", json!(null)),
        ] {
            assert_eq!(own.json(request, &body).0, status, "{request}");
        }
    }
    let (_, made) = as_key(&admin).json("POST keys", &json!({"roles": ["ingest"]}));
    let made = made["key"].as_str().unwrap();
    becomes(200, "a key that the tenant's admin made", || post(port, made, "order=b"));

    let bounds = json!({"events_per_second": 1, "burst_events": 1});
    assert_eq!(first.json("PUT tenants/acme/quota", &bounds).0, 200);
    becomes(429, "who is over the quota", || post(port, &ingest, "order=c\norder=d"));
    // Streams of its own: made, changed by version, taken away, and nobody else's.
    let own = as_key(&admin);
    let stream = |tenant: &str| format!("PUT tenants/{tenant}/streams/web");
    assert_eq!(own.json(&stream("acme"), &json!({"source": "gone"})).0, 422);
    assert_eq!(own.json(&stream("other"), &json!({})).0, 403);
    assert_eq!(own.json(&stream("acme"), &json!({"source": "json"})).0, 201);
    let shown = own.get("tenants/acme/streams/web").1;
    assert_eq!(own.json(&stream("acme"), &shown).0, 200, "what is shown can be sent back");
    let changed = |version: &Value| {
        let (bearer, version) = (format!("Bearer {admin}"), format!("\"{version}\""));
        let headers = [("authorization", bearer.as_str()), ("if-match", version.as_str())];
        http::ask(port, "PUT", "/api/v1/admin/tenants/acme/streams/web", &headers, b"{}").unwrap().0
    };
    assert_eq!((changed(&json!(7)), changed(&shown["set"]), changed(&shown["set"])), (412, 200, 200));
    assert_eq!(own.get("tenants/acme/streams").1[0]["read_by"], json!(null));
    assert_eq!(first.get("tenants/other/streams").1, json!([]));
    let remove = || own.ask("DELETE tenants/acme/streams/web", "text/plain", "").0;
    assert_eq!((remove(), remove()), (200, 404));
    let quota = first.get("tenants/acme/quota").1;
    assert_eq!((&quota["events_per_second"], &quota["max_streams"]), (&json!(1), &json!(null)));
    assert_eq!(first.ask("DELETE tenants/acme/quota", "text/plain", "").0, 200);
    becomes(200, "who has no quota", || post(port, &ingest, &"order=e\n".repeat(30)));

    assert_eq!(first.ask(&format!("DELETE keys/{id}"), "text/plain", "").1["state"], "revoked");
    becomes(401, "a revoked key", || post(port, &ingest, "order=f"));
    assert_eq!(post(port, made, "order=g"), 200, "the other one still opens");
    assert_eq!(first.ask("POST tenants", "application/json", &"x".repeat((1 << 20) + 1)).0, 413);

    // Last, since whoever tries keys is answered ever later.
    for port in [port, query_port] {
        for key in ["", "geheim", "mk_0_0"] {
            assert_eq!(Client { port, key }.get("tenants").0, 401, "{key:?} at {port}");
        }
    }

    let log = world.service("query-0").log();
    for action in ["create_tenant", "create_key", "set_quota", "clear_quota", "revoke_key"] {
        let is = |line: &str| line.contains("admin write") && line.contains(action);
        assert!(log.lines().any(is), "{action} is not in the log:\n{log}");
    }
    assert!(!log.contains(ingest.rsplit('_').next().unwrap()), "a secret is in the log");
    let counted = world.service("query-0").metric("millrace_admin_requests_total", "create_tenant");
    assert!(counted >= 5.0, "{counted}");
    world.stop();
}

fn shop(version: u32, example: &str) -> String {
    format!(
        "[[source]]\nname = \"shop\"\nversion = {version}\nstreams = [\"shop-web\"]\n\
         steps = [{{ grok = {{ match = '^order=%{{WORD:order{version}}}$' }} }}]\n\
         [[source.example]]\nline = 'order=a'\nexpect = {{ order{version} = \"{example}\" }}\n"
    )
}

/// Sends lines until one is read by this version of the source.
fn wait_read_by(world: &World, port: u16, version: i32) {
    until(&format!("version {version} reads"), LONG, || {
        assert_eq!(post(port, FIRST, "order=a"), 200);
        let (log, mut seen) = (world.log(), false);
        log.read("logs.parsed", "read_committed", |message| {
            let event: Event<'_> = log.codecs().parsed().decode(message.payload().unwrap()).unwrap();
            let has = event.fields.0.iter().any(|(name, _)| *name == format!("order{version}"));
            seen |= (event.parser.id, event.parser.version) == ("shop", version) && has;
        });
        if seen { Ok(()) } else { Err("no event by it") }
    });
}

#[test]
fn a_source_is_tried_set_and_taken_up() {
    let mut world = World::new("admin-sources");
    let port = installation(&mut world);
    world.start("parse", 0);
    let first = Client { port, key: FIRST };
    let text = |request: &str, body: &str| first.ask(request, "application/toml", body);

    assert_eq!(text("POST parse/test", &shop(1, "b")).1["failures"][0]["source"], "shop");
    let (status, refused) = first.put(1, "b");
    assert!(status == 422 && refused["error"].to_string().contains("order1 is"), "{refused}");
    let (status, wrong) = text("PUT sources/shop", "[[source]]\nname = 1\n");
    assert!(status == 422 && wrong["error"].to_string().contains("name"), "{wrong}");
    assert_eq!(text("PUT sources/other", &shop(1, "a")).0, 422, "it has another name");
    let folder = shop(1, "a") + "\n[[source]]\nname = \"p\"\npatterns_dir = \"/etc\"\nsteps = [\"json\"]\n";
    assert!(text("POST parse/test", &folder).1["error"].to_string().contains("names a folder"));
    assert_eq!(first.get("sources").1, json!([]), "nothing was set");

    assert_eq!(first.put(1, "a").0, 201);
    assert_eq!(first.put(1, "a").0, 200, "again");
    wait_read_by(&world, port, 1);
    let (status, again) = text("PUT sources/shop", &(shop(1, "a") + "# other\n"));
    assert!(status == 422 && again["error"].to_string().contains("raise it"), "{again}");
    let expecting = |version: &str, number: u32| {
        let bearer = format!("Bearer {FIRST}");
        let headers = [("authorization", bearer.as_str()), ("if-match", version)];
        http::ask(port, "PUT", "/api/v1/admin/sources/shop", &headers, shop(number, "a").as_bytes())
            .unwrap()
            .0
    };
    assert_eq!((expecting("\"7\"", 2), expecting("\"1\"", 2)), (412, 201));
    wait_read_by(&world, port, 2);

    let tried = text("POST parse/try?source=shop", "order=x\nnothing\n").1;
    assert_eq!(
        (&tried["lines"][0]["fields"]["order2"], &tried["lines"][1]["reason"]),
        (&json!("x"), &json!("no_match"))
    );
    let beside = first.json("POST parse/try", &json!({"toml": shop(3, "a"), "lines": ["order=y"]})).1;
    assert_eq!(beside["lines"][0]["fields"]["order3"], "y");

    // The command line sees and does the same.
    let shown = world.cli_ok(&["source", "show", "shop"]);
    assert_eq!(String::from_utf8_lossy(&shown).trim_end(), shop(2, "a").trim_end());
    let shown: Value =
        serde_json::from_slice(&world.cli_ok(&["source", "show", "shop", "--format", "json"])).unwrap();
    assert_eq!((first.get("sources/shop").1, &shown["version"]), (shown.clone(), &json!(2)));
    assert_eq!(first.json("PUT sources/shop", &shown).0, 200, "what is shown can be sent back");
    world.cli_ok(&["source", "rm", "shop"]);
    for command in ["rm", "show"] {
        assert_eq!(world.cli(&["source", command, "shop"]).status.code(), Some(1), "{command}");
    }
    assert_eq!((first.get("sources/shop").0, text("DELETE sources/shop", "").0), (404, 404));
    assert_eq!(first.put(1, "a").0, 201, "what was removed counts no more");
    world.stop();
}

#[test]
fn writers_at_once_lose_nothing_that_was_acknowledged() {
    const EACH: usize = 6;
    let mut world = World::new("admin-writers");
    let port = installation(&mut world);
    let first = Client { port, key: FIRST };
    let world = &world;
    std::thread::scope(|scope| {
        // The one ends what the other has begun; whoever is told so sends it again.
        scope.spawn(|| {
            for number in 0..EACH {
                until("the API has made it", 2 * LONG, || {
                    match first.json("POST tenants", &json!({"id": format!("api-{number}")})) {
                        (201 | 409, _) => Ok(()),
                        (503, body) => Err(body.to_string()),
                        (status, body) => panic!("{status}: {body}"),
                    }
                });
            }
        });
        for number in 0..EACH {
            until("the command has made it", 2 * LONG, || {
                let output = world.cli(&["tenant", "create", &format!("cli-{number}")]);
                match output.status.code() {
                    // 1: it is there, by a command that was told otherwise.
                    Some(0 | 1) => Ok(()),
                    _ => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
                }
            });
        }
    });
    let there = first.get("tenants").1;
    let there: BTreeSet<&str> =
        there.as_array().unwrap().iter().filter_map(|row| row["id"].as_str()).collect();
    for number in 0..EACH {
        for who in ["api", "cli"] {
            assert!(there.contains(format!("{who}-{number}").as_str()), "{who}-{number} is not in {there:?}");
        }
    }
}

#[test]
fn while_the_broker_is_away_changes_are_told_to_come_again() {
    let mut world = World::with_own_broker("admin-away");
    let port = installation(&mut world);
    let first = Client { port, key: FIRST };
    assert_eq!(first.json("POST tenants", &json!({"id": "before"})).0, 201);
    world.cluster.broker().kill();
    let bearer = format!("Bearer {FIRST}");
    let headers = [("authorization", bearer.as_str())];
    let answer = http::post(port, "/api/v1/admin/tenants", &headers, br#"{"id":"away"}"#).unwrap();
    assert!(answer.0 == 503 && answer.1.to_lowercase().contains("retry-after: "), "{answer:?}");
    // What needs no broker is answered all the same.
    assert_eq!(first.ask("POST parse/try?source=json", "text/plain", "{}").0, 200);
    world.cluster.broker().restart().unwrap();
    // The one that was told so may have been done since.
    until("it is made", 2 * LONG, || match first.json("POST tenants", &json!({"id": "away"})) {
        (201 | 409, _) => Ok(()),
        (status, body) => Err(format!("{status}: {body}")),
    });
    let there = first.get("tenants").1;
    let ids: Vec<&str> = there.as_array().unwrap().iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(ids, ["default", "away", "before"]);
    world.stop();
}

#[test]
fn kills_amid_changes_leave_all_of_each_or_nothing() {
    const ROUNDS: usize = 5;
    let mut rng = Seed::take("admin-kill").rng(1);
    let mut world = World::new("admin-kill");
    installation(&mut world);
    let port = world.query_port;
    let bearer = format!("Bearer {FIRST}");
    let ask = |method: &str, path: &str, body: &str| {
        http::ask(
            port,
            method,
            &format!("/api/v1/admin/{path}"),
            &[("authorization", &bearer)],
            body.as_bytes(),
        )
    };
    let tenants = || -> BTreeSet<String> {
        let (status, body) = ask("GET", "tenants", "").unwrap();
        assert_eq!(status, 200, "{body}");
        let rows: Vec<Value> = serde_json::from_str(&body).unwrap();
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let (mut tried, mut acknowledged) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        let pause = Duration::from_millis(rng.random_range(0..1_500));
        // The write that the kill breaks off, and those before it.
        let ended = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut ended = Vec::new();
                for number in 0.. {
                    let id = format!("t-{round}-{number}");
                    let answer = ask("POST", "tenants", &json!({"id": id}).to_string());
                    let status = answer.ok().map(|(status, _)| status);
                    ended.push((id, status));
                    if status != Some(201) {
                        break;
                    }
                }
                ended
            });
            std::thread::sleep(pause);
            world.service("query-0").kill();
            asking.join().unwrap()
        });
        for (id, status) in ended {
            assert!(matches!(status, None | Some(201)), "{id}: {status:?}");
            if status.is_some() {
                acknowledged.insert(id.clone());
            }
            tried.insert(id);
        }
        world.service("query-0").start();
        world.service("query-0").wait_ready();
        let there = tenants();
        assert!(acknowledged.is_subset(&there), "acknowledged {acknowledged:?}, there {there:?}");
        assert!(there.iter().all(|id| id == "default" || tried.contains(id)), "{there:?}");
        // What broke off can be sent again.
        for id in tried.iter().filter(|id| !acknowledged.contains(*id)) {
            let (status, body) = ask("POST", "tenants", &json!({"id": id}).to_string()).unwrap();
            assert_eq!(status, if there.contains(id) { 409 } else { 201 }, "{id}: {body}");
        }
        acknowledged.clone_from(&tried);
        println!("round {round}: {} tenants", tried.len());
    }
    let mut there = tenants();
    there.remove("default");
    assert_eq!(there, tried);
    world.stop();
}
