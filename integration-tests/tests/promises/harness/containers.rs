//! Broker and registry in containers. Brokers serve one test after the other, as those that are children do; whatever
//! the end of this process, all of them are removed.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use millrace_kafka_local::{SETTINGS, free_port};
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, ContainerRequest, GenericImage, ImageExt};

use super::shared;

/// Versions that infra/kafka-local/pom.xml pins; a test of tidy compares.
const KAFKA: (&str, &str) = ("apache/kafka", "4.1.1");
const REGISTRY: (&str, &str) = ("apicurio/apicurio-registry-mem", "2.6.13.Final");

/// How long an image may take to come and to start.
const START: Duration = Duration::from_secs(180);

/// A broker in a container.
pub(crate) struct Boxed {
    pub(crate) brokers: String,
    _container: Container<GenericImage>,
}

static IDLE: Mutex<Vec<Boxed>> = Mutex::new(Vec::new());

/// A broker whom nobody else uses, without topics.
pub(crate) fn take() -> Boxed {
    let idle = idle().pop();
    idle.map_or_else(start_broker, |boxed| {
        shared::remove_topics(&boxed.brokers, |name| !name.starts_with("__"));
        boxed
    })
}

/// For the next test; that of a test that failed is removed.
pub(crate) fn give_back(boxed: Boxed) {
    if !std::thread::panicking() {
        idle().push(boxed);
    }
}

/// Base of the API of the one registry for all tests: schemas are the same for all of them.
pub(crate) fn registry() -> String {
    static ONE: OnceLock<(Container<GenericImage>, String)> = OnceLock::new();
    let start = || {
        let port = free_port().unwrap();
        let image = GenericImage::new(REGISTRY.0, REGISTRY.1)
            .with_wait_for(WaitFor::message_on_stdout("started in"))
            .with_mapped_port(port, 8080.tcp());
        (start(image, "the registry"), format!("http://127.0.0.1:{port}/apis/ccompat/v7"))
    };
    ONE.get_or_init(start).1.clone()
}

fn start_broker() -> Boxed {
    let port = free_port().unwrap();
    let of_this_start = [
        ("listeners", "CLIENT://:9092,INTERNAL://:9094,CONTROLLER://:9093".to_owned()),
        ("advertised.listeners", format!("CLIENT://127.0.0.1:{port},INTERNAL://localhost:9094")),
        ("controller.quorum.voters", "1@localhost:9093".to_owned()),
    ];
    let fixed = SETTINGS.iter().map(|(key, value)| (*key, (*value).to_owned()));
    let mut image = GenericImage::new(KAFKA.0, KAFKA.1)
        .with_wait_for(WaitFor::message_on_stdout("Kafka Server started"))
        .with_mapped_port(port, 9092.tcp())
        .with_env_var("KAFKA_HEAP_OPTS", "-Xmx512m");
    for (key, value) in fixed.chain(of_this_start) {
        image = image.with_env_var(format!("KAFKA_{}", key.replace('.', "_").to_uppercase()), value);
    }
    Boxed { brokers: format!("127.0.0.1:{port}"), _container: start(image, "kafka") }
}

fn start(image: ContainerRequest<GenericImage>, what: &str) -> Container<GenericImage> {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let name = format!("millrace-promises-{}-{number}", std::process::id());
    // Before it is there: this process may be killed while it starts.
    let mut remover = remover();
    let written = remover.stdin.as_mut().map(|input| writeln!(input, "{name}"));
    written.unwrap().expect("who removes the containers has gone");
    drop(remover);
    let image = image.with_container_name(name).with_startup_timeout(START);
    image.start().unwrap_or_else(|error| panic!("the container of {what} cannot be started: {error}"))
}

fn idle() -> MutexGuard<'static, Vec<Boxed>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until nobody holds the other end of its input, then removes each container that was written to it: nothing
/// else is left to do so after a kill, and what lies in a `static` is never dropped.
const REMOVER: &str = r#"
if [ "$TESTCONTAINERS_COMMAND" = keep ]; then engine=true
elif command -v docker; then engine=docker
elif [ -n "$DOCKER_HOST" ]; then engine="podman --remote --url $DOCKER_HOST"
else engine=podman
fi
names=; while read -r name; do names="$names $name"; done
[ -z "$names" ] || $engine rm --force --volumes $names
"#;

fn remover() -> MutexGuard<'static, Child> {
    static CHILD: OnceLock<Mutex<Child>> = OnceLock::new();
    let start = || {
        let mut command = Command::new("sh");
        // A group of its own: Ctrl-C is for the tests.
        command.args(["-c", REMOVER]).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Mutex::new(command.spawn().expect("could not start sh"))
    };
    CHILD.get_or_init(start).lock().unwrap_or_else(PoisonError::into_inner)
}
