# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a disk of tcm_loop does on a file in memory, by who stands behind it. Each kind of load goes
# round all of them before the next round begins, so that what else the machine does hits all alike.

seconds=1
rounds=7
ways=(takeover null raw fileio qcow)
loads=('read 1 4096' 'read 16 4096' 'write 16 4096' 'read 4 1048576' 'write 4 1048576')

# loop_over NUMBER DEVICE: a disk of tcm_loop, printed
loop_over() {
	local tpg=$configfs/loopback/naa.500140500000000$1/tpgt_1

	mkdir -p "$tpg/lun/lun_0"
	echo "naa.600140500000000$1" >"$tpg/nexus"
	ln -s "$2" "$tpg/lun/lun_0/disk"
	wait_for 20 address_has_disk "$tpg"
	basename /sys/class/scsi_device/"$(cat "$tpg/address")":0/device/block/*
}
address_has_disk() { [ -e "$(echo /sys/class/scsi_device/"$(cat "$1/address")":0/device/block/*)" ]; }

# user_device NUMBER STRING
user_device() {
	local device=$configfs/core/user_$1/rate

	mkdir -p "$device"
	printf 'dev_size=%d,dev_config=%s,hw_max_sectors=8192' $((64 << 20)) "$2" >"$device/control"
	echo 1 >"$device/enable"
	echo "$device"
}

fileio_device() {
	local device=$configfs/core/fileio_9/rate

	modules target_core_file
	mkdir -p "$device"
	printf 'fd_dev_name=/dev/shm/fileio,fd_dev_size=%d,fd_buffered_io=1' $((64 << 20)) \
		>"$device/control"
	echo 1 >"$device/enable"
	echo "$device"
}

# The takeover over a store that keeps nothing: what is left is the price of the ring, which everybody
# pays who stands behind it.
null_config() {
	mkdir -p /tmp/work
	cat >$config <<-TEXT
	{"storages": [{"deviceID": 1, "name": "nothing", "path": "null:64M"}], "tcmu": {}}
	TEXT
}

median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }

test_rates() { # at most 900 s
	local name disk load i way
	local -A disks

	kernel_target
	null_config
	runner_up
	mkdir -p /tmp/work/rates
	for name in takeover raw fileio; do
		head -c $((64 << 20)) /dev/zero >/dev/shm/$name
	done
	disks[takeover]=$(loop_over 1 "$(user_device 1 'duotgt//dev/shm/takeover?serve=process')")
	disks[null]=$(loop_over 5 "$(user_device 5 'duotgt/nothing?serve=process')")
	disks[raw]=$(loop_over 2 "$(user_device 2 'duotgt//dev/shm/raw?serve=process&mode=raw')")
	disks[fileio]=$(loop_over 3 "$(fileio_device)")
	if [ -e disk.qcow2 ]; then
		cp disk.qcow2 /dev/shm/qcow
		disks[qcow]=$(loop_over 4 "$(user_device 4 qcow//dev/shm/qcow)")
	else
		unchecked "tcmu-runner's qcow: qemu-img is not installed"
	fi
	# Memory that is used for the first time costs many times as much.
	for way in "${!disks[@]}"; do
		dd if=/dev/zero of="/dev/${disks[$way]}" bs=1M count=64 oflag=direct status=none
		./vm_load write "/dev/${disks[$way]}" 4 1 1048576 >/dev/null
	done
	for ((i = 0; i < rounds; i++)); do
		for load in "${loads[@]}"; do
			for way in "${!disks[@]}"; do
				read -r name depth bytes <<<"$load"
				./vm_load "$name" "/dev/${disks[$way]}" "$depth" $seconds "$bytes" \
					>>"/tmp/work/rates/$load $way"
			done
		done
	done
	show
	echo "a process that reads or writes such a file itself, 1 MiB at a time, MB/s:" \
		"$(copies /dev/shm/takeover /dev/null), $(copies /dev/zero /dev/shm/takeover)"
}

# copies FROM TO: what has to cross the border of user space on the way, and does not for fileio
copies() {
	for ((i = 0; i < rounds; i++)); do
		dd if="$1" of="$2" bs=1M count=64 conv=notrunc 2>&1 |
			awk '/copied/ { printf "%.0f\n", $1 / $(NF - 3) / 1e6 }'
	done | median
}

# show: medians, and what they are to the takeover's
show() {
	local load way rate own

	printf '%-24s' 'operations a second'
	for way in "${ways[@]}"; do printf '%20s' $way; done
	echo
	for load in "${loads[@]}"; do
		printf '%-24s' "$load"
		own=$(median <"/tmp/work/rates/$load takeover")
		for way in "${ways[@]}"; do
			[ -e "/tmp/work/rates/$load $way" ] || continue
			rate=$(median <"/tmp/work/rates/$load $way")
			printf '%12s (%5s)' "$rate" "$(awk -v a="$own" -v b="$rate" \
				'BEGIN { printf b ? "%.2f" : "-", b ? a / b : 0 }')"
		done
		echo
	done
	echo '(in brackets: the takeover against it; loads are: kind, depth, bytes)'
}
