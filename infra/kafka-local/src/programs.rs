//! Finds the programs that are needed: java, mvn, setpriv.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

const INSTALL_JAVA: &str = "debian, ubuntu: apt-get install openjdk-17-jre-headless";
const OLDEST_JAVA: u32 = 17;

pub(crate) fn maven(search_path: &OsStr) -> Result<PathBuf, Error> {
    find("mvn", search_path).ok_or_else(|| Error::MissingProgram {
        program: "mvn",
        purpose: "fetch the jars of kafka and the registry",
        searched: searched(search_path),
        install: "debian, ubuntu: apt-get install maven",
    })
}

pub(crate) fn setpriv(search_path: &OsStr) -> Result<PathBuf, Error> {
    find("setpriv", search_path).ok_or_else(|| Error::MissingProgram {
        program: "setpriv",
        purpose: "start a child that dies with its parent",
        searched: searched(search_path),
        install: "it is part of util-linux; debian, ubuntu: apt-get install util-linux",
    })
}

/// A Java that can run Kafka, and the text by which it names its exact version.
pub(crate) fn java(java_home: Option<&Path>, search_path: &OsStr) -> Result<(PathBuf, String), Error> {
    let in_home = java_home.map(|home| home.join("bin/java")).filter(|java| java.is_file());
    let java = in_home.or_else(|| find("java", search_path)).ok_or_else(|| Error::MissingProgram {
        program: "java",
        purpose: "run kafka and the registry",
        searched: match java_home {
            Some(home) => format!("JAVA_HOME={} and {}", home.display(), searched(search_path)),
            None => searched(search_path),
        },
        install: INSTALL_JAVA,
    })?;
    let output =
        Command::new(&java).arg("-version").stdin(Stdio::null()).output().map_err(Error::io("run", &java))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if major_version(&text).is_some_and(|major| major >= OLDEST_JAVA) {
        return Ok((java, text));
    }
    let found = text.lines().next().unwrap_or_default().to_owned();
    Err(Error::UnfitJava { java, found, install: INSTALL_JAVA })
}

/// `openjdk version "17.0.15" 2025-04-15` → 17; the `"1.8.0_292"` of old gives 1, which is too old as well.
fn major_version(text: &str) -> Option<u32> {
    let quoted = text.lines().find_map(|line| line.split('"').nth(1))?;
    quoted.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn find(program: &str, search_path: &OsStr) -> Option<PathBuf> {
    env::split_paths(search_path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

fn searched(search_path: &OsStr) -> String {
    format!("PATH={}", search_path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::major_version;

    #[test]
    fn java_version_is_read_from_what_it_prints() {
        assert_eq!(major_version("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(major_version("Picked up X: y\nopenjdk version \"21\" 2023-09-19\n"), Some(21));
        assert_eq!(major_version("java version \"1.8.0_292\"\n"), Some(1));
        assert_eq!(major_version("no java\n"), None);
    }
}
