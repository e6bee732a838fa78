# The lab itself: the kernel has L2TP, loads its modules on demand and carries frames between two namespaces.
. "$LAB/lib.sh"

check_not "no L2TP module is loaded at the start" grep -q ^l2tp /proc/modules
check "two namespaces" two_namespaces
check "they reach each other" in_a ping -c 1 -W 5 10.0.0.2

check "static tunnel in a" ip -n a l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 \
  encap udp local 10.0.0.1 remote 10.0.0.2 udp_sport 1701 udp_dport 1701
check "static tunnel in b" ip -n b l2tp add tunnel tunnel_id 2 peer_tunnel_id 1 \
  encap udp local 10.0.0.2 remote 10.0.0.1 udp_sport 1701 udp_dport 1701
check "session in a" ip -n a l2tp add session name l2tpeth0 tunnel_id 1 session_id 11 peer_session_id 22
check "session in b" ip -n b l2tp add session name l2tpeth0 tunnel_id 2 session_id 22 peer_session_id 11
check "l2tp_netlink came by itself" grep -q ^l2tp_netlink /proc/modules
check "l2tp_eth came by itself" grep -q ^l2tp_eth /proc/modules

for namespace in a b; do ip -n "$namespace" link set l2tpeth0 up; done
ip -n a address add 192.168.7.1/24 dev l2tpeth0
ip -n b address add 192.168.7.2/24 dev l2tpeth0
check "three pings through the pseudowire" in_a ping -c 3 -i 0.2 -W 5 192.168.7.2

check_match "ip l2tp show tunnel" "$(ip -n a l2tp show tunnel)" "Tunnel 1, encap UDP.*From 10.0.0.1 to 10.0.0.2.*Peer tunnel 2"
check_match "ip l2tp show session" "$(ip -n b l2tp show session)" "Session 22 in tunnel 2.*Peer session 11, tunnel 1.*l2tpeth0"
check_equal "MTU over UDP" "$(in_a cat /sys/class/net/l2tpeth0/mtu)" 1446

check "node runs and sees the namespaces" node -e 'process.exit(require("os").networkInterfaces().lo ? 0 : 1)'
uname -r >/out/kernel
finish
