//! Bodies that are stored as templates read back byte for byte.

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

mod any_line {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a parser claims to have found, the body reads back.
        #[test]
        fn keeps_its_body(
            body in "[a«»@ 0-9:=\\-T]{0,40}",
            fields in prop::collection::vec(("[ab@«»]{0,3}", "[a«»@ 0-9]{0,6}"), 0..5),
            user in prop::option::of("[a 0-9]{0,5}"),
        ) {
            let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            let reader = open(file(&[found(&body, &pairs, user.as_deref(), None)]));
            let group = reader.groups().next().unwrap();
            let batch = reader.lines(group, 0..1, true).unwrap().next().unwrap().unwrap();
            let mut kept = Vec::new();
            batch.body(0, &mut kept).unwrap();
            prop_assert_eq!(kept, body.as_bytes());
        }
    }
}
