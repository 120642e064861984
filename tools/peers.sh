#!/bin/sh
# Installs the real peers that the interoperability tests talk to. May be run again at any time.
# usage: peers.sh PYTHON
set -eu
python=$1

"$python" -m pip install --quiet --group peers

if command -v storescu >/dev/null && command -v Orthanc >/dev/null && command -v haproxy >/dev/null; then
    echo "peers: DCMTK, Orthanc and haproxy are installed"
    exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "peers: DCMTK, Orthanc and haproxy are Debian packages (dcmtk, orthanc, haproxy): install them by hand, or run this as root." >&2
    echo "peers: their tests are skipped until then." >&2
    exit 0
fi

# Their packages start services: they are forbidden to, the tests run them by hand.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dcmtk orthanc haproxy >/dev/null
echo "peers: DCMTK, Orthanc, haproxy and pynetdicom are installed"
