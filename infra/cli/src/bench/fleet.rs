//! Services as processes of their own, as they run in production.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::Context;
use millrace_kafka_local::{free_port, mortal, spawn};
use millrace_runtime::config::Config;
use millrace_runtime::service::Service;
use millrace_runtime::stop::Stop;

use super::site::Site;
use crate::search::Asker;

/// Processes of this binary on the broker of a site.
pub(super) struct Fleet {
    /// What the measurement itself asks with.
    pub(super) service: Service,
    /// The query service, once it runs.
    pub(super) asker: Asker,
    /// The forwarder follows what lies here.
    pub(super) logs: PathBuf,
    /// Where a gateway takes HTTP and syslog, host:port.
    pub(super) gateway: String,
    pub(super) syslog: String,
    config: PathBuf,
    running: Vec<(&'static str, Child)>,
}

impl Fleet {
    /// Starts `services`, named by their subcommands.
    pub(super) fn start(site: &Site, services: &[&'static str]) -> anyhow::Result<Fleet> {
        Fleet::start_with(site, services, "")
    }

    /// The same, with `more` in the configuration.
    pub(super) fn start_with(site: &Site, services: &[&'static str], more: &str) -> anyhow::Result<Fleet> {
        let data = site.folder("services")?;
        let logs = site.folder("logs")?;
        let [query, gateway, syslog] =
            [free_port()?, free_port()?, free_port()?].map(|port| format!("127.0.0.1:{port}"));
        let text = format!(
            "data_dir = {data:?}\n[kafka]\nbrokers = {:?}\n[registry]\nurl = {:?}\n[ops]\nlisten = \"off\"\n\
             [log]\nlevel = \"warn\"\n[query]\nlisten = {query:?}\nanonymous = \"default\"\n\
             [gateway]\nlisten = {gateway:?}\nanonymous = \"default\"\nsyslog_listen = {syslog:?}\n\
             [[forward.input]]\nglobs = [\"{}/*.log\"]\nstream = \"web\"\n{more}",
            site.broker.address(),
            site.registry_url(),
            logs.display(),
        );
        let config = data.join("bench.toml");
        std::fs::write(&config, text)?;
        let loaded = Config::load(Some(&config))?;
        let mut fleet = Fleet {
            service: Service::open(&loaded, &Stop::default())?,
            asker: Asker::new(&format!("http://{query}"))?,
            logs,
            gateway,
            syslog,
            config,
            running: Vec::new(),
        };
        for name in services {
            fleet.spawn(name)?;
        }
        if services.contains(&"query") {
            fleet.wait_for_query()?;
        }
        Ok(fleet)
    }

    fn spawn(&mut self, name: &'static str) -> anyhow::Result<()> {
        let mut command = mortal(&std::env::current_exe()?)?;
        command.args(name.split(' ')).arg("--config").arg(&self.config);
        let child = spawn(command).with_context(|| format!("could not start millrace {name}"))?;
        self.running.push((name, child));
        Ok(())
    }

    fn wait_for_query(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        while let Err(error) = self.count("") {
            anyhow::ensure!(
                start.elapsed() < Duration::from_secs(60),
                "no query service after 60 s: {error}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Number of lines that a search finds.
    pub(super) fn count(&self, query: &str) -> anyhow::Result<u64> {
        let found = self.asker.ask(&[("q", query.to_owned()), ("limit", "1".to_owned())], None)?;
        found["total"].as_u64().ok_or_else(|| anyhow::anyhow!("the answer has no total: {found}"))
    }

    /// Peak resident memory of each service, MB.
    pub(super) fn memory(&self) -> anyhow::Result<Vec<(&'static str, f64)>> {
        self.running.iter().map(|(name, child)| Ok((*name, resident(child.id())?))).collect()
    }

    /// CPU seconds that a service has taken so far.
    pub(super) fn cpu_seconds(&self, service: &str) -> anyhow::Result<f64> {
        let running = self.running.iter().find(|(name, _)| *name == service);
        let (_, child) = running.with_context(|| format!("millrace {service} does not run"))?;
        cpu_seconds(child.id())
    }

    /// A service that has ended by itself is an error.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        for (name, child) in &mut self.running {
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("millrace {name} ended by itself: {status}");
            }
        }
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // What is measured is over: nobody waits for a last commit.
        for (_, child) in &mut self.running {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// CPU seconds that a process has taken so far.
pub(super) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    // Behind the name in brackets: state is field 3, utime and stime are 14 and 15, in hundredths (proc(5)).
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_ascii_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

fn resident(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status =
        std::fs::read_to_string(Path::new(&path)).with_context(|| format!("could not read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}
