#!/bin/sh
# Installs the real parts: Toxiproxy (a Go module), and Debian packages, as root only: Redis, Prometheus, Alertmanager,
# Chromium, strace and openssl. No server is started as a service: the tests start their own.
# A Kubernetes control plane takes much longer to build: `make kube-build`.
set -eu
cache=$1 version=$2
if [ ! -x "$cache/toxiproxy-$version/server" ]; then
    echo "building Toxiproxy $version"
    GOBIN="$cache/toxiproxy-$version" go install "github.com/Shopify/toxiproxy/v2/cmd/server@v$version"
fi
missing=""
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v strace >/dev/null 2>&1 || missing="$missing strace"
command -v prometheus >/dev/null 2>&1 || missing="$missing prometheus"
command -v prometheus-alertmanager >/dev/null 2>&1 || missing="$missing prometheus-alertmanager"
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "not installed (needs root):$missing" >&2
        exit 1
    fi
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then # what a package asks before it starts its service
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
echo "real parts: $cache/toxiproxy-$version/server, $(command -v redis-server), $(command -v chromium), $(command -v strace), $(command -v prometheus), $(command -v prometheus-alertmanager)"
