//! A Prometheus of its own: started on a free port of loopback with a temporary directory, ended by its pid.
//!
//! The program is Debian's, which `cargo xtask setup --for test` unpacks into the cache without installing it (installed, it
//! would run as a service); or one on the PATH, or in `UNREADY_PROMETHEUS_DIR`.

use crate::{
    http::{free_port, get},
    processes::Daemon,
    wait,
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

const READY_WITHIN: Duration = Duration::from_mins(1);
const SCRAPE_SECONDS: u32 = 1;

/// Where `prometheus` and `promtool` are.
pub fn program(name: &str) -> Result<PathBuf> {
    let given = env::var_os("UNREADY_PROMETHEUS_DIR").map(PathBuf::from);
    let caches = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cache")));
    let cached = caches.map(|caches| caches.join("unready/prometheus/usr/bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = given.into_iter().chain(cached).chain(env::split_paths(&path));
    let found = folders.find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()));
    found.with_context(|| format!("there is no {name}: `cargo xtask setup --for test` fetches it"))
}

/// Something to scrape.
#[derive(Clone, Debug)]
pub struct Target {
    pub job: &'static str,
    /// Where it serves `/metrics`.
    pub address: SocketAddr,
}

/// It runs as long as this lives.
#[derive(Debug)]
pub struct Prometheus {
    daemon: Daemon,
    address: SocketAddr,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it with the alerts of `deploy/prometheus`, and waits until it has scraped all targets.
    pub fn start(targets: &[Target]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("unready-prometheus").tempdir().context("cannot make a temporary directory")?;
        let configuration = directory.path().join("prometheus.yml");
        fs::write(&configuration, configure(targets)).context("cannot write its configuration")?;
        let address = free_port()?;
        let mut command = Command::new(program("prometheus")?);
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null());
        let daemon = Daemon::start("prometheus", command, directory.path())?;
        let prometheus = Self { daemon, address, _directory: directory };
        prometheus.wait_for(targets.len())?;
        Ok(prometheus)
    }

    /// Waits until so many targets are up.
    fn wait_for(&self, targets: usize) -> Result<()> {
        let up = || Ok((self.query("up == 1").is_ok_and(|rows| rows.len() == targets)).then_some(()));
        wait::until("Prometheus to scrape its targets", READY_WITHIN, up)
            .with_context(|| format!("its log:\n{}\nits targets: {:?}", self.daemon.log(), self.get("/api/v1/targets?state=active")))
    }

    /// The values that a query has now; an error when it is not understood.
    pub fn query(&self, expression: &str) -> Result<Vec<f64>> {
        let answer = self.get(&format!("/api/v1/query?query={}", encoded(expression)))?;
        ensure!(answer["status"] == "success", "{expression}: {}", answer["error"]);
        let rows = answer["data"]["result"].as_array().context("the answer has no result")?;
        rows.iter().map(|row| row["value"][1].as_str().unwrap_or_default().parse().with_context(|| format!("{row} is no value"))).collect()
    }

    /// Alerting rules that it has loaded, and how each fares.
    pub fn rules(&self) -> Result<Vec<(String, String)>> {
        let answer = self.get("/api/v1/rules")?;
        let groups = answer["data"]["groups"].as_array().context("the answer has no groups")?;
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(rules.map(|rule| (text(&rule["name"]), text(&rule["health"]))).collect())
    }

    fn get(&self, path: &str) -> Result<Value> {
        serde_json::from_str(&get(self.address, path)?).context("Prometheus answered something that is not JSON")
    }
}

fn configure(targets: &[Target]) -> String {
    let rules = super::folder().join("prometheus/rules.yaml");
    let one = |Target { job, address }: &Target| {
        format!("- {{job_name: '{job}', honor_labels: true, static_configs: [{{targets: ['{address}']}}]}}\n")
    };
    let scraped: Vec<String> = targets.iter().map(one).collect();
    format!(
        "global: {{scrape_interval: {SCRAPE_SECONDS}s, evaluation_interval: {SCRAPE_SECONDS}s}}\nrule_files: ['{}']\nscrape_configs:\n{}",
        rules.display(),
        scraped.concat()
    )
}

/// For a URL's query.
fn encoded(text: &str) -> String {
    let one = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// Runs promtool in `deploy/prometheus`.
pub fn promtool(arguments: &[&str]) -> Result<()> {
    let folder = super::folder().join("prometheus");
    run(Command::new(program("promtool")?).args(arguments).current_dir(&folder), &folder)
}

fn run(command: &mut Command, place: &Path) -> Result<()> {
    let output = command.output().with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "in {}: {said}", place.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_fits_into_a_url() {
        assert_eq!(encoded("a{b=\"c\"}"), "a%7Bb%3D%22c%22%7D");
    }
}
