//! Who listens in a network namespace, and which addresses it has.

use super::{
    listening::{self, Socket, has_open},
    netns::Network,
    proc,
};
use std::net::{IpAddr, Ipv6Addr};
use unready_diagnosis::question::Listener;

/// Addresses told.
const MAX_ADDRESSES: usize = 64;

/// Who listens on a port. `first` are the processes that are most likely: those of the container.
pub(super) fn listener(network: &Network, port: u16, first: &[u32]) -> Result<Option<Listener>, String> {
    let tables: Vec<String> = ["tcp", "tcp6"].into_iter().filter_map(|name| network.table(name)).collect();
    if tables.is_empty() {
        return Err("its network namespace can no longer be read".to_owned());
    }
    let socket = tables.iter().flat_map(|table| listening::sockets(table)).find(|socket| socket.port == port);
    Ok(socket.map(|socket| describe(&socket, network, first)))
}

fn describe(socket: &Socket, network: &Network, first: &[u32]) -> Listener {
    let owner = owner(socket.inode, network.number(), first);
    Listener {
        pid: owner,
        comm: owner.and_then(|pid| proc::read(pid, "comm", 64)).map(|name| name.trim_end().to_owned()),
        cgroup_path: owner.and_then(cgroup_path),
        address: socket.address.to_string(),
        since: owner.and_then(proc::started),
    }
}

/// The cgroup of a living foreign process, as information only.
fn cgroup_path(pid: u32) -> Option<String> {
    let text = proc::read(pid, "cgroup", 64 * 1024)?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// The process that has a socket open.
fn owner(inode: u64, network: Option<u64>, first: &[u32]) -> Option<u32> {
    let same_network = |pid: &u32| network.is_none() || proc::namespace(*pid, "net") == network;
    let all = || listening::processes().filter(|pid| !first.contains(pid)).filter(same_network);
    first.iter().copied().chain(all()).find(|pid| has_open(*pid, &[inode]))
}

/// The addresses of the namespace's interfaces.
pub(super) fn addresses(network: &Network) -> Option<Vec<String>> {
    let v4 = network.table("fib_trie").map(|text| local_v4(&text));
    let v6 = network.table("if_inet6").map(|text| local_v6(&text));
    if v4.is_none() && v6.is_none() {
        return None;
    }
    let mut all: Vec<IpAddr> = v4.into_iter().flatten().chain(v6.into_iter().flatten()).collect();
    all.sort_unstable();
    all.dedup();
    Some(all.into_iter().take(MAX_ADDRESSES).map(|address| address.to_string()).collect())
}

/// Leaves of `/proc/net/fib_trie` that are `/32 host LOCAL`.
fn local_v4(text: &str) -> Vec<IpAddr> {
    let mut leaf = None;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf.map(IpAddr::V4));
        }
    }
    found
}

/// Lines of `/proc/net/if_inet6` begin with the address in 32 digits, in the network's order.
fn local_v6(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| u128::from_str_radix(line.get(..32)?, 16).ok();
    text.lines().filter_map(address).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn our_own_listener() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = listener(&Network::Own, port, &[]).unwrap().unwrap();
        assert_eq!(found.pid, Some(std::process::id()));
        assert_eq!(found.address, "127.0.0.1");
        assert!(found.comm.is_some() && found.since.is_some() && found.cgroup_path.is_some());
        drop(socket);
        assert_eq!(listener(&Network::Own, port, &[]), Ok(None));
    }

    #[test]
    fn addresses_of_tables() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.1.2.3\n        \
                    /32 host LOCAL\n     |-- 10.1.2.255\n        /32 link BROADCAST\n";
        assert_eq!(local_v4(trie), ["10.1.2.3".parse::<IpAddr>().unwrap()]);
        assert_eq!(local_v6("00000000000000000000000000000001 01 80 10 80       lo\nx\n"), [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        assert!(addresses(&Network::Own).unwrap().contains(&"127.0.0.1".to_owned()));
    }
}
