//! Text from outside never reaches a terminal as it is: whatever a collector, an API server or the user's own words hold, in
//! every form of every output, on stdout and on stderr.
//!
//! The forms are those that the program itself offers, and a message is filled field by field: a new one has to be dealt with.

mod collector;
mod verdict;

use super::{Cluster, failure, list, pod, told};
use collector::Collector;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};
use unready_diagnosis::outside;

/// What a terminal would obey, and a line that poses as one of ours.
pub(crate) const HOSTILE: &str =
    "x\u{1b}[2J\u{1b}]0;t\u{7}\r\nFORGED: y\u{9b}31m\u{85}\u{7f}\u{202e}\u{2066}\u{2028}\u{200b}\u{feff}\u{e0041}\tz";

const PATIENCE: Duration = Duration::from_secs(30);

fn unready(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unready"));
    command.args(words).stdin(Stdio::null()).env("KUBECONFIG", "/nonexistent");
    command.env_remove("UNREADY_COLLECTOR").env_remove("UNREADY_LOG").env_remove("KUBERNETES_SERVICE_HOST");
    command
}

/// Neither stream has anything that cannot be seen but the ends of our own lines, nor a line that somebody else began.
#[track_caller]
fn clean(output: &Output, what: &[&str]) -> (String, String) {
    let look = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap_or_else(|error| panic!("{what:?}: {error}"));
        let is_own = |c: char| c == '\n' || (c == '\t' && what.first() == Some(&"__complete"));
        let hidden: Vec<_> = text.chars().filter(|c| outside::is_hidden(*c) && !is_own(*c)).collect();
        assert!(hidden.is_empty(), "{what:?} lets {hidden:?} through:\n{text:?}");
        let forged = text.lines().find(|line| line.trim_start_matches(['#', ' ']).starts_with("FORGED"));
        assert_eq!(forged, None, "{what:?}:\n{text}");
        text
    };
    (look(&output.stdout), look(&output.stderr))
}

/// The same, and that it was quoted at all.
#[track_caller]
fn quotes(output: &Output, what: &[&str]) -> (String, String) {
    let (out, err) = clean(output, what);
    assert!((out.clone() + &err).contains("FORGED"), "{what:?} shows nothing of it:\n{out}{err}");
    (out, err)
}

/// The forms that a subcommand offers.
fn forms(subcommand: &str) -> Vec<String> {
    let offered = unready(&["__complete", subcommand, "-o", ""]).output().unwrap();
    let offered = String::from_utf8(offered.stdout).unwrap();
    let forms: Vec<String> = offered.lines().filter_map(|line| line.split_once('\t')).map(|(form, _)| form.to_owned()).collect();
    assert!(forms.len() >= 2, "{subcommand}: {offered}");
    forms
}

fn body() -> Value {
    json!({ "metadata": { "name": HOSTILE }, "spec": { HOSTILE: [HOSTILE, "plain", "\u{202e}", "tab\there", "two\nlines"] } })
}

#[test]
fn verdicts_of_a_collector() {
    let collector = Collector::start(vec![verdict::hostile(HOSTILE, &body().to_string())], None);
    let url = collector.url();
    for form in forms("get") {
        for more in [&[][..], &["--evidence"], &["--all"], &["-n", HOSTILE]] {
            let words = [&["get", "--collector", &url, "-o", &form][..], more].concat();
            quotes(&unready(&words).output().unwrap(), &words);
        }
    }
    let words = ["get", "--collector", &url, HOSTILE, &format!("pod/{HOSTILE}")];
    clean(&unready(&words).output().unwrap(), &words);
}

#[test]
fn json_and_yaml_keep_the_exact_value() {
    let told = verdict::hostile(HOSTILE, &body().to_string());
    let collector = Collector::start(vec![told], None);
    let url = collector.url();
    let get = |form| String::from_utf8(unready(&["get", "--collector", &url, "-o", form]).output().unwrap().stdout).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&get("json")).unwrap()["summary"], HOSTILE);
    assert_eq!(serde_norway::from_str::<Value>(&get("yaml")).unwrap()["summary"], HOSTILE);
    let patch = |form| String::from_utf8(unready(&["patch", "--all", "--collector", &url, "-o", form]).output().unwrap().stdout).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&patch("json")).unwrap(), body());
    assert_eq!(serde_norway::from_str::<Value>(&patch("yaml")).unwrap(), body());
    let script = format!("kubectl() {{ for last; do :; done; printf %s \"$last\"; }}\n{}", patch("command"));
    let said = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&said.stdout).unwrap(), body(), "{script}");
}

#[test]
fn patches_of_a_collector() {
    let other = verdict::hostile(&format!("{HOSTILE}2"), &json!({ "spec": { HOSTILE: "contradicts" } }).to_string());
    let unreadable = verdict::hostile(HOSTILE, HOSTILE);
    let mut without = verdict::hostile(HOSTILE, "{}");
    without.remedy.as_mut().unwrap().patch = None;
    let one = verdict::hostile(HOSTILE, &body().to_string());
    for verdicts in [vec![one.clone()], vec![one.clone(), other], vec![one, without.clone()], vec![without], vec![unreadable]] {
        let collector = Collector::start(verdicts, None);
        let url = collector.url();
        for form in forms("patch") {
            let words = ["patch", "--all", "--collector", &url, "-o", &form];
            quotes(&unready(&words).output().unwrap(), &words);
        }
    }
}

#[test]
fn a_collectors_refusal() {
    let collector = Collector::start(vec![], Some(HOSTILE));
    let url = collector.url();
    for words in [&["get", "--collector", &url][..], &["get", "--watch", "--collector", &url], &["patch", "--all", "--collector", &url]] {
        let (out, err) = quotes(&unready(words).output().unwrap(), words);
        assert!(out.is_empty() && err.lines().count() == 1, "{words:?}: {out}{err}");
    }
}

#[test]
fn a_watch_and_its_interruption() {
    let collector = Collector::start(vec![verdict::hostile(HOSTILE, &body().to_string())], None);
    let url = collector.url();
    for form in forms("get") {
        let words = ["get", "--watch", "--collector", &url, "-o", &form];
        let place = tempfile::tempdir().unwrap();
        let (out, err) = (place.path().join("out"), place.path().join("err"));
        let mut child = unready(&words).stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap()).spawn().unwrap();
        let until = Instant::now() + PATIENCE;
        let is_told = || fs::read_to_string(&err).is_ok_and(|said| said.contains("trying again") && said.ends_with('\n'));
        while !is_told() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (_, status) = (child.kill(), child.wait().unwrap());
        let output = Output { status, stdout: fs::read(&out).unwrap(), stderr: fs::read(&err).unwrap() };
        let (_, err) = quotes(&output, &words);
        assert!(err.contains("may be old") && err.contains("trying again"), "{words:?}: {err}");
    }
}

/// All that an API server says of a pod, and that it does not check.
fn hostile(mut object: Value) -> Value {
    const FREE: [&str; 11] = [
        "message",
        "reason",
        "image",
        "nodeName",
        "note",
        "reportingInstance",
        "imageID",
        "schedulerName",
        "restartPolicy",
        "hostIP",
        "generateName",
    ];
    fn fill(value: &mut Value) {
        match value {
            Value::Array(all) => all.iter_mut().for_each(fill),
            Value::Object(all) => {
                for (key, one) in all {
                    if let Value::String(text) = one
                        && FREE.contains(&key.as_str())
                    {
                        text.push_str(HOSTILE);
                    } else {
                        fill(one);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
        condition["message"] = "because".into();
        condition["reason"] = "Because".into();
    }
    fill(&mut object);
    if object["kind"] == "Pod" {
        object["metadata"]["labels"] = json!({ "app": HOSTILE });
        object["metadata"]["annotations"] = json!({ HOSTILE: HOSTILE });
        object["metadata"]["ownerReferences"] =
            json!([{ "apiVersion": HOSTILE, "kind": HOSTILE, "name": HOSTILE, "uid": "o", "controller": true }]);
        object["status"]["message"] = HOSTILE.into();
    }
    object
}

/// A verdict that its Event may carry: it names its own pod, and everything else is free.
fn of_an_event() -> Value {
    let mut all = json!(verdict::hostile(HOSTILE, &body().to_string()));
    all["id"] = "00c0ffee00c0ffee".into();
    let workload = &mut all["workload"];
    (workload["namespace"], workload["pod"], workload["podUid"]) = ("shop".into(), "orders".into(), "uid-orders".into());
    all["remedy"]["patch"]["namespace"] = "shop".into();
    all
}

/// Its pod waits for an image: nothing known, or told of by an agent.
fn cluster(is_told: bool) -> Cluster {
    Cluster::new(move |target| match target {
        path if path.starts_with("/api/v1/namespaces/shop/pods") => {
            list("PodList", &[hostile(pod("orders", false)), hostile(pod(HOSTILE, false))])
        }
        path if path.contains("/events") && is_told => {
            list("EventList", &[hostile(told("orders", None)), hostile(told("orders", Some(&of_an_event())))])
        }
        path if path.contains("/events") => list("EventList", &[]),
        path if path.starts_with("/api/v1/pods") => list("PodList", &[]),
        _ => failure(404, "NotFound", HOSTILE),
    })
}

#[test]
fn the_account_of_an_api_server() {
    for is_told in [false, true] {
        let cluster = cluster(is_told);
        for form in forms("get") {
            for more in [&[][..], &["--evidence"], &["pod/orders"]] {
                let words = [&["get", "-o", &form][..], more].concat();
                quotes(&cluster.unready(&words), &words);
            }
        }
        for form in forms("timeline") {
            let words = ["timeline", "pod/orders", "-o", &form];
            quotes(&cluster.unready(&words), &words);
        }
        for form in forms("patch") {
            let words = ["patch", "--all", "-o", &form];
            clean(&cluster.unready(&words), &words);
        }
        let words = ["__complete", "get", ""];
        quotes(&cluster.unready(&words), &words);
    }
}

#[test]
fn the_refusal_of_an_api_server() {
    for (code, reason) in [(403, "Forbidden"), (500, "InternalError"), (422, "Invalid")] {
        let cluster = Cluster::new(move |_| failure(code, reason, HOSTILE));
        for words in [&["get"][..], &["get", "pod/orders"], &["timeline", "orders"], &["patch", "orders"]] {
            quotes(&cluster.unready(words), words);
        }
    }
}

#[test]
fn words_that_were_typed() {
    let place = tempfile::tempdir().unwrap();
    let recording = place.path().join("FORGED\n\u{1b}[2J\u{202e}");
    fs::write(&recording, format!("{{\"unready-recording\":99,\"version\":{}}}\n", json!(HOSTILE))).unwrap();
    let broken = place.path().join("FORGED\u{9b}");
    fs::write(&broken, format!("{{\"unready-recording\":1}}\n{{\"at\":1,\"input\":{{{}:1}}}}\n", json!(HOSTILE))).unwrap();
    let (recording, broken) = (recording.to_str().unwrap(), broken.to_str().unwrap());
    for words in [
        &["explain", HOSTILE][..],
        &["get", "-o", HOSTILE],
        &["get", "--collector", HOSTILE],
        &["get", "--kubeconfig", HOSTILE],
        &["get", HOSTILE, HOSTILE, "--collector", "http://127.0.0.1:1"],
        &["patch", "--cause", HOSTILE],
        &[HOSTILE],
        &["replay", HOSTILE],
        &["replay", recording],
        &["replay", broken],
    ] {
        let output = unready(words).output().unwrap();
        clean(&output, words);
        assert!(!output.status.success() || words[0] == "replay", "{words:?}");
    }
}
