# Processes and their cgroups. Sourced by cluster.sh.
#
# A process is recorded with its start time, and ended only if pid and start time still agree.

# started PID: its start time, nothing for one that is dead or only waits to be reaped
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" && $1 != "X" {print $20}'; }
alive() { local pid start; read -r pid start 2>/dev/null <"$STATE/pids/$1" && [ "$(started "$pid")" = "$start" ]; }
# start NAME COMMAND…, or start NAME: by the command of the first time
start() {
    local name=$1 command pid; shift
    [ $# -eq 0 ] || printf '%s\0' "$@" >"$STATE/commands/$name"
    [ -e "$STATE/commands/$name" ] || die "$name was never started: \`up\` does"
    mapfile -d '' -t command <"$STATE/commands/$name"
    say "starting $name"
    # In a cgroup of the cluster's own, so that the shims which containerd leaves behind can be found again. HOME is not the
    # user's: the kubelet looks there for credentials.
    (echo "$BASHPID" >"$(own_cgroup)/cgroup.procs"; exec setsid env -i HOME="$STATE" PATH="$STATE/bin:/usr/sbin:/usr/bin:/sbin:/bin" "${command[@]}") \
        >>"$STATE/log/$name.log" 2>&1 </dev/null 8>&- &
    pid=$!
    disown "$pid"
    echo "$pid $(started "$pid")" >"$STATE/pids/$name"
}
# end NAME…: killed outright, their state is thrown away with them
end() {
    local name pid i
    for name in "$@"; do if alive "$name"; then read -r pid _ <"$STATE/pids/$name"; kill -KILL "$pid" 2>/dev/null || :; fi; done
    for name in "$@"; do
        for ((i = 0; i < 50; i++)); do alive "$name" || break; sleep 0.1; done
        rm -f "$STATE/pids/$name"
    done
}
# Which of the recorded processes ended by themselves?
died() { local file; for file in "$STATE"/pids/*; do [ ! -e "$file" ] || alive "${file##*/}" || echo "${file##*/}"; done; }
# until_ok SECONDS WHAT COMMAND…: tries until it succeeds; gives up early when a daemon died
until_ok() {
    local limit=$((SECONDS + $1)) what=$2 name; shift 2
    until "$@" >/dev/null 2>&1; do
        for name in $(died); do
            tail -n 20 "$STATE/log/$name.log" >&2
            die "$name ended, the end of its log is above; when its reason is gone, \`up\` starts anew"
        done
        [ $SECONDS -lt $limit ] || die "waited in vain for $what: the logs are in $STATE/log; \`up\` starts anew, \`down\` takes everything away"
        sleep 0.1
    done
}

cgroup2() { awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts; }
own_cgroup() { echo "$(cgroup2)/unready-cluster"; }
# every hierarchy's folder of that name
cgroup_dirs() { local m; for m in $(awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/mounts); do [ -d "$m/$1" ] && echo "$m/$1"; done; return 0; }
# the processes below it, in whichever hierarchy
cgroup_pids() { local dir; for dir in $(cgroup_dirs "$1"); do find "$dir" -name cgroup.procs -exec cat {} + 2>/dev/null; done | sort -un | grep -vx 0 || :; }
# end each process in a tree of cgroups by pid, then remove the folders
clear_cgroup() {
    local dir i pids
    for ((i = 0; i < 50; i++)); do
        pids=$(cgroup_pids "$1")
        [ -n "$pids" ] || break
        # shellcheck disable=SC2086
        kill -KILL $pids 2>/dev/null || :
        sleep 0.1
    done
    for ((i = 0; i < 50; i++)); do # the kernel lets go of a folder a moment after its last process
        for dir in $(cgroup_dirs "$1"); do find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || :; done
        [ -n "$(cgroup_dirs "$1")" ] || return 0
        sleep 0.1
    done
    say "left behind: $(cgroup_dirs "$1" | tr '\n' ' ')"
}
