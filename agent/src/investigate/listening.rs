//! Listening sockets: the kernel's tables (`/proc/net/tcp`, `/proc/net/tcp6`) give their inode numbers, the links of
//! `/proc/PID/fd` say which processes have them.
//!
//! Both the investigator and `unready run` read them here. A line that cannot be understood is passed over.

use super::proc;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// Longest table that is read, bytes.
const MAX_TABLE: u64 = 8 << 20;
/// Processes whose descriptors are looked through for a socket.
const MAX_PROCESSES: usize = 8192;
/// Descriptors of a process that are looked at.
const MAX_DESCRIPTORS: usize = 4096;
/// `TCP_LISTEN` of `include/net/tcp_states.h`, as `/proc/net/tcp` shows it.
const LISTEN: &str = "0A";

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// As the kernel has it: an IPv4 address of a socket of both families is mapped.
    pub address: IpAddr,
    pub port: u16,
    /// The socket's number.
    pub inode: u64,
}

/// Those of our own network namespace.
pub fn here() -> Vec<Socket> {
    let table = |name| proc::read_bytes(format!("{}/self/net/{name}", proc::PROC), MAX_TABLE).unwrap_or_default();
    ["tcp", "tcp6"].into_iter().flat_map(|name| sockets(&String::from_utf8_lossy(&table(name))).collect::<Vec<_>>()).collect()
}

/// Those of a table.
pub(super) fn sockets(table: &str) -> impl Iterator<Item = Socket> {
    table.lines().filter_map(socket)
}

/// All processes that are looked at.
pub fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(proc::PROC).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(MAX_PROCESSES)
}

/// Whether a process has one of these sockets open.
pub fn has_open(pid: u32, inodes: &[u64]) -> bool {
    let descriptors = fs::read_dir(proc::path(pid, "fd")).into_iter().flatten().flatten().take(MAX_DESCRIPTORS);
    descriptors.filter_map(|entry| inode(&fs::read_link(entry.path()).ok()?)).any(|inode| inodes.contains(&inode))
}

/// The number of a link text such as `socket:[4711]`.
fn inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A line of `/proc/net/tcp` or `tcp6`, if the socket listens:
/// `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 12345 …`
fn socket(line: &str) -> Option<Socket> {
    let mut fields = line.split_whitespace().skip(1);
    let (address, port) = fields.next()?.split_once(':')?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Socket { address: address_of(address)?, port: u16::from_str_radix(port, 16).ok()?, inode })
}

/// Addresses are printed as 32-bit words in the machine's order, though they are stored in the network's.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (index, place) in bytes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *place = word(index * 8)?;
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn listening_sockets() {
        let v4 = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0 100 0 0 10 0";
        assert_eq!(socket(v4), Some(Socket { address: Ipv4Addr::LOCALHOST.into(), port: 8080, inode: 12345 }));
        let v6 = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 7 1";
        assert_eq!(socket(v6), Some(Socket { address: Ipv6Addr::LOCALHOST.into(), port: 80, inode: 7 }));
        assert_eq!(socket(&v4.replace(" 0A ", " 01 ")), None);
        assert_eq!(socket("  sl  local_address rem_address   st tx_queue"), None);
    }

    #[test]
    fn links_of_sockets() {
        assert_eq!(inode(Path::new("socket:[4711]")), Some(4711));
        assert_eq!(inode(Path::new("/dev/null")), None);
    }
}
