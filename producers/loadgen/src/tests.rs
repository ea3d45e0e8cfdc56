use std::collections::HashMap;

use super::{Kind, Lines, Options, Servers};

/// 2026-11-22T09:00:00Z
const START: i64 = 1_795_338_000_000_000;

fn lines(options: Options, n: usize) -> Vec<Vec<u8>> {
    Lines::new(options).take(n).collect()
}

#[track_caller]
fn check(kind: Kind, first: &str) {
    let made = lines(Options::one(kind, 1, START), 1);
    assert_eq!(String::from_utf8_lossy(&made[0]), first);
}

#[test]
fn a_seed_gives_the_same_lines_for_ever() {
    check(
        Kind::Apache,
        r#"10.4.121.204 - - [22/Nov/2026:09:00:00 +0000] "GET /api/v1/orders/105.js HTTP/1.1" 200 5880 "-" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.5 Safari/605.1.15" "userid=811da962-e296-4232-bb0c-bf38d40dadd3""#,
    );
    check(
        Kind::Json,
        r#"{"time":"2026-11-22T09:00:00.000Z","severity":"INFO","service":"session","message":"cache miss, loading from the database","user":"811da962-e296-4232-bb0c-bf38d40dadd3","path":"/account/110.html","duration_ms":2.8,"status":302}"#,
    );
    check(
        Kind::Rfc5424,
        r#"<132>1 2026-11-22T09:00:00.000000Z web-2 payment 1011 ID49 [request@32473 user="811da962-e296-4232-bb0c-bf38d40dadd3" path="/search/109"] retrying call to upstream after 30848 us"#,
    );
    check(
        Kind::Rfc3164,
        r#"<36>Nov 22 09:00:00 web-2 systemd[317]: session opened for user u868 from 10.4.121.204 port 54999 ssh2: ED25519 SHA256:44afd386-03aa-445c-8c33-cecd44da41f7"#,
    );
}

#[test]
fn another_seed_gives_other_lines() {
    assert_eq!(lines(Options::mixed(7, START), 1_000), lines(Options::mixed(7, START), 1_000));
    assert_ne!(lines(Options::mixed(7, START), 1_000), lines(Options::mixed(8, START), 1_000));
}

#[test]
fn lines_are_about_190_bytes_and_have_no_line_end() {
    let made = lines(Options { garbage_per_10k: 100, ..Options::mixed(3, START) }, 20_000);
    let mean = made.iter().map(Vec::len).sum::<usize>() / made.len();
    assert!((180..=200).contains(&mean), "{mean}");
    assert!(made.iter().all(|line| !line.contains(&b'\n')));
}

#[test]
fn garbage_comes_in_the_wanted_share() {
    let mut all = Lines::new(Options { garbage_per_10k: 200, ..Options::mixed(5, START) });
    let n_garbage = (0..50_000).filter(|_| all.next_into(&mut Vec::new()).is_none()).count();
    assert!((900..1_100).contains(&n_garbage), "{n_garbage}");
    let mut none = Lines::new(Options::mixed(5, START));
    assert!((0..10_000).all(|_| none.next_into(&mut Vec::new()).is_some()));
}

#[test]
fn users_follow_zipf() {
    let made = lines(Options { users: 100, ..Options::one(Kind::Apache, 9, START) }, 20_000);
    let mut counts: HashMap<&[u8], usize> = HashMap::new();
    for line in &made {
        *counts.entry(&line[line.len() - 37..]).or_default() += 1;
    }
    let mut counts: Vec<usize> = counts.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(counts.len(), 100);
    // The harmonic number of 100 is 5.19: the first has 19 %, the tenth a tenth of that.
    assert!((3_600..4_100).contains(&counts[0]), "{counts:?}");
    assert!((300..470).contains(&counts[9]), "{counts:?}");
}

#[test]
fn time_never_goes_back() {
    let mut made = Lines::new(Options::mixed(2, START));
    let mut before = made.time();
    assert_eq!(before, START);
    for _ in 0..10_000 {
        made.next_into(&mut Vec::new());
        assert!(made.time() >= before);
        before = made.time();
    }
    let seconds = (before - START) / 1_000_000;
    assert!((9..=11).contains(&seconds), "{seconds}");
}

#[test]
fn few_distinct_paths_repeat() {
    let made = lines(Options::one(Kind::Apache, 4, START), 20_000);
    let path = |line: &Vec<u8>| String::from_utf8_lossy(line).split(' ').nth(6).map(str::to_owned);
    let distinct: std::collections::HashSet<_> = made.iter().map(path).collect();
    assert!(distinct.len() < 4_000, "{}", distinct.len());
}

#[test]
fn stack_traces_follow_their_line_and_no_trace_line_begins_like_an_entry() {
    let made = lines(Options::one(Kind::Java, 1, START), 4_000);
    let n_traces = made.iter().filter(|entry| entry.contains(&b'\n')).count();
    assert!((800..1_200).contains(&n_traces), "{n_traces}");
    for entry in &made {
        let text = String::from_utf8(entry.clone()).unwrap();
        let mut own = text.lines();
        assert!(own.next().unwrap().starts_with("2026-11-22 09:00:0"), "{text}");
        assert!(own.all(|line| !line.starts_with("2026-")), "{text}");
    }
}

#[test]
fn containers_lines_are_whole_once_their_parts_are_joined() {
    for entry in lines(Options::one(Kind::Kubernetes, 1, START), 2_000) {
        let text = String::from_utf8(entry).unwrap();
        let parts: Vec<Vec<&str>> = text.lines().map(|line| line.splitn(4, ' ').collect()).collect();
        let (last, before) = parts.split_last().unwrap();
        assert!(last[2] == "F" && before.iter().all(|part| part[2] == "P"), "{text}");
        assert!(parts.iter().all(|part| part[0].ends_with("000Z") && part[1] == last[1]), "{text}");
        let joined: String = parts.iter().map(|part| part[3]).collect();
        assert!(joined.starts_with('{') && joined.ends_with('}'), "{joined}");
    }
}

#[test]
fn servers_write_one_line_a_second_and_are_the_same_for_the_same_seed() {
    let plan = Servers { seed: 3, start: START, lines_per_file: 90, users: 20 };
    let file = |server, number| {
        let mut lines = plan.file(server, number);
        (0..plan.lines_per_file).map(|_| lines.next().unwrap()).collect::<Vec<Vec<u8>>>()
    };
    assert_eq!(plan.path(2, 1), "server2/access-0001.log");
    assert_eq!(file(1, 2), file(1, 2));
    assert_ne!(file(0, 1), file(1, 1));
    assert_ne!(file(0, 1), file(0, 2));
    let (first, second) = (file(0, 1), file(0, 2));
    let text = |line: &Vec<u8>| String::from_utf8(line.clone()).unwrap();
    let (first_line, next) = (text(&first[0]), text(&second[0]));
    assert!(first_line.contains("[22/Nov/2026:09:00:00 +0000]"), "{first_line}");
    assert!(text(&first[1]).contains(":09:00:01 +0000]") && next.contains(":09:01:30 +0000]"), "{next}");
    assert!(first.iter().all(|line| text(line).ends_with('"') && text(line).contains("\" \"userid=")));
    let users: std::collections::HashSet<_> =
        first.iter().chain(&second).map(|line| line[line.len() - 37..].to_vec()).collect();
    assert!(users.len() > 10 && users.len() <= 20, "{}", users.len());
}
