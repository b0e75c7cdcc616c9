#!/usr/bin/env bash
# A real single-node Kubernetes on this machine, for tests and demo: built from its Go modules, no Docker daemon, no pulls.
# `cargo xtask cluster` calls it, and installs beforehand what it needs.
#
#   cluster.sh up               build what is missing, start the node, wait until it is Ready; up already: start what died
#   cluster.sh down             stop it and take away all that it made, also after half an `up`; the builds stay in the cache
#   cluster.sh load FILE…       import images: docker- or OCI-archives
#   cluster.sh kubectl ARGS…    kubectl as cluster-admin; likewise `helm ARGS…` and `ctr ARGS…`
#   cluster.sh status           what runs, how much memory it takes, the node and its pods; exit status 1 when it is not up
#   cluster.sh logs NAME        the log of one daemon (kubelet, containerd, kube-apiserver, …)
#   cluster.sh stop NAME        end one daemon, as a crash would; `start NAME` starts it again
#   cluster.sh build [NAME…]    only build: kube, containerd, runc, coredns, images (these are the default), helm (built when first used)
#   cluster.sh program NAME     where kubectl or helm is, for use with another cluster; built when it is not there
#
# UNREADY_CLUSTER_STATE (default /var/lib/unready-cluster) holds everything of a running cluster, its kubeconfig too;
# UNREADY_CLUSTER_CACHE (default ~/.cache/unready/cluster) holds the builds, by version. Needs root. Traffic stays on
# loopback and on the bridge that `up` makes: pods are refused any other way out.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STATE=${UNREADY_CLUSTER_STATE:-/var/lib/unready-cluster}
CACHE=${UNREADY_CLUSTER_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/unready/cluster}
NODE=unready-node
BRIDGE=unready0
NODE_IP=10.244.0.1
POD_CIDR=10.244.0.0/24
SERVICE_CIDR=10.96.0.0/16
API_SERVICE_IP=10.96.0.1
DNS_IP=10.96.0.10
API=https://$NODE_IP:6443
ETCD=http://127.0.0.1:23790
SOCK=$STATE/run/containerd.sock
PAUSE=unready.test/pause:1
BUSYBOX=unready.test/busybox:1
COREDNS=unready.test/coredns:1
SYSCTLS=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes
         net.ipv4.ip_forward net.ipv4.conf.all.send_redirects net.ipv4.conf.all.route_localnet net.bridge.bridge-nf-call-iptables net.netfilter.nf_conntrack_max)
# Paths that the kubelet, containerd and the CNI library have compiled in. Those that `up` finds absent, `down` removes.
FIXED=(/run/containerd /run/nri /var/lib/cni /var/lib/kubelet /var/log/pods /var/log/containers /usr/libexec/kubernetes)
# In the order in which they start.
DAEMONS=(containerd etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)
export CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1 # of cgroup v1, at every call of ctr
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin        # nft, ip and sysctl are not on every root's PATH

say() { echo "cluster: $*" >&2; }
die() { say "$*"; exit 1; }

. "$HERE/lib/build.sh"
. "$HERE/lib/processes.sh"
. "$HERE/lib/configure.sh"

kc() { KUBECACHEDIR=$STATE/kubectl KUBECTL_KUBERC=false "$STATE/bin/kubectl" --kubeconfig "$STATE/kubeconfig" "$@"; }
boot_id() { cat /proc/sys/kernel/random/boot_id; }
root() { [ "$(id -u)" = 0 ] || die "needs root"; }
# One `up`, `down`, `stop` or `start` at a time. The daemons must not inherit the lock: `start` closes it.
lock() {
    mkdir -p "$CACHE"
    exec 8>"$CACHE/.state-lock"
    flock -n 8 || { say "waits for another up or down"; flock 8; }
}

# ---- up ------------------------------------------------------------------------------------------------------------

# What keeps a cluster from being made here at all, each with what to do about it.
obstacles() {
    local other
    [ -n "$(cni_plugins)" ] || die "the CNI plugins are missing (package containernetworking-plugins): \`cargo xtask cluster up\` installs or names what is needed"
    for other in nft ip sysctl openssl; do command -v $other >/dev/null || die "$other is missing: \`cargo xtask cluster up\` installs or names what is needed"; done
    [ -n "$(cgroup2)" ] || die "no cgroup2 hierarchy is mounted: boot with systemd.unified_cgroup_hierarchy=1, or mount -t cgroup2 none /sys/fs/cgroup/unified"
    [ -z "$(cgroup_dirs kubepods)" ] || die "another kubelet's pods are on this machine ($(cgroup_dirs kubepods | head -1)): use its cluster by KUBECONFIG"
    for other in $POD_CIDR $SERVICE_CIDR; do
        other=$(ip -o route show to root "$other" | grep -v "dev $BRIDGE " | sed '1!d;s/ *$//') || :
        [ -z "$other" ] || die "this machine has a route for the cluster's own addresses: $other; take it away, or use another machine"
    done
}
# Also after a reboot, or when a test ended one of them.
again() {
    if [ "$(cat "$STATE/boot")" = "$(boot_id)" ] && [ -e "$STATE/up" ]; then
        local name died=()
        for name in "${DAEMONS[@]}"; do alive "$name" || died+=("$name"); done
        if [ ${#died[@]} -eq 0 ]; then say "is up already"; return; fi
        for name in "${died[@]}"; do rm -f "$STATE/pids/$name"; done # nobody is to wait for them before they are started
        for name in "${died[@]}"; do
            # The controllers give up at an API server that is not ready: it authorizes nobody yet.
            case $name in containerd | etcd | kube-apiserver) ;; *) until_ok 90 "the API server" kc get --raw /readyz ;; esac
            start "$name"
        done
        ready
        say "up again: KUBECONFIG=$STATE/kubeconfig"
    else
        say "what an earlier cluster left goes first"
        take_away
        fresh
    fi
}
ready() {
    until_ok 60 containerd "$STATE/bin/ctr" -a "$SOCK" version
    until_ok 90 "the API server" kc get --raw /readyz
    until_ok 60 "the node to be Ready" kc wait --for=condition=Ready --timeout=5s "node/$NODE"
}
# The folder appears with all that `down` has to know in it, or not at all.
record() {
    local part=$STATE.part s v p
    mkdir -p "$(dirname "$STATE")"; rm -rf "$part"; mkdir "$part"
    for s in "${SYSCTLS[@]}"; do if v=$(sysctl -n "$s" 2>/dev/null); then echo "$s=$v"; fi; done >"$part/sysctls"
    for p in "${FIXED[@]}"; do [ -e "$p" ] || echo "$p"; done >"$part/made"
    boot_id >"$part/boot"
    mv "$part" "$STATE"
}
control_plane() {
    start etcd "$STATE/bin/etcd" --name "$NODE" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls $ETCD --advertise-client-urls $ETCD --listen-peer-urls http://127.0.0.1:23800 \
        --initial-advertise-peer-urls http://127.0.0.1:23800 --initial-cluster "$NODE=http://127.0.0.1:23800"
    start kube-apiserver "$STATE/bin/kube-apiserver" --etcd-servers=$ETCD --bind-address=$NODE_IP --advertise-address=$NODE_IP \
        --service-cluster-ip-range=$SERVICE_CIDR --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
        --cert-dir="$STATE/pki" --client-ca-file="$STATE/pki/ca.crt" --tls-cert-file="$STATE/pki/apiserver.crt" --tls-private-key-file="$STATE/pki/apiserver.key" \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file="$STATE/pki/sa.pub" --service-account-signing-key-file="$STATE/pki/sa.key" \
        --kubelet-certificate-authority="$STATE/pki/ca.crt" --kubelet-client-certificate="$STATE/pki/admin.crt" --kubelet-client-key="$STATE/pki/admin.key" \
        --requestheader-client-ca-file="$STATE/pki/ca.crt" --requestheader-allowed-names=front-proxy --requestheader-username-headers=X-Remote-User \
        --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
        --proxy-client-cert-file="$STATE/pki/front-proxy.crt" --proxy-client-key-file="$STATE/pki/front-proxy.key" \
        --kubelet-preferred-address-types=InternalIP --endpoint-reconciler-type=lease
}
controllers() {
    start kube-controller-manager "$STATE/bin/kube-controller-manager" --kubeconfig="$STATE/pki/controller-manager.conf" --leader-elect=false --bind-address=127.0.0.1 \
        --node-monitor-period=1s --kube-api-qps=200 --kube-api-burst=400 --use-service-account-credentials=true --service-account-private-key-file="$STATE/pki/sa.key" --root-ca-file="$STATE/pki/ca.crt" \
        --cluster-signing-cert-file="$STATE/pki/ca.crt" --cluster-signing-key-file="$STATE/pki/ca.key" \
        --authentication-kubeconfig="$STATE/pki/controller-manager.conf" --authorization-kubeconfig="$STATE/pki/controller-manager.conf"
    start kube-scheduler "$STATE/bin/kube-scheduler" --kubeconfig="$STATE/pki/scheduler.conf" --leader-elect=false --bind-address=127.0.0.1 \
        --authentication-kubeconfig="$STATE/pki/scheduler.conf" --authorization-kubeconfig="$STATE/pki/scheduler.conf"
}
fresh() {
    obstacles
    build
    modprobe -qa overlay br_netfilter 2>/dev/null || : # built in, or the sentence of `network` says what is missing
    local from image; from=$(date +%s%N)
    record
    mkdir -p "$(own_cgroup)"
    configure
    network
    start containerd "$STATE/bin/containerd" -c "$STATE/containerd/config.toml"
    control_plane
    until_ok 60 containerd "$STATE/bin/ctr" -a "$SOCK" version
    for image in "$(images_dir)"/*.tar; do load "$image" >/dev/null; done
    until_ok 90 "the API server" kc get --raw /readyz
    controllers
    start kubelet "$STATE/bin/kubelet" --config="$STATE/kubelet.yaml" --kubeconfig="$STATE/pki/kubelet.conf" --root-dir="$STATE/kubelet" \
        --cert-dir="$STATE/pki" --hostname-override="$NODE" --node-ip=$NODE_IP
    start kube-proxy "$STATE/bin/kube-proxy" --config="$STATE/proxy.yaml"
    until_ok 60 "the node to register" kc get node "$NODE"
    ready
    say "node Ready after $((($(date +%s%N) - from) / 1000000)) ms"
    until_ok 60 "the default service account" kc get serviceaccount default
    dns
    until_ok 60 "cluster DNS" kc -n kube-system rollout status deployment/coredns --timeout=5s
    touch "$STATE/up"
    say "up after $((($(date +%s%N) - from) / 1000000)) ms: KUBECONFIG=$STATE/kubeconfig"
}
up() {
    root
    lock
    if [ -e "$STATE" ]; then again; else fresh; fi
}
load() { "$STATE/bin/ctr" -a "$SOCK" -n k8s.io images import "$1"; }

# ---- down ----------------------------------------------------------------------------------------------------------

# the deepest first
mounts_under() { printf '%b\n' "$(awk -v s="$1/" 'index($5, s) == 1 {print $5}' /proc/self/mountinfo | sort -r)" | sed '/^$/d'; }
# Processes, mounts, network and settings: what a reboot takes away as well.
halt() {
    local name value mounts
    end kubelet # first, so that it restarts nothing
    # the pods' processes, then the shims (they are in the cluster's own cgroup) and whatever else is left there
    clear_cgroup kubepods
    end containerd kube-proxy kube-scheduler kube-controller-manager kube-apiserver etcd
    clear_cgroup unready-cluster
    for _ in 1 2 3; do
        mounts=$(mounts_under "$STATE")
        [ -n "$mounts" ] || break
        xargs -r -d '\n' umount 2>/dev/null <<<"$mounts" || xargs -r -d '\n' umount -l 2>/dev/null <<<"$mounts" || :
    done
    for name in "table ip kube-proxy" "table ip6 kube-proxy" "table inet unready-cluster"; do nft delete "$name" 2>/dev/null || :; done
    ip link del $BRIDGE 2>/dev/null || : # its routes and the pods' ends go with it
    while IFS='=' read -r name value; do
        [ "$(sysctl -n "$name" 2>/dev/null)" = "$value" ] || sysctl -qw "$name=$value" || say "could not put back $name"
    done <"$STATE/sysctls"
}
take_away() {
    local path mounts
    [ -e "$STATE/made" ] && [ -e "$STATE/boot" ] || die "$STATE was not made by this command: look what it is and remove it by hand"
    if [ "$(cat "$STATE/boot")" = "$(boot_id)" ]; then halt; else say "the machine was started anew since: only files are left"; fi
    # a volume may be a bind mount of a folder of this machine: nothing is removed while one is still mounted
    while read -r path; do
        mounts=$(mounts_under "$path")
        [ -z "$mounts" ] || die "still mounted, so $path stays: $mounts"
        rm -rf --one-file-system -- "$path"
    done < <(cat "$STATE/made"; echo "$STATE")
}
down() {
    root
    lock
    if [ ! -e "$STATE" ]; then say "is not up"; return; fi
    local from=$SECONDS
    take_away
    say "down after $((SECONDS - from)) s"
}

# ---- the rest ------------------------------------------------------------------------------------------------------

status() {
    local name pid start total=0 kib all=0
    [ -e "$STATE/up" ] || { say "$STATE holds half a cluster: \`up\` makes it anew, \`down\` takes it away"; all=1; }
    for name in "${DAEMONS[@]}"; do
        if alive "$name"; then
            read -r pid start <"$STATE/pids/$name"
            kib=$(awk '/^VmRSS/ {print $2}' "/proc/$pid/status")
            printf '%-26s pid %-8s %5d MiB\n' "$name" "$pid" $((kib / 1024))
        else
            printf '%-26s does not run\n' "$name"
            all=1
        fi
    done
    for pid in $(cgroup_pids unready-cluster; cgroup_pids kubepods); do
        kib=$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup" 2>/dev/null || echo 0); total=$((total + ${kib:-0}))
    done
    echo "all of it, shims and pods included: $((total / 1024)) MiB (PSS)"
    if alive kube-apiserver; then
        kc get node -o wide || all=1
        kc get pod -A -o wide || all=1
    fi
    return $all
}
helm() {
    build helm
    exec env HELM_CACHE_HOME="$STATE/helm/cache" HELM_CONFIG_HOME="$STATE/helm/config" HELM_DATA_HOME="$STATE/helm/data" \
        KUBECACHEDIR="$STATE/kubectl" KUBECONFIG="$STATE/kubeconfig" "$STATE/bin/helm" "$@"
}
logs() {
    local log=$STATE/log/${1:-}.log
    [ -f "$log" ] || die "no log of ${1:-nothing}: there are $(cd "$STATE/log" && echo *.log | sed 's/\.log//g')"
    cat "$log"
}
daemon() { [[ " ${DAEMONS[*]} " == *" ${1:-} "* ]] || die "no daemon ${1:-was named}: there are ${DAEMONS[*]}"; }
program() {
    case ${1:-} in
        kubectl) build kube; ln -sf kube "$(kube_dir)/kubectl"; echo "$(kube_dir)/kubectl" ;;
        helm) build helm; echo "$(helm_dir)/helm" ;;
        *) die "program kubectl, or program helm" ;;
    esac
}
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

main() {
    local command=${1:-} file; [ $# -eq 0 ] || shift
    case $command in load | kubectl | ctr | helm | status | logs | stop | start) [ -e "$STATE/pids" ] || die "is not up: \`cargo xtask cluster up\` starts it" ;; esac
    case $command in
        up | down | status) "$command" ;;
        build) build "$@" ;;
        load)
            [ $# -gt 0 ] || die "load FILE…"
            for file in "$@"; do [ -f "$file" ] || die "$file is not a file: load takes docker- or OCI-archives"; load "$file"; done
            ;;
        kubectl) export KUBECACHEDIR=$STATE/kubectl KUBECTL_KUBERC=false; exec "$STATE/bin/kubectl" --kubeconfig "$STATE/kubeconfig" "$@" ;;
        ctr) exec "$STATE/bin/ctr" -a "$SOCK" -n k8s.io "$@" ;;
        helm | logs | program) "$command" "$@" ;;
        stop) root; daemon "$@"; lock; end "$1" ;;
        start) root; daemon "$@"; lock; alive "$1" || start "$1" ;;
        help | -h | --help) usage ;;
        *) usage >&2; exit 2 ;;
    esac
}
main "$@"; exit
