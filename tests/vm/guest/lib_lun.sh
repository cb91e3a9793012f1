# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# One storage, "data", in the kernel's target: what every way to serve it is to keep. A group says
# how it is served: serve, and again after it was killed; kill_servers.

image=/tmp/work/disk.img
config=/tmp/work/duotgt.json
lio_iqn=iqn.2026-11.io.duotgt.test:lio
lio_portal=127.0.0.1:3261
own_iqn=iqn.2026-11.io.duotgt.test:own
own_portal=127.0.0.1:3260

# storage_config BYTES [MORE]: writes it; MORE goes to the top level
storage_config() {
	mkdir -p /tmp/work
	cat >$config <<-TEXT
	{"storages": [{"deviceID": 1, "name": "data", "path": "$image", "deviceSize": $1,
	               "thinProvisioning": true},
	              {"deviceID": 2, "path": "ram:1M"}],
	 "iscsiportals": [{"id": 1, "portal": "$own_portal"}],
	 "iscsitargets": {"$own_iqn": {"tpgts": {"1": [1]}, "luns": {"0": 2}}}${2:+, $2}}
	TEXT
}

lio() { PATH=/tmp/in:$PATH /tmp/in/configfs/duotgt-lio --config $config --wait 20 "$@"; }

kernel_target() { modules target_core_user tcm_loop iscsi_target_mod sd_mod sg; }

# loop_disk: exports "data" to this host, prints the disk
loop_disk() {
	lio export data --loopback >/tmp/export.log || return
	sed -n 's/.*\(\/dev\/sd[a-z]*\)$/\1/p' /tmp/export.log
	udevadm settle --timeout=10 || true
}

# lio_disk: exports "data" by the kernel's iSCSI, logs in, prints the disk
lio_disk() {
	initiator_up >&2 || return
	lio export data --iscsi $lio_iqn --portal $lio_portal >&2 || return
	node $lio_iqn $lio_portal || return
	login $lio_iqn $lio_portal
}

check_loopback() {
	local disk

	lio attach data
	disk=$(loop_disk)
	write_read_compare "$disk" 16
	file_system "$disk"
	check_unmap "$disk"
	lio detach data
	wait_for 10 test ! -e "$disk"
	no_io_errors
}

check_lio_iscsi() {
	local disk

	lio attach data
	disk=$(lio_disk)
	write_read_compare "$disk" 8
	file_system "$disk"
	check_unmap "$disk"
	lio detach data && fail 'detached while an initiator is logged in'
	logout $lio_iqn $lio_portal
	lio detach data
	no_io_errors
}

# check_unmap DISK: what is discarded takes no space in the image any more
check_unmap() {
	local full empty

	dd if=/dev/urandom of="$1" bs=1M count=8 oflag=direct conv=fsync status=none
	full=$(du -k $image | cut -f 1)
	blkdiscard -o 0 -l $((8 << 20)) "$1"
	empty=$(du -k $image | cut -f 1)
	say "the image takes $full KiB, after the discard $empty KiB"
	[ $((full - empty)) -ge 7000 ]
	dd if="$1" bs=1M count=8 iflag=direct status=none | cmp -n $((8 << 20)) - /dev/zero
}

# check_resize RELOAD...: how who serves hears of it
check_resize() {
	local disk name

	lio attach data
	disk=$(loop_disk)
	name=${disk##*/}
	[ "$(blockdev --getsize64 "$disk")" = $((64 << 20)) ]
	storage_config $((96 << 20)) "${more:-}"
	"$@"
	wait_for 10 grown
	lio attach data
	echo 1 >"/sys/block/$name/device/rescan"
	wait_for 10 has_size "$disk" $((96 << 20))
	dd if=/dev/urandom of="$disk" bs=1M seek=90 count=4 oflag=direct conv=fsync status=none
	lio detach data
	no_io_errors
}
grown() { [ "$(stat -c %s $image)" = $((96 << 20)) ]; }
has_size() { [ "$(blockdev --getsize64 "$1")" = "$2" ]; }

# Commands that a reset aborts are sent again; none is lost, none fails.
check_reset() {
	local disk load generic

	lio attach data
	echo 1 >"$(echo $configfs/core/user_*/data)/attrib/tmr_notification"
	disk=$(loop_disk)
	generic=/dev/$(ls "/sys/block/${disk##*/}/device/scsi_generic")
	./vm_load verify "$disk" 4 6 &
	load=$!
	for _ in 1 2 3; do
		sleep 1
		timeout 20 sg_reset --device --no-escalate "$generic"
	done
	wait $load
	lio detach data
	no_io_errors
}

check_removal() {
	local disk load

	lio attach data
	disk=$(loop_disk)
	./vm_load write "$disk" 4 30 4096 &
	load=$!
	sleep 1
	lio detach data --force
	wait_for 10 test ! -e "$disk"
	wait_for 20 gone $load
	[ -z "$(ls -d $configfs/core/user_* 2>/dev/null)" ]
	lio attach data
	disk=$(loop_disk)
	write_read_compare "$disk" 4
	lio detach data
}

# check_kills ROUNDS WHAT...: under load, whatever dies
check_kills() {
	local disk load rounds=$1 round

	shift
	lio attach data
	disk=$(loop_disk)
	./vm_load verify "$disk" 4 1000 &
	load=$!
	for ((round = 1; round <= rounds; round++)); do
		sleep 0.7
		"$@"
		kill -0 $load
		say "round $round"
	done
	kill $load
	wait $load
	no_io_errors
	lio detach data
}
