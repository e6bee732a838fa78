#!/bin/bash
# First process of the guest: runs the job of /etc/vm-job and tells its exit code on the console. Where systemd is the first
# process this is a service of its.
export PATH=/usr/bin HOME=/root TERM=dumb
if (($$ == 1)); then
  mount -a
  ip link set lo up
fi
. /etc/vm-job
if [[ $VM_SYSTEMD && $$ == 1 ]]; then
  . "$LAB/boot-systemd.sh"
fi
cd /app || exit

# Through a pipe, because a program must not take the console for a terminal.
mkfifo /run/vm-output
cat /run/vm-output &
printer=$!
echo "@vm-start $VM_NONCE"
"${VM_COMMAND[@]}" </dev/null >/run/vm-output 2>&1
status=$?

# What the script left running would hold the pipe open. Kernel threads ignore the signal.
leftovers=()
for process in /proc/[0-9]*; do
  pid=${process#/proc/}
  [[ $pid == 1 || $pid == "$$" || $pid == "$printer" ]] || leftovers+=("$pid")
done
kill -KILL "${leftovers[@]}" 2>/dev/null
wait "$printer"

if [[ $VM_COLLECT ]]; then
  modprobe -a virtio_pci virtio_console
  for port in /sys/class/virtio-ports/*; do
    tar -C /out -cf "/dev/${port##*/}" .
  done
fi

# A kernel message can fall into the middle of a line, so the line is repeated until the host has seen it.
while :; do
  echo "@vm-exit $VM_NONCE $status"
  sleep 1
done
