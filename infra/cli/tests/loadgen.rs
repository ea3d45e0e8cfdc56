//! `millrace loadgen` as people call it: files, HTTP and syslog; Kafka is among the promises.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

fn loadgen(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_millrace")).arg("loadgen").args(args).output().unwrap()
}

/// Its summary; it must have ended well.
fn summary(args: &[&str]) -> Value {
    let output = loadgen(&[args, &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn servers(output: &Path, more: &[&str]) -> Value {
    let fixed = ["servers", "--output", output.to_str().unwrap(), "--linePerFile", "70"];
    summary(&[&fixed[..], &["--numUsers", "9", "--numFiles", "2"], more].concat())
}

fn text(folder: &Path, server: u32, file: u32) -> String {
    let path = folder.join(format!("server{server}/access-{file:04}.log"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn servers_are_the_same_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, three] = ["1", "2", "3"].map(|name| folder.path().join(name));
    let told = servers(&one, &["--seed", "5"]);
    assert_eq!((&told["files"], &told["lines"], &told["servers"]), (&6.into(), &420.into(), &3.into()));
    assert_eq!(
        (&told["first"], &told["last"]),
        (&"2026-01-01T00:00:00Z".into(), &"2026-01-01T00:02:19Z".into())
    );
    servers(&two, &["--seed", "5"]);
    servers(&three, &["--seed", "6", "--start", "2026-03-01T10:00:00Z"]);
    for (server, file) in [(0, 1), (1, 1), (2, 2)] {
        assert_eq!(text(&one, server, file), text(&two, server, file));
        assert_ne!(text(&one, server, file), text(&three, server, file));
    }
    assert!(text(&three, 0, 1).contains("[01/Mar/2026:10:00:00 +0000]"));
    let n_bytes: usize =
        (0..3).flat_map(|own| [text(&one, own, 1), text(&one, own, 2)]).map(|own| own.len()).sum();
    assert_eq!(told["bytes"], n_bytes);
    // One second from line to line, also from file to file; a UUID in the last column.
    let both = text(&one, 1, 1) + &text(&one, 1, 2);
    assert_eq!(both.lines().count(), 140);
    for (at, line) in both.lines().enumerate() {
        let time = format!("[01/Jan/2026:00:{:02}:{:02} +0000] \"", at / 60, at % 60);
        assert!(line.contains(&time), "{time} is not in {line}");
        let user = line.rsplit_once(" \"userid=").unwrap().1.strip_suffix('"').unwrap();
        assert_eq!((user.len(), user.matches('-').count()), (36, 4), "{line}");
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let told = servers(&folder.path().join("out"), &["--dry-run"]);
    assert_eq!((&told["lines"], &told["bytes"]), (&420.into(), &0.into()));
    assert!(!folder.path().join("out").exists());
}

#[test]
fn lines_in_a_file_are_the_same_for_the_same_seed_and_start() {
    let folder = tempfile::tempdir().unwrap();
    let fixed = ["--lines", "3000", "--start", "2026-01-01T00:00:00Z", "--kind", "json=2,java=1"];
    let written = ["a", "b"].map(|name| {
        let path = folder.path().join(name);
        let told = summary(&[&fixed[..], &["--to", &format!("file:{}", path.display())]].concat());
        assert_eq!((&told["lines"], &told["errors"]), (&3_000.into(), &0.into()));
        std::fs::read_to_string(&path).unwrap()
    });
    assert_eq!(written[0], written[1]);
    assert!(written[0].contains("\n\tat ") && written[0].contains("{\"time\":\"2026-01-01T00:00:0"));
}

#[test]
fn a_rate_is_kept_and_agents_ramp_up() {
    let folder = tempfile::tempdir().unwrap();
    let to = format!("file:{}", folder.path().join("a.log").display());
    let told =
        summary(&["--to", &to, "--rate", "2000", "--lines", "3000", "--agents", "3", "--ramp-up", "10"]);
    let seconds = told["seconds"].as_f64().unwrap();
    assert!((1.4..6.0).contains(&seconds), "{told}");
    assert_eq!(told["lines"], 3_000);
    assert!(told["latency_ms"]["p99"].as_f64().unwrap() > 0.0);
    let lines = std::fs::read_to_string(folder.path().join("a.log")).unwrap();
    assert_eq!(lines.lines().count(), 3_000);
}

#[test]
fn a_batch_that_a_gateway_refuses_for_now_comes_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = std::thread::spawn(move || {
        let answers = ["503 Service Unavailable", "200 OK", "200 OK"];
        let mut taken = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            let (head, body) = request(&stream);
            assert!(head.starts_with("POST /v1/logs/shop HTTP/1.1"), "{head}");
            assert!(head.to_lowercase().contains("authorization: bearer secret"), "{head}");
            let after = if answer.starts_with("503") { "retry-after: 0\r\n" } else { "" };
            let text = format!("HTTP/1.1 {answer}\r\n{after}content-length: 0\r\nconnection: close\r\n\r\n");
            (&stream).write_all(text.as_bytes()).unwrap();
            if answer.starts_with("200") {
                taken.push(body);
            }
        }
        taken
    });
    let told =
        summary(&["--to", &url, "--stream", "shop", "--key", "secret", "--lines", "150", "--batch", "100"]);
    assert_eq!((&told["lines"], &told["errors_by_kind"]["HTTP 503"]), (&150.into(), &1.into()));
    let taken = gateway.join().unwrap();
    let n_lines: Vec<usize> = taken.iter().map(|body| body.lines().count()).collect();
    assert_eq!(n_lines, [100, 50]);
}

fn request(stream: &std::net::TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let lower = head.to_lowercase();
    let len = lower.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; len];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn items_that_a_bulk_request_refuses_are_errors() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("bulk+http://{}", listener.local_addr().unwrap());
    let gateway = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let (head, body) = request(&stream);
        assert!(head.starts_with("POST /_bulk HTTP/1.1"), "{head}");
        assert_eq!(body.lines().count(), 20);
        let answer = "{\"errors\":true,\"items\":[]}";
        let len = answer.len();
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{answer}");
        (&stream).write_all(text.as_bytes()).unwrap();
    });
    let output = loadgen(&["--to", &url, "--lines", "10", "--format", "json"]);
    gateway.join().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &told["errors_by_kind"]["bulk items"]), (Some(1), &1.into()));
}

#[test]
fn what_a_gateway_refuses_for_good_ends_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        request(&stream);
        let text = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 7\r\nconnection: close\r\n\r\nno key\n";
        (&stream).write_all(text.as_bytes()).unwrap();
    });
    let output = loadgen(&["--to", &url, "--lines", "10", "--format", "json"]);
    gateway.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["unsent_lines"], &told["errors_by_kind"]["HTTP 401"]), (&10.into(), &1.into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no key"));
}

#[test]
fn syslog_over_tcp_is_framed_by_length() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    });
    summary(&["--to", &to, "--kind", "rfc5424=1,java=1", "--lines", "300"]);
    let bytes = server.join().unwrap();
    let (mut rest, mut n_messages, mut n_traces) = (&bytes[..], 0, 0);
    while !rest.is_empty() {
        let blank = rest.iter().position(|byte| *byte == b' ').unwrap();
        let len: usize = std::str::from_utf8(&rest[..blank]).unwrap().parse().unwrap();
        let message = std::str::from_utf8(&rest[blank + 1..blank + 1 + len]).unwrap();
        assert!(message.starts_with('<') && message.contains(">1 2"), "{message}");
        n_messages += 1;
        n_traces += usize::from(message.contains("\n\tat "));
        rest = &rest[blank + 1 + len..];
    }
    assert_eq!(n_messages, 300);
    assert!(n_traces > 10, "{n_traces}");
}

#[test]
fn syslog_over_udp_is_a_datagram_each() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let to = format!("syslog+udp://{}", socket.local_addr().unwrap());
    // Few and slow: a datagram that finds no room is lost.
    let sending = std::thread::spawn(move || {
        summary(&["--to", &to, "--kind", "rfc3164", "--lines", "100", "--rate", "1000", "--batch", "10"])
    });
    let mut buffer = [0; 9_000];
    for _ in 0..100 {
        let len = socket.recv(&mut buffer).unwrap();
        assert!(buffer[..len].starts_with(b"<") && !buffer[..len].ends_with(b"\n"));
    }
    assert_eq!(sending.join().unwrap()["lines"], 100);
}

#[test]
fn wrong_use_is_said() {
    for args in [&["--lines", "1"][..], &["--to", "nowhere"], &["--to", "file:x", "--kind", "cobol"]] {
        let output = loadgen(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(!output.stderr.is_empty());
    }
}
