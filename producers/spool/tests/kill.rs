//! SIGKILL at random moments, against the real file system: the child says which appends returned, and they are there.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{all_due, group, open, read};

const CHILD: &str = "MILLRACE_SPOOL_CHILD";

/// Appends numbered lines, each with the position after it, from where the table says, until it is killed.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let spool = open(dir.as_ref());
    let from = position(&spool.table());
    for n in from.. {
        let mut group = group(&[("a", &n.to_string())]);
        group.put(b"position", (n + 1).to_string().as_bytes());
        spool.append(&group, (n / 40) as i64).unwrap();
        println!("appended {n}");
    }
}

fn position(table: &[(Vec<u8>, Vec<u8>)]) -> u64 {
    table.first().map_or(0, |(_, value)| String::from_utf8_lossy(value).parse().unwrap())
}

#[test]
fn what_was_appended_outlives_sigkill_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..12_u64 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--nocapture"]).env(CHILD, dir.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut numbers = output.lines().map_while(Result::ok).filter_map(|line| {
            line.rsplit_once("appended ").map(|(_, number)| number.parse::<u64>().unwrap())
        });
        let first = numbers.next().expect("the child appends");
        assert!(first >= acknowledged, "line {first} was appended twice");
        acknowledged = first + 1;
        std::thread::sleep(Duration::from_micros(997 * (round * round % 29)));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died is in the pipe.
        acknowledged = numbers.last().map_or(acknowledged, |last| last + 1);
        let spool = open(dir.path());
        let lines: Vec<u64> = all_due(&spool)
            .iter()
            .flat_map(|due| read(&spool, due.id).0)
            .map(|record| String::from_utf8_lossy(&record).parse().unwrap())
            .collect();
        let n_lines = lines.len() as u64;
        assert_eq!(lines, (0..n_lines).collect::<Vec<_>>());
        assert_eq!(position(&spool.table()), n_lines, "lines and position belong together");
        assert!((acknowledged..=acknowledged + 1).contains(&n_lines), "{acknowledged} of {n_lines}");
    }
    assert!(acknowledged >= 12);
}
