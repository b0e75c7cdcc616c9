//! Probes and hooks, in words: `GET http://:8080/readyz`, `TCP :5432`, `exec pg_isready`, `gRPC :9000`, `sleep 5s`.

use super::{MAX_WORD, cut};
use k8s_openapi::{api::core::v1 as api, apimachinery::pkg::util::intstr::IntOrString};
use unready_diagnosis::pod::Probe;

/// The API server's defaults (`SetDefaults_Probe` of `pkg/apis/core/v1`).
const PERIOD: u32 = 10;
const TIMEOUT: u32 = 1;
const FAILURES: u32 = 3;

pub(super) fn probe(probe: &api::Probe) -> Probe {
    let (action, port) = action(probe);
    // Zero stands for "not set" in periods, time-outs and thresholds.
    let number =
        |value: Option<i32>, default| value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(default);
    Probe {
        action,
        port,
        initial_delay: number(probe.initial_delay_seconds, 0),
        period: number(probe.period_seconds, PERIOD),
        timeout: number(probe.timeout_seconds, TIMEOUT),
        failures: number(probe.failure_threshold, FAILURES),
    }
}

pub(super) fn handler(handler: &api::LifecycleHandler) -> String {
    if let Some(sleep) = &handler.sleep {
        return format!("sleep {}s", sleep.seconds);
    }
    let (exec, get, tcp) = (handler.exec.as_ref(), handler.http_get.as_ref(), handler.tcp_socket.as_ref());
    exec.map(self::exec).or_else(|| get.map(http)).or_else(|| tcp.map(self::tcp)).unwrap_or_default()
}

fn action(probe: &api::Probe) -> (String, String) {
    if let Some(get) = &probe.http_get {
        (http(get), port(&get.port))
    } else if let Some(socket) = &probe.tcp_socket {
        (tcp(socket), port(&socket.port))
    } else if let Some(grpc) = &probe.grpc {
        let service = grpc.service.as_deref().filter(|service| !service.is_empty()).map(|service| format!(" {service}"));
        (format!("gRPC :{}{}", grpc.port, service.unwrap_or_default()), grpc.port.to_string())
    } else {
        (probe.exec.as_ref().map(exec).unwrap_or_default(), String::new())
    }
}

fn http(get: &api::HTTPGetAction) -> String {
    let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_ascii_lowercase();
    let path = get.path.as_deref().unwrap_or("/");
    let slash = if path.starts_with('/') { "" } else { "/" };
    cut(&format!("GET {scheme}://{}:{}{slash}{path}", get.host.as_deref().unwrap_or_default(), port(&get.port)), MAX_WORD)
}

fn tcp(socket: &api::TCPSocketAction) -> String {
    format!("TCP {}:{}", socket.host.as_deref().unwrap_or_default(), port(&socket.port))
}

fn exec(exec: &api::ExecAction) -> String {
    cut(&format!("exec {}", exec.command.as_deref().unwrap_or_default().join(" ")), MAX_WORD)
}

fn port(port: &IntOrString) -> String {
    match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    }
}
