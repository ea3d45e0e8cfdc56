//! Keys: each opens what its roles allow of its own tenant, until it expires or is revoked; of the secret only a hash is kept.

use std::time::Duration;

use millrace_kafka_local::free_port;

use crate::harness::{World, http, until};

struct Made {
    id: String,
    key: String,
}

fn make(world: &World, args: &[&str]) -> Made {
    let said = world.cli_ok(&[&["key", "create", "--format", "json"], args].concat());
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    Made { id: text("id"), key: text("key") }
}

#[test]
fn a_key_opens_what_its_roles_allow_until_it_ends() {
    let mut world = World::new("keys");
    world.apply_topics();
    let port = free_port().unwrap();
    world.set("gateway", "listen", format!("127.0.0.1:{port}"));
    world.start("gateway", 0).wait_ready();
    world.start("query", 0).wait_ready();
    let bearer = |key: &str| format!("Bearer {key}");
    let post = |key: &str, path: &str| {
        http::post(port, path, &[("authorization", &bearer(key))], b"a line").unwrap().0
    };
    let get = |port: u16, key: &str, query: &str| {
        http::get_with(port, &format!("/api/v1/search?q=&{query}"), &[("authorization", &bearer(key))])
            .unwrap()
            .0
    };
    let becomes = |wanted: u16, ask: &dyn Fn() -> u16| {
        until(&format!("the answer is {wanted}"), Duration::from_secs(60), || match ask() {
            status if status == wanted => Ok(()),
            status => Err(status.to_string()),
        });
    };

    assert_eq!(world.cli(&["key", "create", "--tenant", "acme", "--role", "read"]).status.code(), Some(1));
    world.cli_ok(&["tenant", "create", "acme"]);
    assert_eq!(world.cli(&["tenant", "create", "acme"]).status.code(), Some(1));
    let ingest = make(&world, &["--tenant", "acme", "--role", "ingest", "--note", "for a test"]);
    let read = make(&world, &["--tenant", "acme", "--role", "read"]);

    becomes(200, &|| post(&ingest.key, "/v1/logs/web?host=h"));
    becomes(200, &|| get(port, &read.key, ""));
    becomes(200, &|| get(world.query_port, &read.key, ""));
    for (status, what) in [
        (get(port, &ingest.key, ""), "ingest does not read"),
        (get(world.query_port, &ingest.key, ""), "nor from the query service"),
        (post(&read.key, "/v1/logs/web"), "read does not send"),
        (post(&ingest.key, "/v1/logs/web?tenant=default"), "not another tenant's"),
        (get(port, &read.key, "tenant=default"), "nor to read"),
        (get(world.query_port, &read.key, "tenant=default"), "from nobody"),
    ] {
        assert_eq!(status, 403, "{what}");
    }
    let mixed = format!("mk_{}_{}", ingest.id, read.key.rsplit('_').next().unwrap());
    assert_eq!((post(&mixed, "/v1/logs/web"), get(world.query_port, &mixed, "")), (401, 401));
    let lines = world.log().raw();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.key == b"acme/h"), "{lines:?}");

    // Only a hash is kept.
    let secret = ingest.key.rsplit('_').next().unwrap();
    let kept = world.log().compacted("millrace.control");
    assert!(!kept.is_empty());
    let holds = |value: &[u8]| value.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(!kept.values().flatten().any(|value| holds(value)), "a secret is in millrace.control");

    world.cli_ok(&["key", "revoke", &ingest.id]);
    becomes(401, &|| post(&ingest.key, "/v1/logs/web?host=h"));
    assert_eq!(get(port, &read.key, ""), 200, "the other one still opens");
    let brief = make(&world, &["--tenant", "acme", "--role", "admin", "--expires", "1s"]);
    let later = make(&world, &["--tenant", "acme", "--role", "admin"]);
    becomes(200, &|| get(port, &later.key, ""));
    becomes(200, &|| post(&later.key, "/v1/logs/web?host=h"));
    // Known by now, and over.
    becomes(401, &|| get(port, &brief.key, ""));
    let listed = world.cli_ok(&["key", "ls", "--tenant", "acme", "--format", "json"]);
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed).unwrap();
    let state =
        |made: &Made| listed.iter().find(|row| row["id"] == made.id.as_str()).unwrap()["state"].clone();
    assert_eq!(
        (state(&ingest), state(&read), state(&brief)),
        ("revoked".into(), "valid".into(), "expired".into())
    );
    let tenants = world.cli_ok(&["tenant", "ls", "--format", "json"]);
    let tenants: Vec<serde_json::Value> = serde_json::from_slice(&tenants).unwrap();
    assert_eq!((&tenants[1]["id"], &tenants[1]["keys"]), (&"acme".into(), &2.into()), "{tenants:?}");
    world.stop();
}
