# Before take-over.sh: as before systemd.sh, with time enough for a process to start in an emulated machine.
. /app/test/interop/vm/guest/systemd.before.sh
sed -i 's/^retransmit .*/retransmit = { initial = "40s", max = "40s", retries = 4, sccrq_retries = 4 }/' /etc/l2tpv3-lcc/site.toml
# A start on a busy machine without KVM may take longer than systemd's 90 s.
echo "TimeoutStartSec=5min" >>/etc/systemd/system/l2tpv3-lcc.service.d/lab.conf
