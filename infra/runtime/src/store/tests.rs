//! The store over S3's protocol, against a server that answers the first requests as a script says.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};

use super::{Store, StoreOptions};

/// What becomes of a PUT before the server answers as it should.
#[derive(Debug, Clone, Copy)]
enum Put {
    /// Somebody else's write of the same name is under way; it comes to nothing.
    Conflict,
    /// The object is written; the answer is that the server failed.
    TakenThenFailed,
    /// Nothing is written; the answer says that the keys are wrong.
    Denied,
}

#[derive(Default)]
struct S3 {
    objects: Mutex<HashMap<String, Bytes>>,
    script: Mutex<VecDeque<Put>>,
    /// There is no bucket.
    lost: AtomicBool,
}

impl S3 {
    fn answer(&self, method: &Method, path: &str, body: Bytes) -> (StatusCode, Bytes) {
        if self.lost.load(Ordering::Relaxed) {
            let said = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code></Error>";
            return (StatusCode::NOT_FOUND, Bytes::from_static(said.as_bytes()));
        }
        let mut objects = self.objects.lock().unwrap();
        let taken = objects.contains_key(path);
        let scripted = (*method == Method::PUT).then(|| self.script.lock().unwrap().pop_front()).flatten();
        match scripted {
            Some(Put::Conflict) => return (StatusCode::CONFLICT, Bytes::new()),
            Some(Put::Denied) => return (StatusCode::FORBIDDEN, Bytes::new()),
            Some(Put::TakenThenFailed) => {
                objects.insert(path.to_owned(), body);
                return (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new());
            }
            None => {}
        }
        match *method {
            Method::PUT if taken => (StatusCode::PRECONDITION_FAILED, Bytes::new()),
            Method::PUT => {
                objects.insert(path.to_owned(), body);
                (StatusCode::OK, Bytes::new())
            }
            _ => objects
                .get(path)
                .map_or((StatusCode::NOT_FOUND, Bytes::new()), |own| (StatusCode::OK, own.clone())),
        }
    }
}

/// A store whose server treats its first PUTs as `script` says.
fn store(script: &[Put]) -> (Store, Arc<S3>) {
    let s3 = Arc::new(S3 { script: Mutex::new(script.iter().copied().collect()), ..S3::default() });
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let own = s3.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let answer = move |method: Method, uri: Uri, body: Bytes| {
                let headers = [("etag", "\"1\""), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")];
                let (status, body) = own.answer(&method, uri.path(), body);
                async move { (status, headers, body) }
            };
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
        });
    });
    let options = [
        ("endpoint", endpoint.as_str()),
        ("access_key_id", "k"),
        ("secret_access_key", "s"),
        ("region", "us-east-1"),
        ("allow_http", "true"),
    ];
    let options = StoreOptions {
        url: "s3://bucket/all".to_owned(),
        options: options.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        deadline: Duration::from_secs(20),
    };
    (Store::open(&options).unwrap(), s3)
}

#[test]
fn what_was_put_is_there_whatever_the_store_answered_first() {
    let scripts: [&[Put]; 6] = [
        &[],
        &[Put::Conflict],
        &[Put::Conflict, Put::Conflict],
        &[Put::TakenThenFailed],
        &[Put::TakenThenFailed, Put::Conflict],
        &[Put::Conflict, Put::TakenThenFailed],
    ];
    for script in scripts {
        let (store, s3) = store(script);
        store.put_new("bundles/a", "the bytes").unwrap_or_else(|error| panic!("{script:?}: {error}"));
        let objects = s3.objects.lock().unwrap();
        let found: Vec<&[u8]> = objects.values().map(|own| &own[..]).collect();
        assert_eq!(found, [b"the bytes"], "{script:?}");
    }
}

#[test]
fn an_object_of_the_same_name_that_is_another_is_no_success() {
    let (store, _s3) = store(&[]);
    store.put_new("a", "one").unwrap();
    for other in ["two", "on", "once"] {
        let error = store.put_new("a", other).unwrap_err();
        assert!(matches!(*error.source, object_store::Error::AlreadyExists { .. }), "{error}");
    }
    assert_eq!(&store.read("a").unwrap()[..], b"one");
}

#[test]
fn wrong_keys_are_said_at_once() {
    let (store, _s3) = store(&[Put::Denied]);
    let error = store.put_new("a", "one").unwrap_err();
    assert!(matches!(*error.source, object_store::Error::PermissionDenied { .. }), "{error}");
}

#[test]
fn a_bucket_that_is_missing_says_nothing_of_its_objects() {
    let (store, s3) = store(&[]);
    store.put_new("a", "one").unwrap();
    assert!(store.read("b").unwrap_err().is_not_found());
    s3.lost.store(true, Ordering::Relaxed);
    let range = store.read_range("a", 0..1).map(drop);
    for answer in [store.read("a").map(drop), range, store.delete("a"), store.put_new("b", "two")] {
        let error = answer.unwrap_err();
        assert!(!error.is_damage() && !error.is_not_found(), "{error}");
        let said = error.to_string();
        assert!(said.contains("NoSuchBucket") && !said.contains('\n'), "{said}");
    }
    s3.lost.store(false, Ordering::Relaxed);
    assert_eq!(&store.read("a").unwrap()[..], b"one");
}

#[test]
fn an_object_that_is_cut_short_or_lost_is_damage_and_is_not_tried_again() {
    let url = "memory:///".to_owned();
    let store =
        Store::open(&StoreOptions { url, options: vec![], deadline: Duration::from_secs(600) }).unwrap();
    store.put_new("whole", vec![7; 10]).unwrap();
    assert_eq!(store.read_range("whole", 2..10).unwrap().len(), 8);
    for (name, len) in [("nine", 9), ("one", 1), ("empty", 0)] {
        store.put_new(name, vec![7; len]).unwrap();
        let error = store.read_range(name, 2..10).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains("cut short"), "{error}");
    }
    assert!(store.read_range("none", 0..1).unwrap_err().is_damage());
}
