# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Our daemon, and the kernel's target in configfs.

configfs=/sys/kernel/config/target
duotgt=/tmp/in/duotgt

# daemon_up FILE [COUNT]: serves it, and has said so for COUNT LUNs and portals (1)
daemon_up() {
	mkdir -p /run/test/state
	rm -f /run/test/daemon.log
	STATE_DIRECTORY=/run/test/state start daemon $duotgt daemon --config "$1"
	wait_for 20 daemon_ready "${2:-1}" || { cat /run/test/daemon.log; return 1; }
}
daemon_ready() { [ "$(grep -c '^ready ' /run/test/daemon.log)" -ge "$1" ]; }

# Everything that hangs in the kernel's target, whoever made it.
target_clear() {
	local path

	[ -d $configfs ] || return 0
	for path in $configfs/*/*/tpgt_*/enable; do
		[ -e "$path" ] && echo 0 >"$path" 2>/dev/null
	done
	find $configfs -mindepth 4 -type l -path '*/lun_*' -print0 2>/dev/null | xargs -0 -r rm -f
	for path in $configfs/*/*/tpgt_*; do
		[ -d "$path" ] || continue
		rmdir "$path"/acls/*/lun_* "$path"/acls/* "$path"/lun/* "$path"/np/* 2>/dev/null
		rmdir "$path" || return
	done
	for path in $configfs/{iscsi,loopback}/*.*; do
		[ ! -d "$path" ] || rmdir "$path" || return
	done
	for path in $configfs/core/*_*/*; do
		[ ! -d "$path/attrib" ] || rmdir "$path" || return
	done
	for path in $configfs/core/{user,fileio,rd_mcp}_*; do
		[ ! -d "$path" ] || rmdir "$path" || return
	done
}
