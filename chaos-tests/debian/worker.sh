# What this machine can as a worker, and the agent's tests on containers: `worker.sh BINARY [PATTERN…]`.
set -u
failed=0
docklet=target/debug/docklet

uname -r
"$docklet" worker doctor || failed=1
# From a disk of this machine: every start of a program through the share would be slow.
cp "$1" /opt/lxc-tests
shift
(cd agent && /opt/lxc-tests --test-threads=1 "$@") || failed=1
exit "$failed"
