# The service under a real systemd, from a boot before the network is there to the purge of its package. See systemd.before.sh.
. "$LAB/lib.sh"

unit=l2tpv3-lcc.service
site=/etc/l2tpv3-lcc/site.toml
BOTH_UP="2 of 2 tunnels and 2 of 2 sessions are up"

property() { systemctl show --value -p "$1" "${2:-$unit}"; }
status_is() { [[ $(property StatusText "$2") == "$1" ]]; }
status_matches() { [[ $(property StatusText) =~ $1 ]]; }
active() { [[ $(property ActiveState "$1") == active ]]; }
journal() { journalctl --quiet --no-pager --output=cat -u "${1:-$unit}"; }
logged() { journal | grep -q -- "$1"; }
# Another process than $1, and everything up.
back_after() { active && [[ $(property MainPID) != "$1" ]] && status_is "$BOTH_UP"; }
# Neither owner nor mode of the configuration change.
edit() { sed "$1" "${2:-$site}" >/tmp/edited && cat /tmp/edited >$site; }
reload_fits() {
  if (($(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p') < 253)); then
    [[ $(property Type) == notify && $(property ExecReload) == *"l2tpv3-lcc reload"* ]]
  else
    [[ $(property Type) == notify-reload && -z $(property ExecReload) ]]
  fi
}
wrong_twice() { (($(journal | grep -c '"event":"configuration-wrong"') >= 2)); }
no_devices() { ! ip -o link show | grep -q ': l2-'; }
no_processes() { ! stat -c %U /proc/[0-9]* 2>/dev/null | grep -q l2tpv3-lcc; }
nothing_left() { no_devices && no_processes && [[ ! -e /run/l2tpv3-lcc && -z $(ip l2tp show tunnel) ]]; }
field() { sed -n "s/^$1:[[:space:]]*//p" "/proc/${2:-$(property MainPID)}/status"; }

check_equal "the first process is systemd" "$(readlink /proc/1/exe)" /usr/lib/systemd/systemd
echo "# $(systemctl --version | head -1)"
check "the package was installed without a running systemd" grep -q "Setting up l2tpv3-lcc" /var/log/vm-before
check "what reloads it fits this systemd" reload_fits

# Boot, before the network.
check "boot: ready without the network" wait_until 120 active
check_not "the device is not there" ip link show wire
check "STATUS: nothing is up" wait_until 60 status_is "0 of 2 tunnels and 0 of 2 sessions are up"
check_match "systemctl status shows it" "$(systemctl status $unit)" 'Status: "0 of 2 tunnels and 0 of 2 sessions are up"'
check_equal "no restart" "$(property NRestarts)" 0

ip netns add b
cat >/tmp/b.toml <<'TOML'
[lcce]
hostname     = "lyon"
router_id    = "10.0.0.2"
datapath     = "kernel"
admin_socket = "/tmp/b.sock"

[tunnel.udp]
role           = "responder"
peer           = "10.0.0.1"
secret         = "the secret of both"
hello_interval = "2s"

[tunnel.udp.session.lan]
interface = "l2-paris"
addresses = ["10.1.0.2/24"]

[tunnel.ip]
role           = "responder"
peer           = "10.0.0.1"
encapsulation  = "ip"
hello_interval = "2s"

[tunnel.ip.session.lan]
interface = "l2-ip"
addresses = ["10.2.0.2/24"]
TOML
chmod 600 /tmp/b.toml
in_b ip link set lo up
in_b node /app/dist/bin/main.js --conf /tmp/b.toml >/tmp/b.log 2>&1 &
ip link add wire type veth peer name wire netns b
ip -n b address add 10.0.0.2/24 dev wire && ip -n b link set wire up
ip address add 10.0.0.1/24 dev wire && ip link set wire up
check "the network comes late, and both tunnels come up, over UDP and over IP" wait_until 120 status_is "$BOTH_UP"
check "frames flow over UDP" ping -c 2 -W 5 10.1.0.2
check "frames flow over IP" ping -c 2 -W 5 10.2.0.2
check_equal "still the first process of the service" "$(property NRestarts)" 0
check "the log has a credential that needs no warning" logged '"event":"ready"'
check_not "of its group" logged "open to its group"
check "metrics" wget -q -O /dev/null http://127.0.0.1:9101/metrics

# What it may.
for set in CapEff CapPrm CapBnd CapAmb CapInh; do
  check_equal "$set: CAP_NET_ADMIN and CAP_NET_BIND_SERVICE" "$(field $set)" 0000000000001400
done
check_equal "no new privileges" "$(field NoNewPrivs)" 1
check_equal "system calls are filtered" "$(field Seccomp)" 2
check_equal "it is the package's user" "$(field Uid | cut -f1)" "$(id -u l2tpv3-lcc)"
check_not "which is not root" test "$(field Uid | cut -f1)" = 0
check "systemd-analyze security: 2.0 at most" systemd-analyze security --threshold=20 $unit
check_match "the figure" "$(systemd-analyze security $unit | tail -1)" 'exposure level for l2tpv3-lcc.service: [01]\.[0-9]|2\.0'
check_equal "the admin socket is its group's" "$(stat -c %U:%G:%a /run/l2tpv3-lcc/admin.sock)" l2tpv3-lcc:l2tpv3-lcc:660
check "root may ask" l2tpv3-lcc show

# Reload.
pid=$(property MainPID)
edit 's/^bind_device.*/&\nsecret_previous = "another"/'
check "a good file: systemctl reload" systemctl reload $unit
check "is applied" logged '"event":"configuration-applied"'
cp $site /tmp/good.toml
edit 's/^peer /pear /'
if grep -q notify-reload <<<"$(property Type)"; then
  check "a bad file: systemctl reload cannot say so" systemctl reload $unit
else
  check_not "a bad file: systemctl reload fails" systemctl reload $unit
fi
check "the log says why" logged 'did you mean \\"peer\\"'
check_match "as an error" "$(journalctl -q --no-pager -o cat -p err -u $unit)" "configuration-wrong"
check "STATUS too" wait_until 60 status_matches "are up; the configuration file is wrong now"
systemctl kill -s HUP --kill-whom=main $unit
check "SIGHUP does the same" wait_until 60 wrong_twice
edit '' /tmp/good.toml
check "good again" systemctl reload $unit
check "STATUS is good again" wait_until 60 status_is "$BOTH_UP"
check "active all the time" active
check_equal "and the same process" "$(property MainPID)" "$pid"

# The watchdog.
kill -STOP "$pid"
check "a process that stands still is killed by the watchdog" wait_until 120 logged "Watchdog timeout"
check "and another one is started, with everything up" wait_until 120 back_after "$pid"
check_equal "one restart" "$(property NRestarts)" 1
check "frames flow again" ping -c 2 -W 5 10.1.0.2
pid=$(property MainPID)
freeze_threads() { node "$LAB/freeze-threads.mjs" "$1" "$2"; }
# Longer than the watchdog waits; a process that was killed is gone only when nobody traces its threads any more.
freeze_threads "$pid" 75 >/tmp/frozen &
check "threads that wait for the kernel stand still, the main thread does not" wait_until 60 grep -q "^frozen [1-9]" /tmp/frozen
check "that is found out too" wait_until 180 back_after "$pid"
check_equal "a second restart" "$(property NRestarts)" 2

# Restart, stop.
pid=$(property MainPID)
check "systemctl restart" systemctl restart $unit
check "everything is up again" wait_until 120 back_after "$pid"
check_equal "that was no failure" "$(property NRestarts)" 0
check_not "the peer was told nothing" grep -q "the peer is being shut down" /tmp/b.log
check "systemctl stop" systemctl stop $unit
check "the peer was told" wait_until 10 grep -q "the peer is being shut down" /tmp/b.log
check_equal "ends well" "$(property Result)" success
check "and leaves nothing behind" wait_until 10 nothing_left

# A configuration that is wrong is not tried for ever.
edit 's/^peer /pear /'
check_not "a start with a wrong file fails" systemctl start $unit
sleep 4
check_equal "and is not tried again" "$(property ActiveState)" failed
edit '' /tmp/good.toml

# One daemon for a namespace, which is not there yet.
blue=l2tpv3-lcc@blue.service
sed -e 's/"paris"/"blue"/; s/^metrics.*//; s/^secret_file.*/secret = "the secret of both"/; s/^secret_previous.*//' \
  -e 's#^datapath.*#&\nadmin_socket = "/run/l2tpv3-lcc-blue/admin.sock"\nlisten = []#' /tmp/good.toml >/etc/l2tpv3-lcc/blue.toml
chmod 640 /etc/l2tpv3-lcc/blue.toml && chgrp l2tpv3-lcc /etc/l2tpv3-lcc/blue.toml
systemctl start --no-block $blue
sleep 3
check_not "without its namespace an instance does not run" active $blue
ip netns add blue
ip link set wire netns blue && ip -n blue link set lo up
ip -n blue address add 10.0.0.1/24 dev wire && ip -n blue link set wire up
check "it runs when the namespace has come" wait_until 120 active $blue
check "and has everything up" wait_until 120 status_is "$BOTH_UP" $blue
check_equal "it is in that namespace" "$(stat -L -c %i "/proc/$(property MainPID $blue)/ns/net")" "$(stat -L -c %i /run/netns/blue)"
check "frames flow there" ip netns exec blue ping -c 2 -W 5 10.1.0.2
check_equal "with the same rights" "$(field CapEff "$(property MainPID $blue)")" 0000000000001400
check "systemd-analyze security of it" systemd-analyze security --threshold=20 $blue
check "it is reloaded too" systemctl reload $blue
check "and stopped" systemctl stop $blue
check_not "without devices" grep -q l2- <(ip -n blue -o link show)
# One daemon that enters a namespace needs the drop-in.
edit 's/^role .*/&\nnetns = "blue"/' /tmp/good.toml
cp /usr/share/l2tpv3-lcc/systemd/netns.conf /etc/systemd/system/$unit.d/ && systemctl daemon-reload
check "with the drop-in for netns it starts" systemctl start $unit
check "and has everything up in the other namespace" wait_until 120 status_is "$BOTH_UP"
check "with the device there" ip -n blue link show l2-lyon
check_equal "it has CAP_SYS_ADMIN too" "$(field CapEff)" 0000000000201400
check "it stops" systemctl stop $unit
rm /etc/systemd/system/$unit.d/netns.conf && systemctl daemon-reload
edit '' /tmp/good.toml
ip -n blue link set wire netns 1
ip address add 10.0.0.1/24 dev wire && ip link set wire up

# The package: upgrade, removal, purge.
check "start again" systemctl start $unit
check "everything is up before the upgrade" wait_until 120 status_is "$BOTH_UP"
pid=$(property MainPID)
ccids=$(ip l2tp show tunnel | grep Tunnel)
check "upgrade" dpkg --force-depends -i /app/dist/deb/l2tpv3-lcc_0.1.1_*.deb
check "the daemon was started anew" wait_until 120 back_after "$pid"
check_equal "and goes on with the same tunnels" "$(ip l2tp show tunnel | grep Tunnel)" "$ccids"
check "what is in the configuration stays" cmp /tmp/good.toml $site
check_equal "dpkg knows the new version" "$(dpkg-query -W -f '${Version} ${Status}' l2tpv3-lcc)" "0.1.1 install ok installed"
check "nothing in the package was changed" dpkg --verify l2tpv3-lcc
check "remove" dpkg -r l2tpv3-lcc
check "the daemon is stopped" wait_until 60 nothing_left
check_not "the program is gone" test -e /usr/bin/l2tpv3-lcc -o -e /usr/lib/l2tpv3-lcc
check_not "the unit is gone" systemctl cat $unit
check_not "and not enabled" test -L /etc/systemd/system/multi-user.target.wants/$unit
check "the configuration is not" test -e /etc/l2tpv3-lcc/site.toml
check "purge" dpkg -P l2tpv3-lcc
check_not "now it is" test -e /etc/l2tpv3-lcc/site.toml
check "what others put beside it stays" test -e /etc/l2tpv3-lcc/lyon.secret
check_not "no drop-in of the package's is left" test -L /etc/systemd/system/$unit.d/reload-by-command.conf
((vm_failures == 0)) || journal | cut -c1-300 | tail -n 150 | sed "s/^/# /"
echo "# end: $unit"
finish
