# Files of chaos-tests/cli, by name, on this machine.
set -u
names=("${@/#/chaos-tests/cli/}")
exec node --test --test-concurrency=1 "${names[@]/%/.test.mjs}"
