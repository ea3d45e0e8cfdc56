use super::*;

#[track_caller]
fn check(expression: &str, line: &str, expected: &str) {
    check_with(&Library::base(), false, expression, line, expected);
}

#[track_caller]
fn check_with(library: &Library, ecs: bool, expression: &str, line: &str, expected: &str) {
    let (grok, pattern) = Grok::new(expression, library, ecs).unwrap();
    let shown = match pattern.captures(line).unwrap() {
        None => "none".to_owned(),
        Some(captures) => {
            let show = |(name, value): (&str, Value<'_>)| match value {
                Value::String(text) => format!("{name}={text}"),
                Value::Long(number) => format!("{name}={number}L"),
                Value::Double(number) => format!("{name}={number:?}D"),
                Value::Boolean(truth) => format!("{name}={truth}"),
            };
            grok.fields(line, &captures).map(show).collect::<Vec<_>>().join(" ")
        }
    };
    assert_eq!(shown, expected, "{expression} on {line}");
}

#[test]
fn fields_have_names_and_types() {
    check(
        "%{IP:client} %{NUMBER:took:float} %{INT:n:int} %{WORD}",
        "10.0.0.1 0.25 7 x",
        "client=10.0.0.1 took=0.25D n=7L",
    );
    check("%{NUMBER:n:int}", "12.7", "n=12L");
    check("%{WORD:n:int}", "abc", "n=abc");
    check("%{WORD:ok:boolean}", "true", "ok=true");
}

#[test]
fn paths_are_dotted() {
    check("%{WORD:[a][b]} (?<[c][d]>x) %{WORD:e.f}", "one x two", "a.b=one c.d=x e.f=two");
}

#[test]
fn what_is_captured_twice_is_an_array() {
    check("%{WORD:w} %{WORD:w} %{INT:n:int}?%{INT:n:int}", "a b 1", "w=[\"a\",\"b\"] n=1L");
}

#[test]
fn empty_and_missing_groups_are_no_fields() {
    check("a%{DATA:empty}b(?:%{INT:none})?", "ab", "");
}

#[test]
fn own_patterns_and_definitions() {
    let mut library = Library::base();
    library.add("ID", r"[A-Z]{2}-%{INT:number:int}");
    library.add_file("# comment\nKEY  %{WORD:key}\n\nPAIR %{KEY}=%{ID:id}\n");
    check_with(&library, false, "^%{PAIR}$", "x=AB-7", "key=x id=AB-7 number=7L");
    check_with(&library, false, "%{HEX:h=[0-9a-f]{4}} x", "beef x", "h=beef");
}

#[test]
fn names_of_the_common_schema() {
    let line =
        r#"83.149.9.216 - al [17/May/2015:10:05:03 +0000] "GET /x HTTP/1.1" 200 12 "http://a/" "curl""#;
    check_with(
        &Library::base(),
        true,
        "^%{COMBINEDAPACHELOG}$",
        line,
        "source.address=83.149.9.216 apache.access.user.identity=- user.name=al timestamp=17/May/2015:10:05:03 +0000 \
         http.request.method=GET url.original=/x http.version=1.1 http.response.status_code=200L \
         http.response.body.bytes=12L http.request.referrer=\"http://a/\" user_agent.original=\"curl\"",
    );
}

#[test]
fn what_is_wrong_is_named() {
    let error =
        |expression: &str, library: &Library| Grok::new(expression, library, false).unwrap_err().to_string();
    let mut library = Library::base();
    library.add("LOOP", "a%{LOOP}");
    assert_eq!(error("%{NOPE}", &library), "there is no pattern named NOPE");
    assert_eq!(error("%{LOOP}", &library), "the pattern LOOP contains itself, or becomes longer than 1 MiB");
    assert_eq!(
        error("%{INT:n:date}", &library),
        "\"date\" is not a type of a field in \"%{INT:n:date}\": string, long, double, boolean"
    );
    assert_eq!(
        error("(%{INT}", &library),
        "\"(%{INT}\": no ) follows at byte 24, where its names are written out"
    );
}

#[test]
fn every_pattern_of_the_base_library_compiles() {
    let library = Library::base();
    let names = library.names();
    assert!(names.len() > 300, "{} names", names.len());
    for name in names {
        if let Err(error) = Grok::new(&format!("%{{{name}}}"), &library, false) {
            panic!("{name}: {error}");
        }
    }
}
