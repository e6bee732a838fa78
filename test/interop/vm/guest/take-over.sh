# One process of the service after the other, while frames flow over UDP and over IP. See take-over.before.sh.
. "$LAB/lib.sh"

unit=l2tpv3-lcc.service
state=/run/l2tpv3-lcc/state
BOTH_UP="2 of 2 tunnels and 2 of 2 sessions are up"

property() { systemctl show --value -p "$1" $unit; }
status_is() { [[ $(property StatusText) == "$1" ]]; }
journal() { journalctl --quiet --no-pager --output=cat -u $unit; }
logged() { (($(journal | grep -c -- "\"event\":\"$1\"") >= ${2:-1})); }
ready_after() { [[ $(property ActiveState) == active && $(property MainPID) != "$1" ]] && status_is "$BOTH_UP"; }
ids() { l2tpv3-lcc show --json | tr ',' '\n' | grep -E '"(local_ccid|remote_ccid|local_session_id|remote_session_id)"'; }
in_kernel() { ip l2tp show tunnel | grep -E 'Tunnel|Peer'; ip l2tp show session | grep -E 'Session|interface'; ip -o link show type none 2>/dev/null; cat /sys/class/net/l2-*/ifindex; }
peer_counts() { in_b wget -q -O - http://127.0.0.1:9102/metrics | grep "^l2tpv3_tunnel_control_messages_retransmitted_total"; }
lost() { sed -n "s/^$1: sent [0-9]*, lost \([0-9]*\), twice 0, failed 0$/\1/p" /tmp/traffic; }
# Frames that the kernel did not send because the tunnel's socket was busy with a control message (l2tp_xmit_core).
dropped() { echo $(($(cat "/sys/class/net/$1/statistics/tx_dropped") + $(in_b cat "/sys/class/net/$2/statistics/tx_dropped"))); }
unexplained() { echo $(($(lost "$1") - $(dropped "$2" "$3"))); }
at_most() { (($2 <= $1)); }
# No neighbour is asked who it is: a busy machine may answer too late.
know() { in_b ip neighbour replace "$2" dev "$3" lladdr "$(cat "/sys/class/net/$1/address")" nud permanent; }
know_b() { ip neighbour replace "$2" dev "$1" lladdr "$(in_b cat "/sys/class/net/$3/address")" nud permanent; }
no_devices() { ! ip -o link show | grep -q ': l2-'; }
nothing_left() { no_devices && [[ ! -e /run/l2tpv3-lcc && -z $(ip l2tp show tunnel) ]]; }

echo "# $(systemctl --version | head -1), Linux $(uname -r)"
ip netns add b
cat >/tmp/b.toml <<'TOML'
[lcce]
hostname     = "lyon"
router_id    = "10.0.0.2"
datapath     = "kernel"
admin_socket = "/tmp/b.sock"
metrics      = "127.0.0.1:9102"

[template.patient]
role           = "responder"
peer           = "10.0.0.1"
hello_interval = "2s"
retransmit     = { initial = "40s", max = "40s", retries = 4, sccrq_retries = 4 }

[tunnel.udp]
template = "patient"
secret   = "the secret of both"

[tunnel.udp.session.lan]
interface = "l2-paris"
addresses = ["10.1.0.2/24"]

[tunnel.ip]
template      = "patient"
encapsulation = "ip"

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
check "both tunnels come up, over UDP and over IP" wait_until 240 status_is "$BOTH_UP"
check "the state is there" test -s $state
check_equal "and nobody else's business" "$(stat -L -c %a $state)" 600
check_not "no secret is in it" grep -q "secret of both" $state
echo "# kept: $(property NFileDescriptorStore) sockets"

sysctl -q -w net.core.rmem_max=4194304
for pair in "wire 10.0.0.%s wire" "l2-lyon 10.1.0.%s l2-paris" "l2-nice 10.2.0.%s l2-ip"; do
  read -r own address other <<<"$pair"
  # shellcheck disable=SC2059
  know "$own" "$(printf "$address" 1)" "$other"
  # shellcheck disable=SC2059
  know_b "$own" "$(printf "$address" 2)" "$other"
done
in_b node "$LAB/take-over-traffic.mjs" echo 10.1.0.2 10.2.0.2 &
sleep 2
traffic_began=$SECONDS
node "$LAB/take-over-traffic.mjs" send /tmp/enough 10.1.0.2 10.2.0.2 >/tmp/traffic 2>&1 &
sender=$!
sleep 4
moment() { echo "# $1 at $((SECONDS - traffic_began)) s of the traffic"; }

ids_before=$(ids)
kernel_before=$(in_kernel)
pid=$(property MainPID)
began=$SECONDS
moment "the restart"
check "systemctl restart" systemctl restart $unit
check "another process is ready" wait_until 240 ready_after "$pid"
echo "# that took $((SECONDS - began)) s"
check "it takes over" logged taken-over 1
check "the one before it has handed over" logged handing-over 1
sleep 5
check_equal "the same ids" "$(ids)" "$ids_before"
check_equal "the same tunnels, sessions and devices in the kernel" "$(in_kernel)" "$kernel_before"

for round in 1 2; do
  pid=$(property MainPID)
  moment "kill -9"
  kill -KILL "$pid"
  check "kill -9, round $round: another process is ready" wait_until 240 ready_after "$pid"
  check "it takes over, round $round" logged taken-over $((round + 1))
  sleep 5
done
check_equal "the same ids after kill -9" "$(ids)" "$ids_before"
check_equal "the same in the kernel after kill -9" "$(in_kernel)" "$kernel_before"
check_equal "systemd counts two restarts" "$(property NRestarts)" 2

pid=$(property MainPID)
moment "the upgrade"
check "an upgrade of the package" dpkg --force-depends -i /app/dist/deb/l2tpv3-lcc_0.1.1_*.deb
check "upgrade: another process is ready" wait_until 240 ready_after "$pid"
check "upgrade: it takes over" logged taken-over 4
check_equal "upgrade: the same ids" "$(ids)" "$ids_before"
check_equal "upgrade: the same in the kernel" "$(in_kernel)" "$kernel_before"

touch /tmp/enough
wait $sender
sed 's/^/# /' /tmp/traffic
dropped_udp=$(dropped l2-lyon l2-paris) dropped_ip=$(dropped l2-nice l2-ip)
echo "# dropped in favour of control messages: $dropped_udp over UDP, $dropped_ip over IP"
check "over UDP hardly anything else is lost" at_most 2 "$(unexplained 10.1.0.2 l2-lyon l2-paris)"
check_equal "over IP nothing else is lost" "$(unexplained 10.2.0.2 l2-nice l2-ip)" 0
check "hardly anything is dropped over UDP" at_most 2 "$dropped_udp"
check "hardly anything is dropped over IP" at_most 2 "$dropped_ip"
sed 's/^/# /' /tmp/traffic
peer_counts | sed 's/^/# peer: /'
check_equal "the peer has not sent anything again" "$(peer_counts | grep -vc ' 0$')" 0
check_not "nor closed anything" grep -qE '"event":"(control-connection-(failed|replaced)|session-closed)"' /tmp/b.log
check_not "not a warning in the log" grep -qE '"level":"(warn|error)"' <(journal | grep -v configuration-warning)

# HELLO goes on, and what comes from the new process is acknowledged.
sleep 6
check "still up" status_is "$BOTH_UP"
check_equal "still nothing sent again" "$(peer_counts | grep -vc ' 0$')" 0

((vm_failures == 0)) || journal | cut -c1-200 | tail -n 60 | sed "s/^/# /"

# A session's device was removed while nobody looked.
pid=$(property MainPID)
tunnel=$(ip l2tp show tunnel | sed -n 's/^Tunnel \([0-9]*\), encap IP$/\1/p' | head -1)
session=$(ip l2tp show session | sed -n "s/^Session \([0-9]*\) in tunnel $tunnel$/\1/p")
kill -STOP "$pid"
ip l2tp del session tunnel_id "$tunnel" session_id "$session"
kill -KILL "$pid"
check "one that finds a session missing closes it" wait_until 240 logged session-failed
check "and has it again" wait_until 240 ready_after "$pid"
check "with frames" wait_until 60 ping -c 2 -W 5 10.2.0.2

# Of no use.
pid=$(property MainPID)
kill -STOP "$pid"
head -c 100 /dev/zero | dd of=$state bs=1 seek=300 conv=notrunc 2>/dev/null
kill -KILL "$pid"
check "a damaged state: everything begins anew" wait_until 240 logged not-taken-over
check "and comes up" wait_until 180 ready_after "$pid"
check_not "with other ids" test "$(ids)" = "$ids_before"
check "frames flow over UDP" ping -c 2 -W 5 10.1.0.2
check "frames flow over IP" ping -c 2 -W 5 10.2.0.2

check "systemctl stop" systemctl stop $unit
check "leaves nothing behind" wait_until 20 nothing_left
check "the peer was told" grep -q "the peer is being shut down" /tmp/b.log
((vm_failures == 0)) || { journal | cut -c1-260 | tail -n 120; tail -n 40 /tmp/b.log | cut -c1-260; } | sed "s/^/# /"
echo "# end: $unit"
finish
