use std::collections::BTreeMap;

use axum::http::HeaderMap;
use millrace_runtime::keys::NewKey;
use millrace_schemas::access::{KeyEntry, Role, Streams};
use millrace_schemas::control::ControlRecord;
use millrace_schemas::quota::Quota;
use serde_json::json;

use super::action::{Action, Tried};
use super::*;

/// `GET keys?tenant=acme {"a": 1}`, as JSON.
fn read(text: &str) -> Result<Wanted, u16> {
    let (method, rest) = text.split_once(' ').unwrap();
    let (target, body) = rest.split_once(' ').unwrap_or((rest, ""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let is_json = body.starts_with('{');
    let asked =
        Asked { method, path, query, is_json, if_match: None, if_none_match: None, body: body.as_bytes() };
    Wanted::read(&asked).map_err(|reply| reply.status.as_u16())
}

fn action(text: &str) -> Action {
    read(text).unwrap().action
}

#[test]
fn a_request_says_what_it_wants() {
    assert_eq!(action("GET tenants"), Action::Tenants);
    assert_eq!(action(r#"POST tenants {"id":"acme"}"#), Action::CreateTenant { id: "acme".into() });
    let quota = Quota { max_streams: Some(3), ..Quota::default() };
    assert_eq!(
        action(r#"PUT tenants/acme/quota {"max_streams":3}"#),
        Action::SetQuota { tenant: "acme".into(), quota }
    );
    let Action::SetStream { tenant, name, wish, .. } =
        action(r#"PUT tenants/acme/streams/web.1 {"source":"shop","note":null,"set":5}"#)
    else {
        panic!("no stream")
    };
    assert_eq!((tenant.as_str(), name.as_str(), wish.source.as_deref()), ("acme", "web.1", Some("shop")));
    let Action::CreateKey { tenant: None, wish } =
        action(r#"POST keys {"roles":["read"],"streams":"existing","expires":"1h"}"#)
    else {
        panic!("no key")
    };
    assert_eq!((wish.roles, wish.streams), (vec![Role::Read], Streams::Existing));
    assert_eq!(wish.expires, Some(Duration::from_secs(3_600)));
    assert!(read("DELETE keys/k?dry_run=true").unwrap().dry_run);
    let Action::SetSource { file, .. } = action("PUT sources/shop [[source]]\n") else { panic!("no source") };
    assert_eq!((file.toml.as_str(), file.patterns), ("[[source]]\n", None));
    let shown = r#"PUT sources/shop {"version":1,"toml":"x","patterns":["A b"],"set":5}"#;
    let Action::SetSource { file, .. } = action(shown) else { panic!("no source") };
    assert_eq!((file.toml.as_str(), file.patterns), ("x", Some(vec!["A b".to_owned()])), "as it was shown");
    let Action::Try { source, lines } = action("POST parse/try?source=json a\nb\r\n") else {
        panic!("no try")
    };
    assert_eq!((source, lines), (Tried::Named("json".into()), vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn what_is_not_understood_is_refused() {
    for (text, status) in [
        ("GET nothing", 404),
        ("GET tenants/acme", 404),
        ("GET tenants/../keys", 404),
        ("PATCH tenants", 405),
        ("POST sources/shop", 405),
        ("POST tenants acme", 400),
        (r#"POST tenants {"id":"acme","more":1}"#, 400),
        (r#"PUT tenants/acme/quota {"max_stream":3}"#, 400),
        (r#"PUT tenants/acme/streams/web {"sources":"shop"}"#, 400),
        ("PUT tenants/acme/streams {}", 405),
        ("POST tenants/acme/streams/web {}", 405),
        (r#"PUT tenants/acme/quota {"max_streams":-3}"#, 400),
        (r#"POST keys {"roles":["root"]}"#, 400),
        (r#"POST keys {"roles":["read"],"streams":"some"}"#, 400),
        (r#"POST keys {"roles":["read"],"expires":"soon"}"#, 400),
        ("GET keys?tenants=acme", 400),
        ("GET keys?dry_run=true", 400),
        ("DELETE keys/k?dry_run=yes", 400),
        ("POST parse/try a", 400),
        (r#"POST parse/try {"lines":["a"],"source":"json","toml":"x"}"#, 400),
    ] {
        assert_eq!(read(text).err(), Some(status), "{text}");
    }
    let many = format!("POST parse/suggest {}", "a\n".repeat(1_001));
    assert_eq!(read(&many).err(), Some(413));
}

#[test]
fn a_tenants_key_does_what_concerns_its_tenant_alone() {
    let acme = Who::Tenant { tenant: "acme".to_owned(), key: "k".to_owned() };
    let may = |text: &str| action(text).allowed(&acme).is_ok();
    for text in [
        "GET tenants",
        "GET tenants/acme/quota",
        "GET tenants/acme/streams",
        "GET tenants/acme/streams/web",
        r#"PUT tenants/acme/streams/web {"source":"shop"}"#,
        "DELETE tenants/acme/streams/web",
        "GET keys",
        "GET keys?tenant=acme",
        r#"POST keys {"roles":["admin"]}"#,
        "DELETE keys/k",
        "POST parse/try?source=json {}",
        r#"POST parse/try {"toml":"x","lines":[]}"#,
        "POST parse/test x",
        "POST parse/suggest x",
    ] {
        assert!(may(text), "{text}");
    }
    for text in [
        r#"POST tenants {"id":"own"}"#,
        "GET tenants/other/quota",
        "GET tenants/other/streams",
        "GET tenants/other/streams/web",
        "PUT tenants/other/streams/web {}",
        "DELETE tenants/other/streams/web",
        r#"PUT tenants/acme/quota {}"#,
        "DELETE tenants/acme/quota",
        "GET keys?tenant=other",
        r#"POST keys {"tenant":"other","roles":["read"]}"#,
        "GET sources",
        "GET sources/shop",
        "PUT sources/shop x",
        "DELETE sources/shop",
        "POST parse/try?source=shop x",
    ] {
        assert!(!may(text), "{text}");
        assert!(action(text).allowed(&Who::Installation).is_ok(), "{text}");
    }
}

#[test]
fn only_keys_with_the_role_are_answered() {
    let keys = Keyring::of(Some("geheim".to_owned()), []);
    let make = |role: Role| {
        let new = NewKey::make().unwrap();
        let entry = KeyEntry {
            tenant: "acme".into(),
            roles: vec![role],
            hash: new.hash.clone(),
            created: 0,
            expires: Some(100),
            revoked: None,
            note: None,
            streams: Streams::Any,
        };
        let record = ControlRecord::api_key(&new.id, &entry);
        keys.note(record.key().as_bytes(), &record);
        new
    };
    let ask = |header: Option<&str>, now: i64| {
        let mut headers = HeaderMap::new();
        header.map(|header| headers.insert("authorization", header.parse().unwrap()));
        who::of(&headers, &keys, now).map_err(|reply| reply.status.as_u16())
    };
    let bearer = |key: &str| format!("Bearer {key}");
    let admin = make(Role::Admin);
    assert_eq!(ask(Some("Bearer geheim"), 0), Ok(Who::Installation));
    let own = Who::Tenant { tenant: "acme".to_owned(), key: admin.id.clone() };
    assert_eq!(ask(Some(&bearer(&admin.text)), 0), Ok(own));
    assert_eq!(ask(Some(&bearer(&admin.text)), 100), Err(401), "it has expired");
    for role in [Role::Ingest, Role::Read] {
        assert_eq!(ask(Some(&bearer(&make(role).text)), 0), Err(403));
    }
    for header in
        [None, Some(""), Some("Bearer "), Some("Bearer geheil"), Some("geheim"), Some("Basic geheim")]
    {
        assert_eq!(ask(header, 0), Err(401), "{header:?}");
    }
    let none = who::of(&HeaderMap::new(), &keys, 0).unwrap_err();
    assert_eq!(none.body, json!({"error": "the key is missing or wrong: send Authorization: Bearer KEY"}));
}

#[test]
fn a_write_is_named_for_the_log_and_for_errors() {
    for (text, what, says) in [
        (r#"POST tenants {"id":"acme"}"#, Some("acme"), "create tenant acme"),
        ("DELETE sources/shop", Some("shop"), "remove source shop"),
        ("GET sources/shop", None, "show source shop"),
        ("PUT tenants/acme/streams/web {}", Some("web"), "set stream web"),
        ("GET keys", None, "list keys"),
    ] {
        let action = action(text);
        assert_eq!((action.writes(), action.says().as_str()), (what, says));
    }
}
