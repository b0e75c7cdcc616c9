# Certificates, configuration files, network and DNS. Sourced by cluster.sh.

# cert NAME SUBJECT [EXTENSIONS]
cert() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -out "$1.crt" \
        -extfile <(printf '%s\n' "keyUsage=digitalSignature" "extendedKeyUsage=clientAuth,serverAuth" ${3:+"$3"}) 2>/dev/null
    rm "$1.csr"
}
# kubeconfig CERT FILE
kubeconfig() {
    cat >"$2" <<-END
		apiVersion: v1
		kind: Config
		clusters: [{name: unready, cluster: {server: "$API", certificate-authority-data: $(base64 -w0 ca.crt)}}]
		users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
		contexts: [{name: unready, context: {cluster: unready, user: $1}}]
		current-context: unready
	END
    chmod 600 "$2"
}
configure() {
    mkdir -p "$STATE"/{bin,commands,pids,log,run,pki,etcd,kubelet,cni,containerd/certs.d/_default,volumeplugins,kubectl}
    chmod 700 "$STATE/pki"
    link_programs
    certificates
    node_files
    runtime_files
}
certificates() {
    (
        cd "$STATE/pki"; umask 077
        openssl ecparam -name prime256v1 -genkey -noout -out ca.key
        openssl req -x509 -new -key ca.key -subj /CN=unready-cluster-ca -days 365 -out ca.crt
        openssl ecparam -name prime256v1 -genkey -noout -out sa.key
        openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null
        cert apiserver /CN=kube-apiserver "subjectAltName=IP:$NODE_IP,IP:127.0.0.1,IP:$API_SERVICE_IP,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
        cert kubelet-server "/CN=$NODE" "subjectAltName=IP:$NODE_IP,DNS:$NODE"
        cert front-proxy /CN=front-proxy
        cert admin /O=system:masters/CN=admin
        cert kubelet "/O=system:nodes/CN=system:node:$NODE"
        cert controller-manager /CN=system:kube-controller-manager
        cert scheduler /CN=system:kube-scheduler
        cert proxy /CN=system:kube-proxy
        for u in kubelet controller-manager scheduler proxy; do kubeconfig $u $u.conf; done
        kubeconfig admin "$STATE/kubeconfig"
    )
}
# The kubelet's and kube-proxy's.
node_files() {
    echo "options ndots:1" >"$STATE/resolv.conf" # nothing upstream: names outside the cluster do not resolve
    cat >"$STATE/kubelet.yaml" <<-END
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		failCgroupV1: false
		cgroupDriver: cgroupfs
		containerRuntimeEndpoint: unix://$SOCK
		address: $NODE_IP
		healthzBindAddress: 127.0.0.1
		readOnlyPort: 0
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $STATE/pki/ca.crt}}
		authorization: {mode: Webhook}
		tlsCertFile: $STATE/pki/kubelet-server.crt
		tlsPrivateKeyFile: $STATE/pki/kubelet-server.key
		clusterDNS: [$DNS_IP]
		clusterDomain: cluster.local
		resolvConf: $STATE/resolv.conf
		volumePluginDir: $STATE/volumeplugins
		maxPods: 240
		makeIPTablesUtilChains: false
		failSwapOn: false
		oomScoreAdj: 0
		imageGCHighThresholdPercent: 100
		evictionHard: {memory.available: 200Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%, imagefs.inodesFree: 1%}
		logging: {verbosity: ${KUBELET_V:-2}}
	END
    cat >"$STATE/proxy.yaml" <<-END
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: nftables
		clientConnection: {kubeconfig: $STATE/pki/proxy.conf}
		clusterCIDR: $POD_CIDR
		detectLocalMode: ClusterCIDR
		hostnameOverride: $NODE
		healthzBindAddress: 127.0.0.1:10256
		metricsBindAddress: 127.0.0.1:10249
		nodePortAddresses: [$NODE_IP/32]
		oomScoreAdj: 0
		conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
	END
}
# containerd's and the pods' network's.
runtime_files() {
    # an image that was not loaded is looked for on a closed port of loopback and nowhere else: ErrImagePull at once
    echo 'server = "http://127.0.0.1:1"' >"$STATE/containerd/certs.d/_default/hosts.toml"
    cat >"$STATE/containerd/config.toml" <<-END
		version = 3
		root = "$STATE/containerd/root"
		state = "$STATE/containerd/state"
		disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
		[grpc]
		address = "$SOCK"
		[plugins."io.containerd.internal.v1.opt"]
		path = "$STATE/containerd/opt"
		[plugins."io.containerd.cri.v1.images"]
		snapshotter = "overlayfs"
		[plugins."io.containerd.cri.v1.images".pinned_images]
		sandbox = "$PAUSE"
		[plugins."io.containerd.cri.v1.images".registry]
		config_path = "$STATE/containerd/certs.d"
		[plugins."io.containerd.cri.v1.runtime"]
		restrict_oom_score_adj = true
		netns_mounts_under_state_dir = true
		[plugins."io.containerd.cri.v1.runtime".cni]
		bin_dirs = ["$(cni_plugins)"]
		conf_dir = "$STATE/cni"
		[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
		runtime_type = "io.containerd.runc.v2"
		[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
		BinaryName = "$STATE/bin/runc"
		SystemdCgroup = false
	END
    cat >"$STATE/cni/10-unready.conflist" <<-END
		{"cniVersion": "1.0.0", "name": "unready", "plugins": [
		  {"type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "ipMasq": false, "hairpinMode": true,
		   "ipam": {"type": "host-local", "dataDir": "$STATE/cni/ipam", "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
	END
}

# Where distributions and hand-made installations keep the CNI plugins.
cni_plugins() { local dir; for dir in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do if [ -x "$dir/bridge" ]; then echo "$dir"; return; fi; done; }

network() {
    ip link show $BRIDGE >/dev/null 2>&1 || ip link add $BRIDGE type bridge
    ip addr replace $NODE_IP/24 dev $BRIDGE
    ip link set $BRIDGE up
    # Service addresses leave the node over the bridge, never over its default route. They came in by it too, and the
    # redirects that the kernel would send for that use up the allowance of ICMP errors per pod: the refusals of a Service
    # without endpoints would get lost, and its callers hang.
    ip route replace $SERVICE_CIDR dev $BRIDGE src $NODE_IP
    [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || die "the kernel module br_netfilter is missing: Services of pods need it"
    sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.$BRIDGE.send_redirects=0
    nft -f - <<-END
		table inet unready-cluster
		delete table inet unready-cluster
		table inet unready-cluster {
		    chain forward {
		        type filter hook forward priority filter; policy accept;
		        iifname "$BRIDGE" oifname != "$BRIDGE" counter reject
		        oifname "$BRIDGE" iifname != "$BRIDGE" counter drop
		    }
		}
	END
}
dns() {
    kc apply -f - >/dev/null <<-END
		{apiVersion: v1, kind: ServiceAccount, metadata: {name: coredns, namespace: kube-system}}
		---
		apiVersion: rbac.authorization.k8s.io/v1
		kind: ClusterRole
		metadata: {name: "system:coredns"}
		rules:
		- {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
		- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
		---
		apiVersion: rbac.authorization.k8s.io/v1
		kind: ClusterRoleBinding
		metadata: {name: "system:coredns"}
		roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns"}
		subjects: [{kind: ServiceAccount, name: coredns, namespace: kube-system}]
		---
		apiVersion: v1
		kind: ConfigMap
		metadata: {name: coredns, namespace: kube-system}
		data:
		  Corefile: |
		    .:53 {
		        errors
		        health
		        ready
		        kubernetes cluster.local in-addr.arpa ip6.arpa {
		            pods insecure
		        }
		        cache 5
		        loadbalance
		    }
		---
		apiVersion: v1
		kind: Service
		metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
		spec:
		  clusterIP: $DNS_IP
		  selector: {k8s-app: kube-dns}
		  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
		---
		apiVersion: apps/v1
		kind: Deployment
		metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}
		spec:
		  selector: {matchLabels: {k8s-app: kube-dns}}
		  template:
		    metadata: {labels: {k8s-app: kube-dns}}
		    spec:
		      serviceAccountName: coredns
		      priorityClassName: system-cluster-critical
		      dnsPolicy: Default
		      containers:
		      - name: coredns
		        image: $COREDNS
		        args: [-conf, /etc/coredns/Corefile]
		        resources: {requests: {cpu: 20m, memory: 40Mi}, limits: {memory: 170Mi}}
		        volumeMounts: [{name: config, mountPath: /etc/coredns, readOnly: true}]
		        livenessProbe: {httpGet: {path: /health, port: 8080}, initialDelaySeconds: 30}
		        readinessProbe: {httpGet: {path: /ready, port: 8181}, periodSeconds: 1}
		        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {add: [NET_BIND_SERVICE], drop: [ALL]}}
		      volumes: [{name: config, configMap: {name: coredns}}]
	END
}
