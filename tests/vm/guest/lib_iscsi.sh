# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The kernel's initiator, and several ways to one disk.

initiator_up() {
	modules sd_mod sg iscsi_tcp
	mkdir -p /run/lock/iscsi /etc/iscsi/nodes
	grep -q ISCSIADM_ABSTRACT /proc/net/unix && return
	iscsid --no-pid-file -f >/tmp/iscsid.log 2>&1 &
	wait_for 10 grep -q ISCSIADM_ABSTRACT /proc/net/unix
}

# node IQN PORTAL [SETTING=VALUE...]: a record for login; no discovery
node() {
	local iqn=$1 portal=$2 setting

	shift 2
	iscsiadm -m node -o new -T "$iqn" -p "$portal" >/dev/null || return
	for setting in 'node.session.timeo.replacement_timeout=120' \
		'node.conn[0].timeo.noop_out_interval=2' \
		'node.conn[0].timeo.noop_out_timeout=2' "$@"; do
		iscsiadm -m node -T "$iqn" -p "$portal" -o update -n "${setting%%=*}" \
			-v "${setting#*=}" || return
	done
}

# login IQN PORTAL [LUNS]: and wait for the disks; prints that of LUN 0
login() {
	iscsiadm -m node -T "$1" -p "$2" --login >/tmp/login.log 2>&1 ||
		{ cat /tmp/login.log >&2; return 1; }
	wait_for 20 disk_of "$1" "$2" >&2 || return
	disk_of "$1" "$2"
}

logout() {
	iscsiadm -m node -T "$1" -p "$2" --logout >/dev/null &&
		iscsiadm -m node -o delete -T "$1" -p "$2"
}

# session_of IQN PORTAL: its folder in sysfs
session_of() {
	local session connection

	for session in /sys/class/iscsi_session/session*; do
		[ "$(cat "$session/targetname" 2>/dev/null)" = "$1" ] || continue
		connection=/sys/class/iscsi_connection/connection${session##*session}:0
		[ "$(cat "$connection/persistent_address"):$(cat "$connection/persistent_port")" \
			= "$2" ] || continue
		echo "$session"
		return
	done
	return 1
}

# disk_of IQN PORTAL [LUN]: /dev/sdX, once udev is done with it
disk_of() {
	local session found

	session=$(session_of "$1" "$2") || return
	found=$(echo "$session"/device/target*/*:*:*:"${3:-0}"/block/*)
	[ -e "$found" ] || return
	udevadm settle --timeout=10 || true
	[ -b "/dev/${found##*/}" ] || return
	echo "/dev/${found##*/}"
}

# negotiated IQN PORTAL NAME: a parameter of the session or connection, as the kernel has it
negotiated() {
	local session

	session=$(session_of "$1" "$2") || return
	cat "$session/$3" 2>/dev/null ||
		cat "/sys/class/iscsi_connection/connection${session##*session}:0/$3"
}

# cut PORTAL / mend PORTAL: nothing gets to the address, and no word comes back
cut_portal() { ip route add blackhole "${1%:*}/32" table local proto 99; }
mend_portal() { ip route del blackhole "${1%:*}/32" table local proto 99; }

multipath_up() {
	modules dm_mod dm_multipath dm_service_time dm_round_robin
	mkdir -p /etc/multipath
	cat >/etc/multipath.conf <<-'TEXT'
	defaults {
		find_multipaths no
		polling_interval 1
		max_polling_interval 2
		no_path_retry queue
		path_grouping_policy multibus
		path_selector "round-robin 0"
	}
	TEXT
	start multipathd multipathd -d -s
	wait_for 20 multipathd show daemon
}

# map_of DISK: /dev/dm-N that lies over it
map_of() {
	local holder

	for holder in /sys/block/"${1##*/}"/holders/dm-*; do
		[ -e "$holder" ] || return
		echo "/dev/${holder##*/}"
	done
}

both_paths() { [ -n "$(map_of "$1")" ] && [ "$(map_of "$1")" = "$(map_of "$2")" ]; }
path_is() { multipathd show paths raw format '%d %t' | grep -q "^${1##*/} $2"; }
