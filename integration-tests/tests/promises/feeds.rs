//! What is no file: standard input and the journal come through, counted, each line once; `--once` ends when all is
//! committed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use crate::harness::equality::assert_same;
use crate::harness::process::{binary, run};
use crate::harness::spawn::{mortal, spawn};
use crate::harness::{World, until};

#[test]
fn standard_input_comes_through_byte_for_byte() {
    let mut world = World::new("stdin");
    world.apply_topics();
    world.start_all();
    let config = world.config();
    let mut command = mortal(&binary());
    command.args(["forward", "--stdin", "--stream", "web", "--config", config.to_str().unwrap()]);
    command.env("MILLRACE__FORWARD__HOST", "web1");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = spawn(command);
    let mut text: Vec<u8> =
        (0..5_000).flat_map(|i| format!("line {i} of the pipe\r\n").into_bytes()).collect();
    text.extend_from_slice(b"\xff\0 and no end");
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&text).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.wait_through(5_001);
    world.assert_balanced();
    assert_same(&world.cat("web1", "stdin", &[]), &text, "what the pipe held");
    world.stop();
}

/// Does as journalctl does, over a file of entries: number, then the entry.
const JOURNALCTL: &str = r#"#!/bin/sh
after=0 follow=0
for arg; do
  case $arg in --after-cursor=*) after=${arg#--after-cursor=c} ;; --follow) follow=1 ;; esac
done
if [ $follow = 1 ]; then exec tail -n +$((after + 1)) -f "$ENTRIES"; else exec tail -n +$((after + 1)) "$ENTRIES"; fi
"#;

#[test]
fn the_journal_goes_on_where_it_was_killed() {
    let mut world = World::new("journal");
    world.apply_topics();
    world.start_all();
    let (bin, entries) = (world.dir.join("bin"), world.dir.join("entries"));
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("journalctl"), JOURNALCTL).unwrap();
    fs::set_permissions(bin.join("journalctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut written = 0;
    let mut write = |n: u64| {
        let mut file = fs::File::options().create(true).append(true).open(&entries).unwrap();
        for _ in 0..n {
            written += 1;
            writeln!(file, "{{\"__CURSOR\":\"c{written}\",\"MESSAGE\":\"wordjournal {written}\"}}").unwrap();
        }
    };
    let (config, log) = (world.config(), world.log());
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let env =
        [("PATH", path.as_str()), ("ENTRIES", entries.to_str().unwrap()), ("MILLRACE__OPS__LISTEN", "off")];
    let args = ["forward", "--journald", "--stream", "web", "--config", config.to_str().unwrap()];
    write(500);
    for round in 1..=3u64 {
        let mut command = mortal(&binary());
        command.args(args).envs(env).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = spawn(command);
        until("the entries are committed", Duration::from_secs(60), || {
            let n = log.count("logs.raw") as u64;
            if n >= round * 500 { Ok(()) } else { Err(n.to_string()) }
        });
        write(500);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = run(&[&args[..], &["--once"]].concat(), &env);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.wait_through(2_000);
    world.assert_balanced();
    world.assert_topics(2_000);
    world.stop();
}

#[test]
fn once_ends_when_all_is_committed_and_what_was_altered_is_rebuilt_as_text() {
    let mut world = World::new("once");
    world.apply_topics();
    world.start_all();
    let logs = world.dir.join("logs");
    fs::create_dir_all(&logs).unwrap();
    let inputs = format!(
        "[forward]\nhost = \"web1\"\n\
         [[forward.input]]\nglobs = [\"{logs}/latin.log\"]\nstream = \"web\"\nencoding = \"latin-1\"\n\
         redact = [{{ pattern = '(password=)\\S+', mask = \"${{1}}***\" }}]\n\
         [[forward.input]]\nglobs = [\"{logs}/java.log\"]\nstream = \"web\"\nmultiline = {{ rule = \"indentation\" }}\n\
         [[forward.input]]\nglobs = [\"{logs}/pod.log\"]\nstream = \"web\"\ncontainer = \"cri\"\n\
         [[forward.input]]\nglobs = [\"{logs}/old.log*\"]\nstream = \"web\"\n",
        logs = logs.display()
    );
    let config = world.dir.join("once.toml");
    fs::write(&config, fs::read_to_string(world.config()).unwrap() + &inputs).unwrap();
    let args = ["forward", "--once", "--config", config.to_str().unwrap()];
    fs::write(logs.join("latin.log"), b"gr\xfc\xdfe\npassword=hunter2 \xe4\n").unwrap();
    let java = "java.lang.Error: x\n\tat a.b(c)\n\tat d.e(f)\nnext\n";
    fs::write(logs.join("java.log"), java).unwrap();
    let time = "2026-01-01T00:00:00.000000000Z";
    fs::write(logs.join("pod.log"), format!("{time} stdout P on\n{time} stderr F err\n{time} stdout F e\n"))
        .unwrap();
    fs::write(logs.join("old.log"), "packed\n").unwrap();
    let packed = std::process::Command::new("gzip").arg(logs.join("old.log")).status().unwrap();
    assert!(packed.success());
    // Each time there is nothing new after the first.
    for _ in 0..3 {
        let output = run(&args, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    world.wait_through(7);
    world.assert_balanced();
    for (name, text) in [
        ("latin.log", "grüße\npassword=*** ä\n"),
        ("java.log", java),
        ("pod.log", "err\none\n"),
        ("old.log.gz", "packed\n"),
    ] {
        let path = logs.join(name).display().to_string();
        assert_same(&world.cat("web1", &path, &[]), text.as_bytes(), name);
    }
    // What cannot be read is no success.
    fs::remove_file(logs.join("java.log")).unwrap();
    fs::create_dir(logs.join("java.log")).unwrap();
    assert_eq!(run(&args, &[]).status.code(), Some(1));
    world.stop();
}
