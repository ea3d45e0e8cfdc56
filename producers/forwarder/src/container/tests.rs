use millrace_schemas::LineEnd;

use super::{Bounds, Container, Unwrapped, cut_group};
use crate::join::{Flush, Join, Joiner};

const BOUNDS: Bounds = Bounds { max_bytes: 1_000, margin: 2, max_lines: 5 };

fn short(line: &Unwrapped) -> String {
    let stream = line.stream.as_deref().map_or("", |stream| &stream[3..]);
    let end = if line.end == LineEnd::None { "…" } else { "" };
    format!("{stream}:{}{end}", String::from_utf8_lossy(&line.text))
}

/// Groups in brackets, `?` where something waits.
fn groups(format: Container, joiner: Option<&Joiner>, bytes: &[u8], flush: Flush) -> String {
    bounded(format, joiner, bytes, (flush, BOUNDS))
}

fn bounded(
    format: Container,
    joiner: Option<&Joiner>,
    bytes: &[u8],
    (flush, bounds): (Flush, Bounds),
) -> String {
    let (mut rest, mut shown) = (bytes, String::new());
    while let Some(group) = cut_group(format, joiner, rest, bounds, flush) {
        let lines: Vec<String> = group.lines.iter().map(short).collect();
        shown.push_str(&format!("[{}]", lines.join("|")));
        rest = &rest[group.len..];
    }
    if rest.is_empty() { shown } else { shown + "?" }
}

fn cri(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("2026-01-01T00:00:00.000000000Z std{line}\n").into_bytes()).collect()
}

#[test]
fn parts_are_joined_by_stream_in_the_order_of_their_last_ones() {
    let bytes = cri(&["out P a", "err P 1", "out F b", "err P 2", "out F c", "err F 3", "out F d"]);
    assert_eq!(groups(Container::Cri, None, &bytes, Flush::No), "[out:ab|out:c|err:123][out:d]");
    assert_eq!(groups(Container::Cri, None, &bytes[..120], Flush::No), "?");
    assert_eq!(groups(Container::Cri, None, &cri(&["out P a", "err P 1"]), Flush::Entry), "[out:a…|err:1…]");
}

#[test]
fn a_tag_may_have_others_behind_it_and_a_text_may_be_empty() {
    let bytes = cri(&["out P:x:y a ", "out F:x ", "out F", "out Q no", "log F no"]);
    let plain = ":2026-01-01T00:00:00.000000000Z std";
    let shown = groups(Container::Auto, None, &bytes, Flush::No);
    assert_eq!(shown, format!("[out:a ][out:][{plain}out Q no][{plain}log F no]"));
}

#[test]
fn docker_lines_without_their_line_end_go_on() {
    let lines = [
        r#"{"log":"a\n","stream":"stdout","time":"T1"}"#,
        r#"{"log":"b ","stream":"stdout","attrs":{"tag":"}","n":[1,{"x":"]"}]},"time":"T2"}"#,
        r#"{"log":"c","stream":"stderr","time":"T3"}"#,
        "{ \"time\" : \"T4\", \"log\" : \"\\u00e4\\ud83d\\ude00\\\"\\\\\t\\t\\n\" , \"stream\":\"stdout\" }",
        "no json",
    ];
    let bytes = lines.join("\n").into_bytes();
    assert_eq!(
        groups(Container::Docker, None, &bytes, Flush::Line),
        "[out:a][err:c…|out:b ä😀\"\\\t\t|:no json…]"
    );
    let whole = Container::Auto.unwrap(&lines.map(str::as_bytes), 100);
    assert_eq!(whole.iter().map(|own| own.time.as_str()).collect::<Vec<_>>(), ["T1", "T3", "T2", ""]);
}

#[test]
fn what_one_runtime_began_another_does_not_end() {
    let lines = [
        r#"{"log":"a","stream":"stdout","time":"T1"}"#,
        r#"{"log":"b\n","stream":"stderr","time":"T2"}"#,
        "2026-01-01T00:00:00Z stdout P c",
        "2026-01-01T00:00:01Z stdout F d",
    ];
    let whole = Container::Auto.unwrap(&lines.map(str::as_bytes), 100);
    assert_eq!(whole.iter().map(short).collect::<Vec<_>>(), ["out:a…", "err:b", "out:cd"]);
}

#[test]
fn broken_json_is_a_line_as_it_is() {
    for line in [
        "{",
        "{}",
        "{\"log\":1}",
        "{\"log\":\"a",
        "{\"log\":\"a\\",
        "{\"log\":\"\\u12\"}",
        "{\"a\":[",
        "{\"log\" \"a\"}",
    ] {
        let own = Container::Docker.unwrap(&[line.as_bytes()], 100);
        assert_eq!((own.len(), own[0].stream.as_deref(), own[0].text.as_slice()), (1, None, line.as_bytes()));
    }
}

#[test]
fn a_group_has_limits() {
    let text = "x".repeat(59);
    let part = format!("out P {text}");
    let bytes = cri(&[&part, &part, &part, "out F y"]);
    // 100 bytes a line: two of them are 200.
    let bounds = Bounds { max_bytes: 200, ..BOUNDS };
    let shown = bounded(Container::Cri, None, &bytes, (Flush::No, bounds));
    assert_eq!(shown, format!("[out:{text}{text}…][out:{text}y]"));
    let own = Container::Cri.unwrap(&bytes.split(|byte| *byte == b'\n').take(4).collect::<Vec<_>>(), 130);
    assert_eq!(own.iter().map(|own| own.text.len()).collect::<Vec<_>>(), [118, 60]);
}

#[test]
fn stack_traces_of_containers_are_joined() {
    let joiner = Join::indentation().compile().unwrap();
    let bytes = cri(&["out F a", "out P  a", "out F t b", "out F  at c", "err F e", "out F d"]);
    let shown = groups(Container::Cri, Some(&joiner), &bytes, Flush::No);
    assert_eq!(shown, "[out:a\n at b\n at c][err:e]?");
    let shown = groups(Container::Cri, Some(&joiner), &bytes, Flush::Entry);
    assert_eq!(shown, "[out:a\n at b\n at c][err:e][out:d]");
}
