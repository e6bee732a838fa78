# For scripts in the guest: . "$LAB/lib.sh"
# Checks print "ok NAME" or "not ok NAME"; end a script with `finish`.

vm_failures=0

ok() {
  echo "ok $1"
}

not_ok() {
  echo "not ok $1"
  vm_failures=$((vm_failures + 1))
}

# check NAME COMMAND...: the command succeeds. Its output is shown where it does not.
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    ok "$name"
  else
    not_ok "$name"
    printf '# %s\n' "$*" "${output//$'\n'/$'\n# '}"
  fi
}

# check_not NAME COMMAND...: the command fails.
check_not() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    not_ok "$name"
    printf '# %s\n' "$*" "${output//$'\n'/$'\n# '}"
  else
    ok "$name"
  fi
}

# check_equal NAME ACTUAL EXPECTED
check_equal() {
  if [[ $2 == "$3" ]]; then
    ok "$1"
  else
    not_ok "$1"
    printf '# found %q instead of %q\n' "$2" "$3"
  fi
}

# check_match NAME TEXT REGEX: bash's extended regular expressions.
check_match() {
  if [[ $2 =~ $3 ]]; then
    ok "$1"
  else
    not_ok "$1"
    printf '# no %s in:\n# %s\n' "$3" "${2//$'\n'/$'\n# '}"
  fi
}

# finish: exit code 0 only if no check has failed.
finish() {
  ((vm_failures == 0)) || echo "# $vm_failures failed"
  exit $((vm_failures > 0))
}

# wait_until SECONDS COMMAND...: repeats the command every 50 ms until it succeeds; fails when the time is over.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# two_namespaces: network namespaces a and b, joined by veth devices "wire" with 10.0.0.1 and 10.0.0.2, and fd00::1, fd00::2.
two_namespaces() {
  ip netns add a && ip netns add b || return
  ip link add wire netns a type veth peer name wire netns b || return
  local n=1 namespace
  for namespace in a b; do
    ip -n "$namespace" -batch - <<BATCH || return
link set lo up
link set wire up
address add 10.0.0.$n/24 dev wire
address add fd00::$n/64 dev wire nodad
BATCH
    n=$((n + 1))
  done
}

# in_a COMMAND..., in_b COMMAND...
in_a() {
  ip netns exec a "$@"
}

in_b() {
  ip netns exec b "$@"
}
