# Before systemd.sh: a machine that the package has been installed on, without systemd running, with a site to be served from
# boot on. Nodejs is the lab's own binary, of which dpkg knows nothing.
set -ex
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/dpkg/triggers
touch /var/lib/dpkg/status /var/lib/dpkg/available
rm -f /usr/bin/l2tpv3-lcc
dpkg --force-depends -i /app/dist/deb/l2tpv3-lcc_0.1.0_*.deb

(umask 077 && echo "the secret of both" >/etc/l2tpv3-lcc/lyon.secret)
cat >/etc/l2tpv3-lcc/site.toml <<'TOML'
[lcce]
hostname  = "paris"
datapath  = "kernel"
log_level = "debug"
metrics   = "127.0.0.1:9101"

[template.short]
hello_interval = "2s"
retransmit     = { initial = "500ms", retries = 4, sccrq_retries = 4 }
reconnect      = { min = "500ms", max = "1s" }
role           = "initiator"
peer           = "10.0.0.2"

[tunnel.lyon]
template    = "short"
secret_file = "/run/credentials/l2tpv3-lcc.service/lyon"
bind_device = "wire"

[tunnel.lyon.session.lan]
interface = "l2-lyon"
addresses = ["10.1.0.1/24"]

[tunnel.nice]
template      = "short"
encapsulation = "ip"

[tunnel.nice.session.lan]
interface = "l2-nice"
addresses = ["10.2.0.1/24"]
TOML

folder=/etc/systemd/system/l2tpv3-lcc.service.d
mkdir -p $folder
cat >$folder/lab.conf <<'UNIT'
[Service]
LoadCredential=lyon:/etc/l2tpv3-lcc/lyon.secret
UNIT
systemctl enable l2tpv3-lcc.service
