# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The plug-in in Debian's tcmu-runner: both ways to serve, and what dies under load.

mib64=67108864

# config: storage 7 "data" for the kernel, something else for the portal
config() {
	mkdir -p /tmp/work
	cat >/tmp/work/duotgt.json <<-TEXT
	{"storages": [{"deviceID": 7, "name": "data", "path": "/tmp/work/data.img",
	               "deviceSize": $mib64, "thinProvisioning": true},
	              {"deviceID": 1, "path": "ram:1M"}],
	 "iscsiportals": [{"id": 1, "portal": "127.0.0.1:3260"}],
	 "iscsitargets": {"iqn.2026-11.io.duotgt.test:a": {"tpgts": {"1": [1]}, "luns": {"0": 1}}}}
	TEXT
}

# disk_up STRING: the runner, a device and tcm_loop's disk of it; sets $disk
disk_up() {
	runner_up
	device_up one "$1" $mib64 || { runner_log | tail -n 30; return 1; }
	disk=$(loop_up 1 one)
}

disk_down() {
	loop_down 1
	device_down one
}

test_process() { # at most 120 s
	config
	disk_up 'duotgt//tmp/work/one.img?serve=process'
	write_read_compare "$disk" 16
	file_system "$disk"
	disk_down
	stop_program runner
	no_io_errors
}

test_raw() { # at most 120 s
	config
	disk_up 'duotgt//tmp/work/one.img?mode=raw'
	write_read_compare "$disk" 16
	file_system "$disk"
	disk_down
	stop_program runner
	no_io_errors
}

test_daemon() { # at most 120 s
	by_daemon
	write_read_compare "$disk" 16
	file_system "$disk"
	grep 'uio.*served' /run/test/daemon.log
	disk_down
	stop_program runner
	stop_program daemon
	no_io_errors
}

test_targetcli() { # at most 120 s
	config
	runner_up
	targetcli /backstores help >/dev/null
	targetcli ls /backstores | grep -q 'user:duotgt'
	if targetcli /backstores/user:duotgt create name=no size=64M cfgstring=absent; then
		return 1
	fi
	targetcli /backstores/user:duotgt create name=one size=64M cfgstring=//tmp/work/one.img
	targetcli /loopback create naa.5001405000000001
	targetcli /loopback/naa.5001405000000001/luns create /backstores/user:duotgt/one
	wait_for 20 eval 'ls /sys/block | grep -q ^sd'
	disk=/dev/$(ls /sys/block | grep -m1 ^sd)
	write_read_compare "$disk" 16
	targetcli clearconfig confirm=true
	no_io_errors
}

# libtcmu would drop it, and the kernel wait for half a minute.
test_vendor_opcode() { # at most 60 s
	local begun

	config
	disk_up 'duotgt//tmp/work/one.img'
	sg_turs "$disk"
	begun=$SECONDS
	sg_raw "$disk" c1 00 00 00 00 00 00 00 00 00 >/tmp/work/sense 2>&1 || true
	grep -i 'illegal request' /tmp/work/sense
	[ $((SECONDS - begun)) -lt 20 ]
	disk_down
}

resized() { [ "$(blockdev --getsize64 "$1")" = "$2" ]; }

# Twice as large, as the kernel and the image see it; what is new can be used.
resize() {
	echo $((2 * mib64)) >$configfs/core/user_1/one/attrib/dev_size
	sg_turs "$disk" || true
	echo 1 >"/sys/block/${disk#/dev/}/device/rescan"
	wait_for 10 resized "$disk" $((2 * mib64))
	[ "$(stat -c %s /tmp/work/one.img)" = $((2 * mib64)) ]
	pattern /tmp/work/pattern 4
	dd if=/tmp/work/pattern of="$disk" bs=1M seek=124 oflag=direct conv=fsync status=none
	dd if="$disk" bs=1M skip=124 count=4 iflag=direct status=none | cmp - /tmp/work/pattern
}

test_resize() { # at most 120 s
	config
	disk_up 'duotgt//tmp/work/one.img'
	resize
	disk_down
	# and by the daemon
	daemon_up /tmp/work/duotgt.json
	rm /tmp/work/one.img
	device_up one duotgt//tmp/work/one.img $mib64
	disk=$(loop_up 1 one)
	resize
	disk_down
	no_io_errors
}

# ---- what dies under load ----

load() {
	mkdir -p /tmp/work
	pattern /tmp/work/load 1
	while [ ! -e /tmp/work/enough ]; do
		dd if=/tmp/work/load of="$1" bs=64k oflag=direct conv=fsync status=none || return
		dd if="$1" bs=64k count=16 iflag=direct status=none | cmp - /tmp/work/load || return
		echo round
	done
}

load_up() {
	load "$disk" >/tmp/work/load.log 2>&1 &
	load=$!
	wait_for 60 grep -q round /tmp/work/load.log
}

# Rounds go on after all that has happened.
load_goes_on() {
	local rounds

	rounds=$(grep -c round /tmp/work/load.log)
	wait_for 120 eval "[ \$(grep -c round /tmp/work/load.log) -gt $((rounds + 1)) ]" ||
		{ cat /tmp/work/load.log; runner_log | tail -n 30; return 1; }
}

load_down() {
	touch /tmp/work/enough
	wait $load || { cat /tmp/work/load.log; return 1; }
	no_io_errors
}

# survive DEATH...: one after the other, and rounds go on after each
survive() {
	local death

	load_up
	for death; do
		say "$death"
		$death
		load_goes_on
	done
	load_down
	disk_down
}

runner_killed() {
	kill_program runner
	sleep 0.2
	runner_start
}
runner_stopped() {
	stop_program runner
	sleep 0.2
	runner_start
}
daemon_killed() {
	kill_program daemon
	sleep 1
	daemon_again
}
daemon_stopped() {
	stop_program daemon
	sleep 1
	daemon_again
}
daemon_again() { daemon_up /tmp/work/duotgt.json; }
both_killed() {
	kill_program daemon
	kill_program runner
	daemon_again
	runner_start
}

# by_daemon [OPTIONS]: a disk that is open in the daemon
by_daemon() {
	config
	daemon_again
	disk_up "duotgt/data${1:-}"
}

test_runner_dies() { # at most 300 s
	config
	disk_up 'duotgt//tmp/work/one.img'
	survive runner_killed runner_stopped runner_killed runner_stopped
}

test_runner_dies_beside_daemon() { # at most 300 s
	by_daemon
	survive runner_killed runner_stopped runner_killed runner_stopped
}

test_daemon_dies() { # at most 300 s
	by_daemon
	survive daemon_killed daemon_stopped daemon_killed daemon_stopped
}

test_without_a_daemon() { # at most 120 s
	by_daemon '?wait=2'
	survive 'kill_program daemon'
	runner_log | grep 'served by this process'
}

test_both_die() { # at most 300 s
	by_daemon
	survive both_killed both_killed both_killed
}
