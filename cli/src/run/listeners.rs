//! Whose socket answers on a port: an answer to the probe counts only if it is CMD's.
//!
//! A socket may be shared (inherited by workers): it is CMD's if any of its processes has it.

use std::{fs, net::SocketAddr};
use unready_agent::investigate::listening::{self, Socket, has_open};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A process of CMD.
    Ours,
    /// Somebody else, in words: `nginx (pid 812)`.
    Other(String),
    /// Nobody on this machine's network namespace, as far as can be seen.
    Unknown,
}

/// Who listens where `address` was answered.
pub(crate) fn owner(address: SocketAddr, ours: &[u32]) -> Owner {
    let inodes = serving(&listening::here(), address);
    if inodes.is_empty() {
        return Owner::Unknown;
    }
    if ours.iter().any(|pid| has_open(*pid, &inodes)) {
        return Owner::Ours;
    }
    Owner::Other(holder(&inodes).unwrap_or_else(|| "a process that cannot be seen from here".into()))
}

/// Inodes of the sockets that serve an address: those bound to it, else those bound to all.
fn serving(sockets: &[Socket], address: SocketAddr) -> Vec<u64> {
    let wanted = address.ip().to_canonical();
    let on_port = || sockets.iter().filter(|socket| socket.port == address.port());
    let exact: Vec<u64> = on_port().filter(|socket| socket.address.to_canonical() == wanted).map(|socket| socket.inode).collect();
    if exact.is_empty() {
        on_port().filter(|socket| socket.address.to_canonical().is_unspecified()).map(|socket| socket.inode).collect()
    } else {
        exact
    }
}

fn holder(inodes: &[u64]) -> Option<String> {
    let pid = listening::processes().find(|pid| has_open(*pid, inodes))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (pid {pid})", name.trim()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_nearer_address_serves() {
        let bound = |address: &str, inode| {
            let address: SocketAddr = address.parse().unwrap();
            Socket { address: address.ip(), port: address.port(), inode }
        };
        let sockets = [bound("127.0.0.1:8080", 111), bound("0.0.0.0:8080", 222), bound("[::ffff:10.0.0.2]:8080", 333)];
        let serving = |address: &str| serving(&sockets, address.parse().unwrap());
        assert_eq!(serving("127.0.0.1:8080"), [111]);
        assert_eq!(serving("[::ffff:127.0.0.1]:8080"), [111]);
        assert_eq!(serving("10.0.0.2:8080"), [333]);
        assert_eq!(serving("10.0.0.1:8080"), [222]);
        assert!(serving("10.0.0.1:8081").is_empty());
    }

    #[test]
    fn a_real_listener_has_an_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let me = std::process::id();
        assert_eq!(owner(address, &[me]), Owner::Ours);
        assert!(matches!(owner(address, &[]), Owner::Other(who) if who.contains(&format!("pid {me}"))));
        drop(listener);
        assert_eq!(owner(address, &[me]), Owner::Unknown);
    }
}
