# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# Who serves a backstore: tcmu-runner with our plug-in, or our daemon. The kernel waits for their word when a device is
# made, without end: so nothing is made before it is there to give it.

service_name=org.kernel.TCMUService1

# program_runs NAME: any process of that name
program_runs() {
	grep -qsx -e "$1" "$root"/proc/[0-9]*/comm
}

has_bus() { [ -S "$root/run/dbus/system_bus_socket" ]; }

# The runner, and our plug-in in it. Without D-Bus it cannot be asked: it runs, then.
runner_ready() {
	if has_bus && command -v dbus-send >/dev/null; then
		dbus-send --system --print-reply --dest=$service_name /org/kernel/TCMUService1 \
			org.freedesktop.DBus.ObjectManager.GetManagedObjects 2>/dev/null |
			grep -q '"/org/kernel/TCMUService1/duotgt"'
	else
		program_runs tcmu-runner
	fi
}

daemon_ready() { program_runs duotgt; }

wait_for_server() {
	if [ "$server" = daemon ]; then
		wait_until daemon_ready ||
			die 6 "$name: no duotgt daemon runs, which is to serve it (systemctl start duotgt)"
		return
	fi
	wait_until runner_ready || die 6 "$name: no tcmu-runner runs that knows duotgt \
(systemctl start tcmu-runner; see duotgt-lio doctor)"
}

# enable_device DEVICE: the kernel asks the server, and cannot be interrupted; should the server be gone
# by now, the question is withdrawn.
enable_device() {
	answer=$(mktemp) || die 1 'mktemp: failed'
	{
		put 1 "$1/enable" >"$answer" 2>&1
		echo "status $?" >>"$answer"
	} &
	asked=$!
	if ! wait_until grep -q '^status' "$answer"; then
		withdraw
		rm -f "$answer"
		die 6 "$name: no answer from who is to serve it (journalctl -u tcmu-runner -u duotgt)"
	fi
	wait "$asked"
	asked=''
	said=$(grep -v '^status' "$answer")
	if grep -q '^status 0$' "$answer"; then
		rm -f "$answer"
		return
	fi
	rm -f "$answer"
	die "$(of_error "$said")" "$name: refused by who is to serve it: $(why "$said") (its log has \
the reason: journalctl -u tcmu-runner -u duotgt)"
}

# If a question is open: all that are open fail, with EINTR.
asked=''
withdraw() {
	[ -n "$asked" ] || return 0
	switches=$root/sys/module/target_core_user/parameters
	put 1 "$switches/block_netlink"
	put 1 "$switches/reset_netlink"
	put 0 "$switches/block_netlink"
	wait "$asked"
	asked=''
}
