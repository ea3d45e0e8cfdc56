//! Others read us: a stock Avro consumer decodes `logs.parsed`, and DuckDB reads the archive's files.

use std::time::Duration;

use millrace_kafka_local::free_port;
use millrace_runtime::service::topic_specs;

use crate::harness::tools::{python, script};
use crate::harness::{Lines, Seed, Source, World, Writer, http, until};

const LINES: u64 = 5_000;
const AVRO: &str = r#"
import json, sys
from confluent_kafka import DeserializingConsumer, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer

brokers, registry, topic, partitions, wanted = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
consumer = DeserializingConsumer({
    "bootstrap.servers": brokers, "group.id": "stock-avro-consumer", "isolation.level": "read_committed",
    "value.deserializer": AvroDeserializer(SchemaRegistryClient({"url": registry})),
})
consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
n, fields, newest = 0, set(), None
while n < wanted:
    message = consumer.poll(20)
    if message is None:
        sys.exit(f"only {n} of {wanted} came")
    if message.error():
        sys.exit(str(message.error()))
    event = message.value()
    assert event["tenant"] == "default" and isinstance(event["body"], bytes), event
    assert event["time"].tzinfo is not None and event["origin"]["partition"] == message.partition(), event
    fields |= set(event["fields"])
    n += 1
print(json.dumps({"n": n, "fields": sorted(fields)}))
"#;

const DUCK: &str = r#"
import duckdb, json, sys
files = json.load(open(sys.argv[1]))
rows = duckdb.sql("select count(*), count(distinct (partition, \"offset\")) from read_parquet($files, hive_partitioning = false, union_by_name = true)",
    params={"files": files}).fetchone()
print(json.dumps({"n": rows[0], "distinct": rows[1]}))
"#;

const HEADERS: &str = r#"
import json, sys
from confluent_kafka import Consumer, TopicPartition, OFFSET_BEGINNING

brokers, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "stock-consumer", "isolation.level": "read_committed",
    "enable.partition.eof": True})
consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
traces, ends = [], 0
while ends < partitions:
    message = consumer.poll(20)
    if message is None:
        sys.exit(f"only {ends} of {partitions} partitions were read to their end")
    if message.error():
        ends += 1
        continue
    traces.append([value.decode() for name, value in message.headers() or [] if name == "traceparent"])
print(json.dumps(sorted(traces)))
"#;

#[test]
fn the_trace_of_a_request_is_in_the_headers_of_what_comes_of_it() {
    const OWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let python = python();
    let mut world = World::new("trace");
    world.apply_topics();
    let port = free_port().unwrap();
    world.set("gateway", "listen", format!("127.0.0.1:{port}"));
    world.set("gateway", "anonymous", "default");
    world.start_all();
    world.start("gateway", 0).wait_ready();
    for (headers, body) in [
        (vec![("traceparent", OWN)], "{\"a\":1}\n{\"a\":2}"),
        (vec![("traceparent", "00-not-a-trace")], "{\"a\":3}"),
        (vec![], "{\"a\":4}"),
    ] {
        let headers = [headers, vec![("content-type", "application/x-ndjson")]].concat();
        assert_eq!(http::post(port, "/v1/logs/web", &headers, body.as_bytes()).unwrap().0, 200);
    }
    until("all is parsed", Duration::from_secs(60), || match world.log().parsed().len() {
        4 => Ok(()),
        other => Err(format!("{other} of 4 lines")),
    });
    for topic in ["logs.raw", "logs.parsed"] {
        let spec = topic_specs(None).unwrap().into_iter().find(|spec| spec.name == topic).unwrap();
        let args = [&world.cluster.brokers, topic, &spec.partitions.to_string()];
        let traces = script(&python, &world.dir, HEADERS, &args);
        assert_eq!(traces, serde_json::json!([[], [], [OWN], [OWN]]), "{topic}");
    }
}

#[test]
fn stock_avro_consumer_and_duckdb_see_the_same_lines() {
    let python = python();
    let mut rng = Seed::take("others").rng(1);
    let mut world = World::new("others");
    world.apply_topics();
    let logs = world.forward("web1");
    world.start_all();
    let mut writer = Writer::start(&logs.join("access.log"), Lines::new("o"), LINES, LINES);
    let n_lines = writer.join();
    let source = Source::new("web1", &writer.path, n_lines, writer.lines.clone());
    world.assert_whole(&[source], &mut rng);

    let n_parsed = world.log().parsed().len();
    let spec = topic_specs(None).unwrap().into_iter().find(|spec| spec.name == "logs.parsed").unwrap();
    let (brokers, registry) = (world.cluster.brokers.clone(), world.cluster.registry.clone());
    let counts = [spec.partitions.to_string(), n_parsed.to_string()];
    let said =
        script(&python, &world.dir, AVRO, &[&brokers, &registry, "logs.parsed", &counts[0], &counts[1]]);
    assert_eq!(said["n"], n_parsed);
    let fields = said["fields"].as_array().unwrap();
    assert!(
        ["status", "bytes"].iter().all(|name| fields.contains(&(*name).into())),
        "typed fields came: {fields:?}"
    );

    let files = until("every live object is a plain file", Duration::from_secs(120), || {
        world.check();
        let text = world.cli_ok(&["files", "--format", "json"]);
        let files: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        let n_bundled = files.iter().filter(|file| file["plain"] != true).count();
        if n_bundled == 0 && !files.is_empty() {
            Ok(files)
        } else {
            Err(format!("{n_bundled} of {}", files.len()))
        }
    });
    let of_table = |table: &str| {
        let own = files.iter().filter(|file| file["table"] == table);
        own.map(|file| file["location"].as_str().unwrap()).collect::<Vec<_>>()
    };
    let mut n_rows = 0;
    for table in ["events", "dead"] {
        let list = world.dir.join(format!("{table}.json"));
        std::fs::write(&list, serde_json::to_vec(&of_table(table)).unwrap()).unwrap();
        let said = script(&python, &world.dir, DUCK, &[list.to_str().unwrap()]);
        assert_eq!(said["n"], said["distinct"], "{table}: rows are there twice");
        n_rows += said["n"].as_u64().unwrap();
    }
    assert_eq!(n_rows, n_lines, "rows that DuckDB counts");
    world.stop();
}
