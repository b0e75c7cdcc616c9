//! A TCP socket of a cgroup under attention begins or ceases to listen. Level 1.

use crate::{
    budget::{pay, starting},
    globals::member,
    peek::KernelAddress,
    record::{current_cgroup, current_task, header, send},
    tally::{HookResult, Outcome, Unreadable, tally},
};
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use unready_agent_common::{
    hooks::Hook,
    record::{Kind, Listening},
    watch::Budget,
};

/// `TCP_LISTEN` of `include/net/tcp_states.h`, unchanged since 2005.
const TCP_LISTEN: u32 = 10;
/// `IPPROTO_TCP` and `IPPROTO_MPTCP`: SCTP fires the same tracepoint.
const STREAMS: [u16; 2] = [6, 262];
const AF_INET: u16 = 2;

/// `inet_sock_set_state`: the socket, its old and its new state
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub(crate) fn listen_changed(ctx: RawTracePointContext) {
    let (old, new) = (ctx.arg::<u32>(1), ctx.arg::<u32>(2));
    // Only these changes are made by the process itself; a connection's states come with packets, in anyone's context.
    if old == TCP_LISTEN || new == TCP_LISTEN {
        tally(Hook::Listen, changed(KernelAddress::argument(&ctx, 0), new == TCP_LISTEN));
    }
}

#[inline(always)]
fn changed(sock: KernelAddress, open: bool) -> HookResult {
    let cgroup = current_cgroup();
    let Some(watch) = starting(cgroup) else {
        return Ok(Outcome::Filtered);
    };
    if !STREAMS.contains(&sock.get(member!(sock_protocol))?) {
        return Ok(Outcome::Filtered);
    }
    if let Err(outcome) = pay(watch, Budget::Listen) {
        return Ok(outcome);
    }
    let family: u16 = sock.get(member!(sock_family))?;
    Ok(send(Listening {
        header: header::<Listening>(Kind::Listening),
        task: current_task(cgroup),
        family,
        port: u16::from_be(sock.get(member!(sock_port))?),
        open: u32::from(open),
        address: if family == AF_INET { ipv4(sock)? } else { sock.get(member!(sock_address_v6))? },
    }))
}

/// Four bytes, then zeros.
#[inline(always)]
fn ipv4(sock: KernelAddress) -> Result<[u8; 16], Unreadable> {
    let [a, b, c, d]: [u8; 4] = sock.get(member!(sock_address))?;
    Ok([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}
