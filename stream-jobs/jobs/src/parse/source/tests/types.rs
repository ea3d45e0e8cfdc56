//! One field, one type; and what is lifted.

use super::*;

#[test]
fn a_field_keeps_its_type() {
    let toml = "types = { n = \"long\", t = \"string\" }\nsteps = [\"json\"]";
    check_all(toml, r#"{"n":"7","t":1}"#, "n=7L t=1");
    check_all(toml, r#"{"n":"seven","t":"x"}"#, "n_text=seven t=x");
    check_all(toml, r#"{"n":7.5}"#, "n_text=7.5");
}

#[test]
fn a_field_has_the_type_that_any_step_of_its_source_states() {
    let toml = r#"
        types = { took = "string" }
        steps = [{ first_of = [
            [{ grok = { match = '^A %{INT:n:int} %{NUMBER:took:float}$' } }],
            [{ grok = { match = '^B %{WORD:n} %{WORD:took}$' } }],
            [{ grok = { match = '^C %{INT:n} %{NUMBER:took}$' } }],
            ["json", { cast = { ok = "boolean" } }],
        ] }]
    "#;
    check_all(toml, "A 7 1.5", "n=7L took=1.5");
    check_all(toml, "B seven x", "n_text=seven took=x");
    check_all(toml, "C 7 2", "n=7L took=2");
    check_all(toml, r#"{"n":"8","ok":"yes"}"#, "n=8L ok=true");
    check_all(toml, r#"{"n":[8]}"#, "n_text=[8]");
}

#[test]
fn the_host_that_a_line_names_is_lifted() {
    check(r#"["logfmt", { lift = { host = "node" } }]"#, "node=web-7 a=1", "a=1 hostname=web-7");
    check(r#"["logfmt", { lift = { host = "node" } }]"#, "b=2 a=1", "b=2 a=1");
}
