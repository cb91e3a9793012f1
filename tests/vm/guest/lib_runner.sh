# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# tcmu-runner with our plug-in, TCMU devices, and disks of tcm_loop.

runner_folder=/usr/lib/x86_64-linux-gnu/tcmu-runner

# runner_up: D-Bus, tcmu-runner with the plug-in in its default folder; ready when this returns
runner_up() {
	modules target_core_user tcm_loop sd_mod sg
	mkdir -p $configfs/core /run/dbus /run/test /run/duotgt
	[ -e /tmp/in/handler_duotgt.so ] || skip "the plug-in was not built"
	# Not over the old one, which a runner that has not ended yet would run on in.
	install -m 644 /tmp/in/handler_duotgt.so $runner_folder/
	rm -f /var/log/tcmu-runner.log
	if [ ! -e /run/dbus/system_bus_socket ]; then
		dbus-daemon --system --fork --nopidfile
	fi
	runner_start
}

runner_start() {
	start runner env DUOTGT_CONFIG=/tmp/work/duotgt.json tcmu-runner
	wait_for 20 runner_answers || { runner_log | tail -n 30; return 1; }
}

# what it has logged, without dates
runner_log() { sed 's/^[0-9: .-]*//' /var/log/tcmu-runner.log; }

runner_answers() {
	dbus-send --system --print-reply --dest=org.kernel.TCMUService1 \
		/org/kernel/TCMUService1/duotgt org.freedesktop.DBus.Properties.Get \
		string:org.kernel.TCMUService1 string:ConfigDesc
}

# device_up NAME STRING BYTES: a TCMU device, enabled
device_up() {
	local device=$configfs/core/user_1/$1

	mkdir -p "$device"
	printf 'dev_size=%s,dev_config=%s' "$3" "$2" >"$device/control"
	printf 'serial-of-%s' "$1" >"$device/wwn/vpd_unit_serial"
	timeout 30 sh -c "echo 1 >$device/enable"
}

device_down() { timeout 30 rmdir "$configfs/core/user_1/$1"; }

# loop_up NUMBER NAME: tcm_loop's disk of a device, printed
loop_up() {
	local target=$configfs/loopback/naa.500140500000000$1 before

	before=$(ls /sys/block)
	mkdir -p "$target/tpgt_1/lun/lun_0"
	echo "naa.600140500000000$1" >"$target/tpgt_1/nexus"
	ln -s "$configfs/core/user_1/$2" "$target/tpgt_1/lun/lun_0/disk"
	wait_for 20 eval 'ls /sys/block | grep -vxF "$before" | grep -q ^sd'
	echo "/dev/$(ls /sys/block | grep -vxF "$before" | grep -m1 ^sd)"
}

loop_down() {
	local target=$configfs/loopback/naa.500140500000000$1

	rm "$target/tpgt_1/lun/lun_0/disk"
	rmdir "$target/tpgt_1/lun/lun_0" "$target/tpgt_1" "$target"
}
