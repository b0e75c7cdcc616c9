//! A TCP socket of a cgroup under attention begins or ceases to listen. Level 1.

use crate::{
    globals::field,
    maps::WATCHED,
    peek::Kernel,
    record::{current_cgroup, current_task, header, send},
    tally::{Outcome, Verdict, tally},
};
use aya_ebpf::{macros::tracepoint, programs::TracePointContext};
use unready_agent_common::{
    counters::Hook,
    record::{Kind, Listening},
};

/// `TCP_LISTEN` of `include/net/tcp_states.h`, unchanged since 2005.
const TCP_LISTEN: u32 = 10;
/// `IPPROTO_TCP` and `IPPROTO_MPTCP`: SCTP fires the same tracepoint.
const STREAMS: [u16; 2] = [6, 262];
const AF_INET: u16 = 2;

/// `sock/inet_sock_set_state`
#[tracepoint]
pub(crate) fn listen_changed(ctx: TracePointContext) -> u32 {
    tally(Hook::Listen, changed(&ctx));
    0
}

#[inline(always)]
fn changed(ctx: &TracePointContext) -> Verdict {
    let context = Kernel::context(ctx);
    let old: u32 = context.get(field!(sock_oldstate))?;
    let new: u32 = context.get(field!(sock_newstate))?;
    // Only these two states change in the context of the process; a connection's come with packets, in anyone's.
    if old != TCP_LISTEN && new != TCP_LISTEN {
        return Ok(Outcome::Filtered);
    }
    let cgroup = current_cgroup();
    if WATCHED.get_ptr(cgroup).is_none() || !STREAMS.contains(&context.get(field!(sock_protocol))?) {
        return Ok(Outcome::Filtered);
    }
    let family: u16 = context.get(field!(sock_family))?;
    Ok(send(Listening {
        header: header::<Listening>(Kind::Listening),
        task: current_task(cgroup),
        family,
        port: context.get(field!(sock_sport))?,
        open: u32::from(new == TCP_LISTEN),
        address: if family == AF_INET { ipv4(context.get(field!(sock_saddr))?) } else { context.get(field!(sock_saddr_v6))? },
    }))
}

/// Four bytes, then zeros.
#[inline(always)]
fn ipv4(address: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = address;
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}
