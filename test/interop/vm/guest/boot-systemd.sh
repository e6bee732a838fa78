# Sourced by init.sh, which is the first process: becomes systemd, whose service vm-job is init.sh again. Before that the
# script's folder may have a script of the same name with ".before" for what has to be there at boot.
mkdir -p /etc/systemd/system/multi-user.target.wants /var/lib /var/log /var/tmp
: >/etc/machine-id
echo 'ID=lab' >/etc/os-release
# There is no bus, no terminal and no disk.
for unit in getty.target systemd-logind.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
  systemd-remount-fs.service systemd-random-seed.service systemd-user-sessions.service systemd-journal-flush.service; do
  ln -s /dev/null "/etc/systemd/system/$unit"
done
cat >/etc/systemd/system/vm-job.service <<UNIT
[Unit]
Description=the script of the lab
After=basic.target

[Service]
ExecStart=/bin/bash /init
StandardInput=null
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
UNIT
ln -s ../vm-job.service /etc/systemd/system/multi-user.target.wants/

before=${VM_COMMAND[1]%.sh}.before.sh
if [[ -e $before ]]; then bash "$before" >/var/log/vm-before 2>&1 || cat /var/log/vm-before; fi
exec /lib/systemd/systemd --unit=multi-user.target --show-status=no --log-level=notice
