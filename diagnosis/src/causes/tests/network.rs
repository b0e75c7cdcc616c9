//! Binds that fail: who has the port, which addresses there are, which capability is missing.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::{explain, questions, text};
use crate::{
    case::finding::Finding,
    catalogue::{Cause, address_in_use, permission_denied},
    question::{Answer, Listener},
    record::{Call, PathArg, Target},
    story::failure::Failure,
    units::BootNanos,
    words::testing::{FAILED_AT, World, dir, failed, failure_of, special, walk},
};

fn bind(address: &str, port: u16, errno: &str) -> Failure {
    failure_of(failed(Call::Bind, Target::Inet { address: address.into(), port }, 0, errno))
}

fn told(failure: &Failure, world: World, answer: Answer) -> Finding {
    let question = questions(failure, &world.case()).remove(0);
    explain(failure, &world.answer(question, answer).case()).unwrap()
}

fn nginx(pid: u32) -> Listener {
    Listener {
        pid: Some(pid),
        comm: Some("nginx".into()),
        cgroup_path: Some("/kubepods/podx/abc".into()),
        address: "0.0.0.0".into(),
        since: Some(BootNanos(FAILED_AT.0 - 2_000_000_000)),
    }
}

#[test]
fn who_has_the_port() {
    let failure = bind("0.0.0.0", 80, "EADDRINUSE");
    let other = told(&failure, World::pod(), Answer::Listener(Some(nginx(77))));
    assert_eq!((other.cause(), other.subject.name.as_str(), other.proved), (Cause::AddressInUse, "0.0.0.0:80", true));
    assert!(text(&other).contains("nginx (pid 77) of cgroup /kubepods/podx/abc, which started 2.0 s before"), "{}", text(&other));
    assert!(other.remedy.text.contains("containers of a pod share"), "{}", other.remedy.text);

    let own = told(&failure, World::pod().running(&["/app"], None), Answer::Listener(Some(nginx(100))));
    assert!(text(&own).contains("the very process"), "{}", text(&own));

    let nobody = told(&failure, World::pod(), Answer::Listener(None));
    assert!(!nobody.proved && text(&nobody).contains("nobody listens on port 80 now"), "{}", text(&nobody));
    assert!(!explain(&failure, &World::pod().case()).unwrap().proved);
}

#[test]
fn which_addresses_there_are() {
    let failure = bind("10.9.9.9", 80, "EADDRNOTAVAIL");
    let addresses = |list: &[&str]| Answer::Addresses(list.iter().map(ToString::to_string).collect());
    let absent = told(&failure, World::pod(), addresses(&["127.0.0.1", "10.244.0.7"]));
    assert_eq!((absent.cause(), absent.proved), (Cause::AddressUnavailable, true));
    assert!(text(&absent).contains("127.0.0.1 and 10.244.0.7") && absent.remedy.text.contains("status.podIP"), "{}", text(&absent));
    let there = told(&failure, World::pod(), addresses(&["10.9.9.9/24"]));
    assert!(!there.proved && text(&there).contains("is there now"), "{}", text(&there));
    let six = told(&bind("fd00::1", 80, "EADDRNOTAVAIL"), World::pod(), addresses(&["::1"]));
    assert!(six.subject.name == "[fd00::1]:80" && six.remedy.text.contains("Bind ::"), "{}", text(&six));
}

#[test]
fn a_low_port_needs_a_capability_where_the_sysctl_says_so() {
    let failure = bind("0.0.0.0", 80, "EACCES");
    let finding = told(&failure, World::pod(), Answer::UnprivilegedPort(1024));
    assert_eq!(
        (finding.cause(), finding.layer_text().as_str(), finding.proved),
        (Cause::PermissionDenied, "capability NET_BIND_SERVICE", true)
    );
    assert!(
        finding.remedy.text.contains("capabilities.add: [NET_BIND_SERVICE]") && finding.remedy.text.contains("setcap"),
        "{}",
        finding.remedy.text
    );
    let unread = explain(&failure, &World::pod().case()).unwrap();
    assert_eq!((unread.layer_text().as_str(), unread.proved), ("capability NET_BIND_SERVICE", false));
    let allowed = told(&failure, World::pod(), Answer::UnprivilegedPort(0));
    assert_eq!((allowed.layer, allowed.proved), (permission_denied::UNEXPLAINED, false), "the port needs nothing here");
    let mut capable = failure.clone();
    capable.call.creds.cap_effective = 1 << 10;
    assert_eq!(told(&capable, World::pod(), Answer::UnprivilegedPort(1024)).layer, permission_denied::UNEXPLAINED);
    capable.call.creds.user_ns = 4_026_532_000;
    assert_eq!(told(&capable, World::pod(), Answer::UnprivilegedPort(1024)).layer, permission_denied::USER_NAMESPACE);
    let high = told(&bind("0.0.0.0", 8080, "EACCES"), World::pod(), Answer::UnprivilegedPort(1024));
    assert_eq!(high.layer, permission_denied::UNEXPLAINED);
}

#[test]
fn a_socket_file_that_was_left_over() {
    let failure = failure_of(failed(Call::Bind, Target::Unix(PathArg::new("/run/app.sock")), 0, "EADDRINUSE"));
    let socket = special("/run/app.sock", crate::question::FileKind::Socket, 1000, 1000, 0o755);
    let finding = told(&failure, World::pod(), Answer::Walk(walk([dir("/run", 0, 0, 0o755), socket])));
    assert_eq!((finding.layer, finding.subject.name.as_str(), finding.proved), (address_in_use::SOCKET_FILE, "/run/app.sock", true));
    let denied = failure_of(failed(Call::Bind, Target::Unix(PathArg::new("/run/app.sock")), 0, "EACCES"));
    assert!(
        explain(&denied, &World::pod().case()).is_some_and(|found| found.cause() == Cause::PermissionDenied),
        "that belongs to the files"
    );
}

#[test]
fn what_is_no_bind_is_not_ours() {
    let failure = failure_of(failed(Call::Connect, Target::Inet { address: "10.0.0.1".into(), port: 5432 }, 0, "ECONNREFUSED"));
    assert!(questions(&failure, &World::pod().case()).is_empty() && explain(&failure, &World::pod().case()).is_none());
}
