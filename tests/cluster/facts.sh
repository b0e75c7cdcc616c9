#!/usr/bin/env bash
# Pods of the running cluster behave as in production: each line is one fact, ok or FAILED; the last line counts them. A
# wrong verdict on a cluster of which this holds is Unready's own fault.
#
# It works in a namespace of its own, which it deletes at the end. Half a minute.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NAME=unready-facts-$$
kc() { "$HERE/cluster.sh" kubectl "$@"; }
k() { kc -n $NAME "$@"; }
passed=0 failed=0 forward=
W=$(mktemp -d)
tidy() {
    [ -z "$forward" ] || kill "$forward" 2>/dev/null || :
    kc delete namespace $NAME --wait --timeout=60s >/dev/null 2>&1 || :
    kc delete pv $NAME --wait=false >/dev/null 2>&1 || :
    rm -rf "$W"
}
trap tidy EXIT
trap 'exit 130' INT TERM

# fact WHAT SECONDS PATTERN COMMAND…: the command's output matches PATTERN within SECONDS
fact() {
    local what=$1 limit=$((SECONDS + $2)) pattern=$3 got; shift 3
    while :; do
        got=$("$@" 2>&1) || :
        if grep -qE -- "$pattern" <<<"$got"; then
            echo "ok      $what: $(grep -E -m1 -- "$pattern" <<<"$got" | cut -c1-150)"; passed=$((passed + 1)); return
        fi
        [ $SECONDS -lt $limit ] || break
        sleep 0.5
    done
    echo "FAILED  $what: wanted /$pattern/, got: $(tail -c 300 <<<"$got")"; failed=$((failed + 1))
}
# pod NAME COMMAND [POD-SPEC] [CONTAINER-SPEC]: the specs are further fields, YAML in one line
pod() {
    k apply -f - >/dev/null <<-END
		apiVersion: v1
		kind: Pod
		metadata: {name: $1, labels: {app: $1}}
		spec: {terminationGracePeriodSeconds: 1, ${3:+$3, }containers: [{name: c, image: "unready.test/busybox:1", command: [sh, -c, '$2']${4:+, $4}}]}
	END
}
state() { k get pod "$1" -o jsonpath='{.status.containerStatuses[0].state}{" last:"}{.status.containerStatuses[0].lastState}{" restarts:"}{.status.containerStatuses[0].restartCount}'; }
WEB='mkdir -p /www; hostname >/www/index.html; exec httpd -f -p 8080 -h /www'

kc create namespace $NAME >/dev/null
k wait --for=create --timeout=30s serviceaccount/default >/dev/null
mkdir "$W/data"; chmod 755 "$W/data" "$W"

pod web "sleep 2; $WEB" "" 'readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}'
pod client 'sleep 1000'
k create service clusterip web --tcp=80:8080 >/dev/null
k create service clusterip nobody-home --tcp=80:80 >/dev/null
pod waiting 'sleep 1000' 'initContainers: [{name: wait, image: "unready.test/busybox:1", command: [sh, -c, "until wget -qO- http://nobody-home/; do sleep 1; done"]}]'
k apply -f - >/dev/null <<END
apiVersion: v1
kind: PersistentVolume
metadata: {name: $NAME}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: $NAME, hostPath: {path: $W/data}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: $NAME}
spec: {accessModes: [ReadWriteOnce], storageClassName: $NAME, resources: {requests: {storage: 1Gi}}}
END
VOLUME='volumeMounts: [{name: v, mountPath: /data}]'
pod denied 'id -u; echo x >/data/f' 'restartPolicy: Never, securityContext: {runAsUser: 1000}, volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]' "$VOLUME"
pod fsgroup 'echo x >/data/f && ls -ln /data/f' 'restartPolicy: Never, securityContext: {runAsUser: 1000, fsGroup: 2000}, volumes: [{name: v, emptyDir: {}}]' "$VOLUME"
pod liveness 'touch /tmp/ok; sleep 3; rm /tmp/ok; sleep 1000' "" 'livenessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1, failureThreshold: 2}'
pod oom 'sleep 1; tail /dev/zero' "" 'resources: {limits: {memory: 20Mi}}'
pod readonly 'echo x >/file' 'restartPolicy: Never' 'securityContext: {readOnlyRootFilesystem: true}'
pod nomount 'sleep 1000' 'volumes: [{name: v, secret: {secretName: missing}}]' "$VOLUME"
k run nopull2 --image=unready.test/not-loaded:1 --restart=Never >/dev/null
pod guaranteed 'sleep 1000' "" 'resources: {limits: {cpu: 10m, memory: 20Mi}}'
pod burstable 'sleep 1000' "" 'resources: {requests: {cpu: 10m}}'

fact "readiness probe" 30 True k get pod web -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}'
fact "its failures before" 10 'Readiness probe failed' k get events --field-selector involvedObject.name=web
fact "Service by DNS name" 20 '^web$' k exec client -- timeout 5 wget -qO- http://web.$NAME.svc.cluster.local/
fact "Service by address" 10 '^web$' k exec client -- timeout 5 wget -qO- "http://$(k get service web -o jsonpath='{.spec.clusterIP}')/"
fact "a pod through its own Service" 10 '^web$' k exec web -- timeout 5 wget -qO- http://web.$NAME/
fact "Service from the node" 10 '^web$' timeout 5 busybox wget -qO- "http://$(k get service web -o jsonpath='{.spec.clusterIP}')/"
fact "API server from a pod" 10 'rc=0' k exec client -- sh -c 'nc -w 2 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null; echo rc=$?'
fact "no way out of the node" 1 'iifname "unready0" oifname != "unready0" .*reject' nft list table inet unready-cluster
fact "Service without endpoints" 15 'nobody-home|refused' k logs waiting -c wait
fact "init container waits" 5 'Init:0/1' k get pod waiting
fact "root's volume refuses user 1000" 20 'Permission denied' k logs denied
fact "fsGroup" 20 ' 1000 +2000 ' k logs fsgroup
fact "liveness kill" 30 'Liveness probe failed|failed liveness probe' k get events --field-selector involvedObject.name=liveness
fact "restart after it" 30 'restarts:[1-9]' state liveness
fact "OOM kill" 30 'OOMKilled' state oom
fact "read-only root" 20 'Read-only file system' k logs readonly
fact "FailedMount" 20 'FailedMount' k get events --field-selector involvedObject.name=nomount
fact "image that is not there" 20 'ErrImagePull|ImagePullBackOff' k get pod nopull2
fact "exec" 10 '^web$' k exec web -- cat /www/index.html
k port-forward pod/web :8080 >"$W/forward" 2>&1 & forward=$!
fact "port-forward" 20 '^web$' sh -c "timeout 3 busybox wget -qO- http://\$(sed -n 's/^Forwarding from \(127.0.0.1:[0-9]*\) .*/\1/p' '$W/forward')/"
cgroup2=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
for q in guaranteed:/kubepods/pod burstable:/kubepods/burstable/pod client:/kubepods/besteffort/pod; do
    p=${q%%:*}
    fact "cgroup of ${p/client/besteffort}" 10 "^0::${q#*:}$(k get pod "$p" -o jsonpath='{.metadata.uid}')/[0-9a-f]{64}" k exec "$p" -- grep ^0:: /proc/self/cgroup
done
fact "pod's cgroup without a sandbox" 5 '^1$' sh -c "find '$cgroup2' -type d -path '*pod$(k get pod nomount -o jsonpath='{.metadata.uid}')*' | wc -l"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
