//! What goes into the build, as `cargo metadata` tells it.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::checkout::root;

/// A package and what it needs.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    /// `None` for the project's own.
    pub(crate) source: Option<String>,
    /// Folder of the manifest, from the root; the project's own only.
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A line of `[dependencies]`.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Of tests, examples and benches only.
    pub(crate) dev: bool,
}

impl Package {
    /// Whether the project owns it.
    pub(crate) fn is_ours(&self) -> bool {
        self.source.is_none()
    }

    /// Name without `millrace-`.
    pub(crate) fn short(&self) -> &str {
        short(&self.name)
    }
}

/// Name without `millrace-`.
pub(crate) fn short(name: &str) -> &str {
    name.strip_prefix("millrace-").unwrap_or(name)
}

/// Every package that is built on this kind of machine.
pub(crate) fn packages() -> Vec<Package> {
    static PACKAGES: OnceLock<Vec<Package>> = OnceLock::new();
    PACKAGES.get_or_init(ask).clone()
}

fn ask() -> Vec<Package> {
    let version = run("rustc", &["-vV"]);
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc -vV names the host");
    let text = run("cargo", &["metadata", "--format-version", "1", "--locked", "--filter-platform", host]);
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let root = root();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| read(package, &root.display().to_string()))
        .collect()
}

fn read(package: &Value, root: &str) -> Package {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let manifest = text(&package["manifest_path"]).unwrap();
    let folder =
        manifest.strip_prefix(root).map(|path| path.trim_start_matches('/').trim_end_matches("/Cargo.toml"));
    let dependency =
        |value: &Value| Dependency { name: text(&value["name"]).unwrap(), dev: value["kind"] == "dev" };
    Package {
        name: text(&package["name"]).unwrap(),
        version: text(&package["version"]).unwrap(),
        licence: text(&package["license"]),
        source: text(&package["source"]),
        folder: folder.unwrap_or_default().to_owned(),
        dependencies: package["dependencies"].as_array().unwrap().iter().map(dependency).collect(),
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
