//! Bodies that are stored as templates read back byte for byte.

use super::template::Templates;
use super::*;

fn found<'a>(
    body: &'a str,
    fields: &[(&'a str, &'a str)],
    user: Option<&'a str>,
    message: Option<&'a str>,
) -> Event<'a> {
    let mut event = event(raw("h", None, None, body.as_bytes()), 0);
    let pair = |&(name, text): &(&'a str, &'a str)| (Cow::Borrowed(name), Value::String(Cow::Borrowed(text)));
    event.fields = Fields(fields.iter().map(pair).collect());
    event.user = user.map(Cow::Borrowed);
    event.message = message.map(Cow::Borrowed);
    event
}

/// The template of a row and the time's text, or the whole body; whatever it is, the body reads back.
#[track_caller]
fn check_template(event: &Event<'_>, expected: &str) {
    let reader = open(file(std::slice::from_ref(event)));
    let group = reader.groups().next().unwrap();
    let batch = reader.whole(group).unwrap().next().unwrap().unwrap();
    let text = |name| {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        column.iter().next().flatten().map(str::to_owned)
    };
    let shown = match (text("body_template"), text("time_text"), text("body")) {
        (Some(template), time, None) => format!("{template}|{}", time.unwrap_or_default()),
        (None, None, Some(body)) => body,
        other => panic!("{other:?}"),
    };
    assert_eq!(shown, expected);
    let mut body = Vec::new();
    let lines = reader.lines(group, 0..1, true).unwrap().next().unwrap().unwrap();
    lines.body(0, &mut body).unwrap();
    assert_eq!(body, event.body);
}

#[test]
fn a_body_that_its_fields_repeat_is_a_template() {
    check_template(
        &found(
            "10.0.0.1 - - [22/Nov/2026:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 5 \"userid=u-77\"",
            &[("client", "10.0.0.1"), ("method", "GET"), ("path", "/a"), ("status", "200"), ("bytes", "5")],
            Some("u-77"),
            None,
        ),
        "«client» - - [«@time»] \"«method» «path» HTTP/1.1\" «status» «bytes» \"userid=«@user»\"|22/Nov/2026:09:00:00 +0000",
    );
    check_template(
        &found("<34>Oct  1 22:14:15 web su: it failed", &[("app", "su")], None, Some("it failed")),
        "<34>«@time» web «app»: «@message»|Oct  1 22:14:15",
    );
    check_template(
        &found("{\"t\":\"2026-11-22T09:00:00.123Z\",\"a\":\"x\"}", &[("a", "x")], None, None),
        "{\"t\":\"«@time»\",\"a\":\"«a»\"}|2026-11-22T09:00:00.123Z",
    );
}

#[test]
fn a_body_that_its_fields_cannot_tell_is_kept_whole() {
    for whole in [
        found("plain text", &[], None, None),
        found("a line with « in it", &[("a", "line")], None, None),
        found("escaped", &[("a", "unescaped")], None, None),
        found("same name: a then b", &[("x", "none of it"), ("x", "b")], None, None),
        found("x=1", &[("@time", "1")], None, None),
        found("x=1", &[("na»me", "1")], None, None),
    ] {
        check_template(&whole, std::str::from_utf8(whole.body).unwrap());
    }
}

#[test]
fn templates_are_few() {
    let bodies: Vec<String> = (0..500).map(|n| format!("v at {n}")).collect();
    let events: Vec<Event<'_>> = bodies.iter().map(|body| found(body, &[("a", "v")], None, None)).collect();
    let reader = open(file(&events));
    let batch = reader.whole(reader.groups().next().unwrap()).unwrap().next().unwrap().unwrap();
    use arrow_array::Array;
    let n_whole = 500 - batch.column_by_name("body").unwrap().null_count();
    assert!((400..440).contains(&n_whole), "{n_whole}");
}

#[test]
fn a_line_is_made_as_one_of_the_last_lines_was() {
    let mut templates = Templates::default();
    let mut check = |body: &str, texts: &[(&str, &str)], expected: Option<(&str, &str)>| {
        let texts: Vec<_> = texts.iter().map(|(name, text)| (*name, Cow::Borrowed(*text))).collect();
        let made = templates.of(body, &texts);
        let shown = made.map(|made| (made.template.to_owned(), body[made.time.unwrap_or(0..0)].to_owned()));
        assert_eq!(
            shown.as_ref().map(|(template, time)| (template.as_str(), time.as_str())),
            expected,
            "{body}"
        );
    };
    let access = "«client» [«@time»] «path»";
    for second in 10..14 {
        let (client, path) = (format!("10.0.0.{second}"), format!("/{second}"));
        let time = format!("2026-11-22T09:00:{second}.5Z");
        let body = format!("{client} [{time}] {path}");
        check(&body, &[("client", &client), ("path", &path)], Some((access, &time)));
    }
    for _ in 0..3 {
        check("a=1 b=", &[("a", "1"), ("b", "")], Some(("a=«a» b=", "")));
    }
    // Held against the template of the last lines, and not like it.
    check("a=1 b=2", &[("a", "1"), ("b", "2")], Some(("a=«a» b=«b»", "")));
    check("a=1 b=", &[("a", "1"), ("c", "")], Some(("a=«a» b=", "")));
    check("a=1 b=", &[("a", "2"), ("b", "")], None);
    check("a=« b=", &[("a", "«"), ("b", "")], None);
    check(
        "x [2026-11-22 09:00:00] y",
        &[("client", "x"), ("path", "y")],
        Some((access, "2026-11-22 09:00:00")),
    );
    check("x [2026-11-22] y", &[("client", "x"), ("path", "y")], Some(("«client» [2026-11-22] «path»", "")));
}

mod any_line {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[a«»@ 0-9]{0,6}",
            1 => Just("2026-11-22T09:00:00".to_owned()),
            1 => Just(".5Z".to_owned()),
        ]
    }

    /// A line of a format: the literals with the texts between them, or any.
    fn line() -> impl Strategy<Value = (bool, Vec<String>, String, Option<String>)> {
        let body = "[a«»@ 0-9:=\\-T]{0,40}";
        (any::<bool>(), prop::collection::vec(text(), 4), body, prop::option::of("[a 0-9]{0,5}"))
    }

    proptest! {
        /// Whatever a parser claims to have found, and whatever came before: the bodies read back.
        #[test]
        fn keeps_its_body(
            names in prop::collection::vec("[ab@«»]{0,3}", 0..5),
            literals in prop::collection::vec(text(), 5),
            lines in prop::collection::vec(line(), 1..8),
        ) {
            let end = String::new();
            let of_format = |texts: &[String]| {
                let parts = literals.iter().zip(texts.iter().take(names.len()).chain([&end]));
                parts.map(|(literal, text)| format!("{literal}{text}")).collect::<String>()
            };
            let bodies: Vec<String> = lines
                .iter()
                .map(|(is_format, texts, body, _)| if *is_format { of_format(texts) } else { body.clone() })
                .collect();
            let events: Vec<Event<'_>> = lines.iter().zip(&bodies).map(|((_, texts, _, user), body)| {
                let pairs: Vec<(&str, &str)> =
                    names.iter().zip(texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
                found(body, &pairs, user.as_deref(), None)
            }).collect();
            let reader = open(file(&events));
            let group = reader.groups().next().unwrap();
            let batch = reader.lines(group, 0..events.len(), true).unwrap().next().unwrap().unwrap();
            for (at, body) in bodies.iter().enumerate() {
                let mut kept = Vec::new();
                batch.body(at, &mut kept).unwrap();
                prop_assert_eq!(kept, body.as_bytes());
            }
        }
    }
}
