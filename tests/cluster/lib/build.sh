# Builds of the cluster's parts, cached by what went into them. Sourced by cluster.sh.

BUILDS=(kube containerd runc coredns images helm)

# key FILE…: a build is cached under what went into it
key() { { (cd "$HERE" && go env GOVERSION GOARCH); cat "$@"; } | sha256sum | cut -c1-12; }
version_of() { sed -n "s|^.*[[:space:]]$2 \(v[^ ]*\).*|\1|p" "$HERE/$1/go.mod" | head -1; }
kube_dir() { echo "$CACHE/kube-$(version_of . k8s.io/kubernetes)-$(key "$HERE"/go.mod "$HERE"/go.sum "$HERE"/main.go)"; }
containerd_dir() { echo "$CACHE/containerd-$(version_of containerd github.com/containerd/containerd/v2)-$(key "$HERE"/containerd/go.{mod,sum})"; }
coredns_dir() { echo "$CACHE/coredns-$(version_of coredns github.com/coredns/coredns)-$(key "$HERE"/coredns/{go.mod,go.sum,main.go})"; }
helm_dir() { echo "$CACHE/helm-$(version_of helm helm.sh/helm/v4)-$(key "$HERE"/helm/go.{mod,sum})"; }
runc_dir() { echo "$CACHE/runc-$(version_of runc github.com/opencontainers/runc)-$(key "$HERE"/runc/go.{mod,sum})"; }
images_dir() { echo "$CACHE/images-$(key "$HERE"/lib/build.sh "$HERE"/pause/pause.c "$HERE"/coredns/{go.mod,go.sum,main.go} "$(command -v busybox)")"; }

# ---- from source -----------------------------------------------------------------------------------------------------
# Each is called with an empty folder, in a condition: `set -e` does not hold there, hence `|| return`.

# no DWARF, which -s would drop anyway: a seventh of the time and of Go's build cache
gobuild() {
    local module=$1; shift
    (cd "$module" && CGO_ENABLED=${CGO:-0} GOFLAGS=-mod=readonly GOMEMLIMIT=${GOMEMLIMIT:-6GiB} go build -trimpath -buildvcs=false -gcflags=all=-dwarf=false "$@")
}
build_kube() {
    local version stamp; version=$(version_of . k8s.io/kubernetes)
    stamp=" -X k8s.io/component-base/version.gitVersion=$version -X k8s.io/client-go/pkg/version.gitVersion=$version"
    gobuild "$HERE" -ldflags "-s -w$stamp" -o "$1/kube" .
}
build_containerd() {
    local command
    for command in containerd containerd-shim-runc-v2 ctr; do
        gobuild "$HERE/containerd" -tags no_btrfs,no_devmapper,no_zfs -ldflags "-s -w" -o "$1/$command" "github.com/containerd/containerd/v2/cmd/$command" || return
    done
}
build_runc() { CGO=1 gobuild "$HERE/runc" -tags seccomp -ldflags "-s -w" -o "$1/runc" github.com/opencontainers/runc; }
build_coredns() { gobuild "$HERE/coredns" -ldflags "-s -w" -o "$1/coredns" .; }
build_helm() { gobuild "$HERE/helm" -ldflags "-s -w" -o "$1/helm" helm.sh/helm/v4/cmd/helm; }

# ---- images ----------------------------------------------------------------------------------------------------------

# pack FOLDER TAR [NAME…]: the same bytes for the same content, owned by root
pack() {
    local folder=$1 tar=$2; shift 2
    tar -C "$folder" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu -cf "$tar" -- "${@:-.}"
}
# image ROOT NAME:TAG OUT CONFIG: a folder as docker-archive. A tag other than `latest` keeps the kubelet from pulling it.
image() {
    local root=$1 name=$2 out=$3 config=$4 parts=$3.parts layer
    mkdir "$parts" && pack "$root" "$parts/layer.tar" || return
    layer=$(sha256sum "$parts/layer.tar" | cut -d' ' -f1)
    printf '{"architecture":"%s","os":"linux","created":"1970-01-01T00:00:00Z","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}\n' \
        "$(go env GOARCH)" "$config" "$layer" >"$parts/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]\n' "$name" >"$parts/manifest.json"
    pack "$parts" "$out" manifest.json config.json layer.tar && rm -r "$parts"
}
busybox_root() {
    local root=$1 applet
    mkdir -p "$root"/{bin,tmp,etc,proc,sys,dev} && cp "$(command -v busybox)" "$root/bin/busybox" || return
    for applet in $("$root/bin/busybox" --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet" || return; done
    printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnobody:x:65534:\n' >"$root/etc/group"
    chmod 1777 "$root/tmp"
}
build_images() {
    local path='"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]' root=$1/root
    busybox_root "$root/busybox" && image "$root/busybox" $BUSYBOX "$1/busybox.tar" "{$path,\"Cmd\":[\"sh\"]}" || return
    mkdir -p "$root"/{pause,coredns}
    cc -static -Os -s -o "$root/pause/pause" "$HERE/pause/pause.c" && image "$root/pause" $PAUSE "$1/pause.tar" '{"Entrypoint":["/pause"]}' || return
    cp "$(coredns_dir)/coredns" "$root/coredns/" && image "$root/coredns" $COREDNS "$1/coredns.tar" '{"Entrypoint":["/coredns"]}' || return
    rm -r "$root"
}

# ---- the cache -------------------------------------------------------------------------------------------------------

# Says every half minute that NAME is still being built, until its standard input ends.
heartbeat() {
    local from=$SECONDS status
    while :; do
        status=0; read -rt 30 _ || status=$?
        [ "$status" -gt 128 ] || return 0 # above 128 is the time-out
        say "still building $1, for $((SECONDS - from)) s now"
    done
}
# built NAME: builds into an empty folder and moves that to its place, unless it is there already
built() {
    local name=$1 dir part log from=$SECONDS beat note=
    dir=$("$1_dir") part=$dir.part log=$dir.log
    [ ! -d "$dir" ] || return 0
    [ "$name" != images ] || built coredns
    [ "$name" != kube ] || note=" (the first time some ten minutes on two cores)"
    say "building $(basename "$dir")$note"
    rm -rf "$part"; mkdir "$part"
    exec {beat}> >(heartbeat "$name")
    if ! "build_$name" "$part" >"$log" 2>&1; then
        exec {beat}>&-
        tail -n 20 "$log" >&2
        die "$name could not be built: the reason is above, all of it in $log"
    fi
    exec {beat}>&-
    mv "$part" "$dir"; rm "$log"
    say "built $(basename "$dir") in $((SECONDS - from)) s"
}
# build [NAME…]: one at a time, whoever asks
build() {
    local name
    for name in "$@"; do [[ " ${BUILDS[*]} " == *" $name "* ]] || die "nothing is called $name: there are ${BUILDS[*]}"; done
    command -v go >/dev/null || die "Go is missing: \`cargo xtask cluster up\` installs or names what is needed"
    command -v busybox >/dev/null || die "busybox is missing: \`cargo xtask cluster up\` installs or names what is needed"
    mkdir -p "$CACHE"
    (
        flock 9
        for name in ${*:-kube containerd runc coredns images}; do built "$name"; done
    ) 9>"$CACHE/.lock"
    [ ! -d "$STATE/bin" ] || link_programs
}
# The programs under the names that they are called by, in the state's folder; those that are built.
link_programs() {
    local name kube; kube=$(kube_dir)/kube
    for name in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do link "$kube" "$name"; done
    for name in containerd containerd-shim-runc-v2 ctr; do link "$(containerd_dir)/$name" "$name"; done
    link "$(runc_dir)/runc" runc
    link "$(helm_dir)/helm" helm
}
link() { [ ! -e "$1" ] || ln -sf "$1" "$STATE/bin/$2"; }
